"""Removes what a layer does not need: tests, sources, headers, commands, unused AWS clients."""

import os
import re
import shutil
from pathlib import Path

UNUSED_FOLDERS = {"test", "tests", "__pycache__", "_duckdb-stubs", "sboms"}
IMPORTED_TESTS = {"bottleneck/tests"}
"""Folders of tests that the package itself imports."""
UNUSED_SUFFIXES = re.compile(r"\.(a|c|cc|cpp|cuh?|f|f90|h|hpp|in|inc|lib|pc|px[di]|py[cfix]|tp)")
UNUSED_FILES = re.compile(
    r"(bin|share|include)/"  # commands and manual pages of wheels
    r"|boto3/data/"  # resources; this project uses clients
    r"|\.lock$"  # of the installer
    # for C programs; the Python module has its own copy inside
    r"|onnxruntime/capi/libonnxruntime\.so"
    r"|onnxruntime/(datasets|quantization|tools|transformers)/"  # converting and shrinking models
    # METADATA, entry points and licences stay
    r"|[^/]+\.dist-info/(RECORD|INSTALLER|REQUESTED|WHEEL|top_level\.txt)$"
)
AWS_SERVICES = {"s3", "stepfunctions", "sts", "sns", "secretsmanager"}
"""boto3 knows only these in a layer; a new client in b3shared needs its name here."""
EARLIEST = 315619200
"""1980-01-02 in seconds: zip files hold local times from 1980-01-01 on, in every time zone."""


def prune(target: Path) -> None:
    """Remove the files of installed packages that no function needs."""
    for folder in sorted(target.rglob("*"), reverse=True):
        imported = folder.relative_to(target).as_posix() in IMPORTED_TESTS
        if folder.is_dir() and folder.name in UNUSED_FOLDERS and not imported:
            shutil.rmtree(folder)
    for path in target.rglob("*"):
        if path.is_file() and _unused(path.relative_to(target)):
            path.unlink()
    for service in (target / "botocore" / "data").glob("*/"):
        if service.name not in AWS_SERVICES:
            shutil.rmtree(service)
    _remove_empty_folders(target)


def _unused(path: Path) -> bool:
    return bool(UNUSED_SUFFIXES.fullmatch(path.suffix) or UNUSED_FILES.match(path.as_posix()))


def _remove_empty_folders(target: Path) -> None:
    for folder in sorted(target.rglob("*"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def remove_times(target: Path) -> None:
    """Set one time (SOURCE_DATE_EPOCH, else 1980) and modes that Lambda can read for every file."""
    time = int(os.environ.get("SOURCE_DATE_EPOCH", EARLIEST))
    for path in [*target.rglob("*"), target]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (time, time))
