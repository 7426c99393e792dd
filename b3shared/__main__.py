"""``python -m b3shared``: the product on the command line."""

import sys


def _main() -> int:
    try:
        from b3shared.cli.main import (
            main,
        )  # takes a second, in which somebody may think better of it

        return main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(_main())
