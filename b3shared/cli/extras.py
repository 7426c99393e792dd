"""Optional dependencies: which command needs which extra, and what to say when it is missing."""

from importlib.util import find_spec

from b3shared.core.errors import B3Error

PACKAGE = "b3-asset-predict"
"""Name of the distribution, as in pyproject.toml."""

MODULES = {
    "report": ("jinja2", "matplotlib"),
    "train": ("joblib", "onnx", "skl2onnx", "sklearn"),
    "lstm": ("onnxscript", "torch"),
}
"""Extra -> modules that it brings, apart from those of the extras that it includes."""

INCLUDED = {"report": (), "train": ("report",), "lstm": ("train", "report")}
"""Extra -> extras that come with it."""


class MissingPackageError(B3Error):
    """An optional dependency that a command needs is not installed."""

    code = "MISSING_PACKAGE"


def require(extra: str) -> None:
    """Check that an extra's packages are installed, without importing them.

    Raises:
        MissingPackageError: One of them is not; the message says how to install it.
    """
    extras = (extra, *INCLUDED[extra])
    missing = [name for each in extras for name in MODULES[each] if find_spec(name) is None]
    if missing:
        raise _missing(missing, extra)


def missing_package(error: ModuleNotFoundError) -> MissingPackageError | None:
    """Return the error of an extra that is not installed; None if the module is of no extra."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in MODULES.items():
        if module in modules:
            return _missing([module], extra)
    return None


def _missing(modules: list[str], extra: str) -> MissingPackageError:
    verb = "is" if len(modules) == 1 else "are"
    return MissingPackageError(
        f"{', '.join(modules)} {verb} not installed: pip install '{PACKAGE}[{extra}]'",
        modules=modules,
        extra=extra,
    )
