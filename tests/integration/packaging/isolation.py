"""An interpreter that sees Python's own library, a function's folder and its layers, and nothing else, as Lambda's does."""

import json
import re
import subprocess
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
    function_name="test", memory_limit_in_mb=1024, aws_request_id="0", get_remaining_time_in_millis=lambda: 30000,
    invoked_function_arn="arn:aws:lambda:sa-east-1:123456789012:function:test")
answer = getattr(importlib.import_module(module), name)(json.loads({event!r}), context)
print("\\nanswer:" + json.dumps(answer))
"""


def variables(function: Packaged) -> dict[str, str]:
    """The function's environment, references to parameters resolved to their defaults."""
    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    defaults = {name: parameter["Default"] for name, parameter in template["Parameters"].items()}

    def resolved(value: Any) -> str:
        if isinstance(value, dict) and "Fn::If" in value:
            return resolved(value["Fn::If"][1])  # what holds with the defaults
        if isinstance(value, dict) and "Fn::Sub" in value:
            return re.sub(r"\$\{(.+?)\}", lambda found: found[1].lower(), value["Fn::Sub"])
        return str(defaults.get(value["Ref"], value["Ref"]) if isinstance(value, dict) else value)

    return {name: resolved(value) for name, value in function.variables.items()}


@dataclass(frozen=True)
class Isolated:
    """Runs Python in a function's surroundings.

    Attributes:
        python: interpreter of the runtime's version.
        work: an empty folder to be in; it is HOME, too.
        environment: besides the template's.
    """

    python: str
    work: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, function: Packaged, code: str, **environment: str) -> str:
        """Run code and return its standard output; what it said on the standard error is in the failure."""
        lead = f"import sys; sys.path[:0] = {function.path!r}\n"
        aws = {"AWS_DEFAULT_REGION": "sa-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        shell = {"PATH": "/usr/bin:/bin", "HOME": str(self.work), "AWS_EC2_METADATA_DISABLED": "true", **aws}
        done = subprocess.run(
            [self.python, "-I", "-S", "-B", "-c", lead + code],
            env={**shell, **variables(function), **self.environment, **environment},
            cwd=self.work,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{function.name}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout

    def invoke(self, function: Packaged, event: dict[str, Any], **environment: str) -> Any:
        """The answer of the function's handler."""
        code = INVOKE.format(handler=function.handler, event=json.dumps(event))
        return json.loads(self.run(function, code, **environment).rsplit("\nanswer:", 1)[1])
