"""Records what a program writes and looks up on the network, its C libraries included."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
HARMLESS = ("/dev/null", "/dev/tty")
REMOVED = ("AWS_", "B3_", "XDG_", "MPL", "ORT_")
"""Prefixes of variables that could say where files belong, or what is sent."""


@functools.cache
def library() -> Path | None:
    """Compile the recorder; return None where there is no Linux or no C compiler."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        return None

    target = Path(tempfile.mkdtemp(prefix="recorder-")) / "recorder.so"
    options = ("-shared", "-fPIC", "-O1", "-o", str(target))
    subprocess.run([compiler, *options, str(SOURCE), "-ldl"], check=True)
    return target


@dataclass(frozen=True)
class Recorded:
    """The record of a program's run.

    Attributes:
        run: its exit status and output.
        folder: its working folder.
        outside: files and folders that it left in its HOME and among its temporary files.
        names: looked up on the network, and addresses beyond this machine; None where that cannot
            be recorded.
        written: files and folders opened for writing outside all of its own; None where that cannot
            be recorded.
    """

    run: subprocess.CompletedProcess[str]
    folder: Path
    outside: list[str]
    names: set[str] | None
    written: set[str] | None


def recorded(command: Sequence[str], root: Path, **environment: str) -> Recorded:
    """Run a command with a home and folders of its own under ``root``; return what it did."""
    folders = {name: root / name for name in ("home", "work", "temporary")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    log = root / "record"
    log.touch()

    kept = {name: value for name, value in os.environ.items() if not name.startswith(REMOVED)}
    own = {
        "HOME": str(folders["home"]),
        "TMPDIR": str(folders["temporary"]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    preload = {"LD_PRELOAD": str(library()), "RECORD_TO": str(log)} if library() else {}
    run = subprocess.run(
        command,
        cwd=folders["work"],
        env={**kept, **own, **preload, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )

    left = [path for name in ("home", "temporary") for path in folders[name].rglob("*")]
    lines = [line.split(" ", 1) for line in log.read_text(encoding="utf-8").splitlines()]
    files = {
        what
        for kind, what in lines
        if kind == "file" and not what.startswith((str(root), *HARMLESS))
    }
    names = {what for kind, what in lines if kind in ("name", "address")}

    seen = bool(preload)
    return Recorded(
        run,
        folders["work"],
        sorted(str(path.relative_to(root)) for path in left),
        names if seen else None,
        files if seen else None,
    )
