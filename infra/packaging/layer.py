"""Builds one Lambda layer: ``python -m infra.packaging.layer NAME ARTIFACTS_DIR``.

``sam build`` calls it through layers/Makefile. A layer has the locked wheels for Lambda's platform,
whatever this machine is, without the files that no function needs. Equal inputs give equal bytes:
no times, no paths of this machine, no seeds. (Symbols are stripped by the machine's tool: another
one may differ.)
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from infra.packaging.pruning import prune, remove_times

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = "3.13"
"""Python of the functions (``Runtime`` in template.yaml)."""
PLATFORM = "x86_64-manylinux_2_28"
"""Wheels that load on Amazon Linux 2023 (glibc 2.34)."""


@dataclass(frozen=True)
class Layer:
    """The contents of a layer.

    Attributes:
        on_common: whether it is used together with the common layer, whose packages it leaves out.
        own_code: whether it has b3shared.
        bytecode: whether it is compiled, which makes imports 2 to 4 times faster but takes space.
    """

    on_common: bool = True
    own_code: bool = False
    bytecode: bool = False


LAYERS = {
    "common": Layer(on_common=False, own_code=True, bytecode=True),
    "data": Layer(bytecode=True),
    "ml": Layer(),
    "report": Layer(),
    "serving": Layer(bytecode=True),
}
"""Layers by name; requirements/NAME.txt is the lock file."""


def build(name: str, artifacts: Path) -> None:
    """Fill ``artifacts/python`` with a layer.

    Args:
        name: one of :data:`LAYERS`.
        artifacts: an empty folder, or none yet.

    Raises:
        subprocess.CalledProcessError: A tool failed; it has printed why.
    """
    layer = LAYERS[name]
    target = artifacts / "python"
    target.mkdir(parents=True)

    _install(requirements(name), target)
    prune(target)
    if layer.own_code:
        _copy_own_code(target)
    _strip_symbols(target)
    if layer.bytecode:
        _compile(target)
    remove_times(target)


def requirements(name: str) -> str:
    """Return the hashed requirements of a layer, without those of the common layer."""
    blocks = _blocks(name)
    below = _blocks("common") if LAYERS[name].on_common else {}
    return "".join(text for package, text in blocks.items() if package not in below)


def _blocks(name: str) -> dict[str, str]:
    """Return a lock file's entries by package."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE)
    return {entry.split("==")[0]: entry for entry in entries if "==" in entry}


def _install(lines: str, target: Path) -> None:
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--link-mode", "copy"]
    command += ["--target", str(target), "--only-binary", ":all:"]
    command += ["--python-platform", PLATFORM, "--python-version", RUNTIME]
    # --no-deps: the lock file is complete, and packages of the common layer must not come back
    command += ["--no-deps", "--require-hashes", "-r", "-"]
    subprocess.run(command, input=lines, text=True, check=True)  # noqa: S603


def own_files() -> list[Path]:
    """Return every file of b3shared except bytecode: the code, the report's template, py.typed."""
    return sorted(
        path
        for path in (ROOT / "b3shared").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def _copy_own_code(target: Path) -> None:
    for path in own_files():
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _strip_symbols(target: Path) -> None:
    # not in *.libs: auditwheel has moved their segments, and strip silently breaks scipy's
    found = [
        path
        for path in target.rglob("*.so*")
        if path.is_file() and not path.parent.name.endswith(".libs")
    ]
    tool = next(filter(None, map(shutil.which, _strip_tools())), None)

    if tool is None:
        print(
            "no strip tool for x86-64 ELF files here: the layer keeps its symbols and is larger",
            file=sys.stderr,
        )
    elif found:
        subprocess.run([tool, "--strip-unneeded", *sorted(map(str, found))], check=True)  # noqa: S603


def _strip_tools() -> list[str]:
    native = sys.platform == "linux" and os.uname().machine == "x86_64"
    return ["x86_64-linux-gnu-strip", "llvm-strip", *(["strip"] if native else [])]


def _compile(target: Path) -> None:
    """Compile to bytecode that Lambda uses unchecked; file names in it are those on Lambda."""
    python = _runtime_python()
    if python is None:
        print(
            f"no Python {RUNTIME} here: the layer has no bytecode, its imports are slower",
            file=sys.stderr,
        )
        return
    command = [python, "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(target), "-p", "/opt/python", str(target)]
    # the order of a frozen set in bytecode depends on the hash seed
    subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "0"}, check=True)  # noqa: S603


def _runtime_python() -> str | None:
    """Return an interpreter of the runtime's version; None if there is none."""
    known = filter(None, [sys.executable, shutil.which(f"python{RUNTIME}")])
    return next(filter(runs_runtime, known), None)


def runs_runtime(python: str) -> bool:
    """Return whether an interpreter has the runtime's version; a shim may exist and not work."""
    code = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != {RUNTIME!r})"
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0  # noqa: S603


if __name__ == "__main__":
    build(sys.argv[1].lower(), Path(sys.argv[2]))
