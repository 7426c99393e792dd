"""Prints the unzipped sizes of the functions; fails above the limit.

Run it as ``python -m infra.packaging.sizes`` after ``sam build``.
"""

import sys

from infra.packaging.built import Packaged, images, packaged, unzipped

BAR = 245_000_000
"""Bytes, unzipped, of a function with its layers. Lambda's limit is 250 MB; the rest is margin."""


NOT_BUILT = "not built, do not deploy: start Docker, rm -r .aws-sam and build again"


def table(functions: list[Packaged]) -> str:
    """Return the sizes of the layers and of every function with its layers, in MB (1e6 bytes)."""
    layers = dict.fromkeys(layer for function in functions for layer in function.layers)
    lines = [f"{'layer':<26}{'MB':>7}"]
    lines += [f"{layer.name:<26}{unzipped(layer) / 1e6:7.1f}" for layer in layers]
    lines += ["", f"{'function with its layers':<26}{'MB':>7}  bar {BAR / 1e6:.0f}"]
    for function in functions:
        names = ", ".join(layer.name for layer in function.layers)
        too_large = "  TOO LARGE" if function.size > BAR else ""
        lines.append(f"{function.name:<26}{function.size / 1e6:7.1f}  {names}{too_large}")
    return "\n".join(lines)


def main() -> int:
    """Print the table; return 1 if a function is above the limit or nothing was built."""
    try:
        functions = packaged()
    except FileNotFoundError as error:
        print(f"{error.filename} is absent: run 'make build' first", file=sys.stderr)
        return 1
    print(table(functions))
    for name, image in images().items():
        print(f"{name:<26}  image {image or NOT_BUILT}")
    return int(any(function.size > BAR for function in functions))


if __name__ == "__main__":
    sys.exit(main())
