"""The command ``b3``, also as ``python -m b3shared``."""

import sys


def main() -> int:
    """Run the command line; return the exit status."""
    try:
        from b3shared.cli.main import main as run  # takes a moment, in which Ctrl-C may come

        return run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
