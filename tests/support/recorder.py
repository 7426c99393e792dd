"""Records what a program looks up and writes, its libraries in C included."""

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
USERS_OWN = ("AWS_", "B3_", "XDG_", "MPL", "ORT_")
"""What of the environment may say where files belong, or what is sent."""


@functools.cache
def library() -> Path | None:
    """The compiled recorder; None where there is no Linux or no C compiler."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        return None
    made = Path(tempfile.mkdtemp(prefix="recorder-")) / "recorder.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(SOURCE), "-ldl"], check=True
    )
    return made


@dataclass(frozen=True)
class Recorded:
    """A program that was run.

    Attributes:
        run: how it ended and what it said.
        folder: its working folder.
        outside: files and folders under its HOME and among its temporary files when it had ended.
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
    """Run a command under ``root`` and say what it did there and elsewhere."""
    folders = {name: root / name for name in ("home", "work", "temporary")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    log = root / "record"
    log.touch()
    told = {name: value for name, value in os.environ.items() if not name.startswith(USERS_OWN)}
    own = {
        "HOME": str(folders["home"]),
        "TMPDIR": str(folders["temporary"]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    preload = {"LD_PRELOAD": str(library()), "RECORD_TO": str(log)} if library() else {}
    run = subprocess.run(
        command,
        cwd=folders["work"],
        env={**told, **own, **preload, **environment},
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
