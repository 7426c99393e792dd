"""Runs Python in an environment like Lambda's.

It sees Python's own library, a function's folder and its layers. Where the tests run as root on
Linux, it is also sandboxed as on Lambda: no /dev/shm, a read-only working folder, no HOME, an
unprivileged user, and nothing to write to but /tmp.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from infra.packaging.built import BUILD, Packaged

ROOT = BUILD.parents[1]
INVOKE = """
import importlib, json, types
module, name = {handler!r}.rsplit(".", 1)
context = types.SimpleNamespace(
    function_name="test", memory_limit_in_mb=1024, aws_request_id="0",
    get_remaining_time_in_millis=lambda: 30000,
    invoked_function_arn="arn:aws:lambda:sa-east-1:123456789012:function:test")
answer = getattr(importlib.import_module(module), name)(json.loads({event!r}), context)
print("\\nanswer:" + json.dumps(answer))
"""


def variables(function: Packaged) -> dict[str, str]:
    """Return a function's environment variables, parameters resolved to their defaults."""
    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    defaults = {name: parameter["Default"] for name, parameter in template["Parameters"].items()}

    def resolved(value: Any) -> str:
        if isinstance(value, dict) and "Fn::If" in value:
            return resolved(value["Fn::If"][1])  # what holds with the defaults
        if isinstance(value, dict) and "Fn::Sub" in value:
            return re.sub(r"\$\{(.+?)\}", lambda found: found[1].lower(), value["Fn::Sub"])
        return str(defaults.get(value["Ref"], value["Ref"]) if isinstance(value, dict) else value)

    return {name: resolved(value) for name, value in function.variables.items()}


MOUNT = "/mnt"
"""Where the interpreter, the built functions and the working folder are in the sandbox."""
NOBODY = "65534"
SANDBOX = """
set -e
mount --make-rprivate /
mount -t tmpfs -o ro,size=4k tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs {mount}
mkdir {mount}/python {mount}/build {mount}/task {mount}/bytecode
mount --bind {python} {mount}/python
mount --bind {bytecode} {mount}/bytecode
mount --bind {build} {mount}/build
mount -o remount,bind,ro {mount}/build
mount -o remount,ro {mount}
mount -t tmpfs -o mode=1777 tmpfs /tmp
cd {mount}/task
exec setpriv --reuid {nobody} --regid {nobody} --clear-groups --no-new-privs "$@"
"""


def can_sandbox() -> bool:
    """Return whether a process can be sandboxed here: as root, with the right to mount."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("setpriv"):
        return False
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"],
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


@dataclass(frozen=True)
class Isolated:
    """Runs Python in a function's environment.

    Attributes:
        python: interpreter of the runtime's version.
        work: an empty folder to run in where there is no sandbox.
        environment: variables beside the template's.
        sandboxed: whether it runs in the sandbox.
        bytecode: folder for the compiled modules of functions with a layer that ships none; all
            calls share it, while Lambda compiles them at each cold start.
    """

    python: str
    work: Path
    bytecode: Path
    environment: dict[str, str] = field(default_factory=dict)
    sandboxed: bool = field(default_factory=can_sandbox)

    def run(self, function: Packaged, code: str, **environment: str) -> str:
        """Run code and return its standard output; a failure shows its standard error."""
        path = [
            entry.replace(str(BUILD), f"{MOUNT}/build") if self.sandboxed else entry
            for entry in function.path
        ]
        lead = f"import sys; sys.path[:0] = {path!r}\n"
        aws = {
            "AWS_DEFAULT_REGION": "sa-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        shell = {
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
            "AWS_EC2_METADATA_DISABLED": "true",
            **aws,
        }
        command = [self.python]
        bytecode = str(self.bytecode)
        if self.sandboxed:
            prefix = self._prefix()
            shell["LD_LIBRARY_PATH"] = f"{MOUNT}/python/lib"
            script = SANDBOX.format(
                mount=MOUNT,
                python=shlex.quote(prefix),
                build=shlex.quote(str(BUILD)),
                bytecode=shlex.quote(bytecode),
                nobody=NOBODY,
            )
            bytecode = f"{MOUNT}/bytecode"
            inside = f"{MOUNT}/python/bin/{Path(self.python).resolve().name}"
            command = ["unshare", "--mount", "sh", "-c", script, "sandbox", inside]

        done = subprocess.run(
            [*command, "-I", "-S", *_caching(function, bytecode), "-c", lead + code],
            env={**shell, **variables(function), **self.environment, **environment},
            cwd=self.work,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, f"{function.name}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout.replace(f"{MOUNT}/build", str(BUILD))

    def invoke(self, function: Packaged, event: dict[str, Any], **environment: str) -> Any:
        """Return the answer of the function's handler."""
        code = INVOKE.format(handler=function.handler, event=json.dumps(event))
        return json.loads(self.run(function, code, **environment).rsplit("\nanswer:", 1)[1])

    def _prefix(self) -> str:
        """Return the folder of the interpreter, also for a virtual environment."""
        asked = [self.python, "-c", "import sys; print(sys.base_prefix)"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def _caching(function: Packaged, folder: str) -> list[str]:
    """Return the options for bytecode: as shipped, or in the folder where a layer ships none."""
    complete = all(any(layer.rglob("*.pyc")) for layer in function.layers)
    return ["-B"] if complete else ["-X", f"pycache_prefix={folder}"]
