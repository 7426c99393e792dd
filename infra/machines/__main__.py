"""``python -m infra.machines`` writes the definition files; ``--check`` only compares them."""

import sys

from infra.machines.files import FILES, ROOT, text_of


def main() -> int:
    """Write the files, or with ``--check`` say whether they are up to date."""
    status = 0
    for path in FILES:
        shown = path.relative_to(ROOT)
        if "--check" not in sys.argv:
            path.write_text(text_of(path), encoding="utf-8")
            print(f"wrote {shown}")
        elif path.read_text(encoding="utf-8") == text_of(path):
            print(f"{shown} is up to date")
        else:
            print(f"{shown} is out of date: run python -m infra.machines")
            status = 1

    return status


if __name__ == "__main__":
    sys.exit(main())
