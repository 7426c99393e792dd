"""``python -m b3shared``: the product on the command line."""

import sys

from b3shared.cli import main

if __name__ == "__main__":
    sys.exit(main())
