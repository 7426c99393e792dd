"""How a local stack starts, refuses, keeps its state and ends, as a process."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from botocore.exceptions import BotoCoreError, ClientError
from paths import ROOT
from processes import descendants
from waiting import until

from infra.local import LocalStack, LocalStackError
from infra.local.aws import client
from infra.local.errors import DeployError
from infra.local.gateway import GatewayServer
from infra.local.template import translate


def start_sleeping(stack: LocalStack) -> None:
    """Leave a worker busy, with a child of its own, when the stack ends."""

    def hang() -> None:
        with contextlib.suppress(ClientError, BotoCoreError):  # the stack ends first
            name = stack.resources["BehaveFunction"]
            stack.client("lambda").invoke(FunctionName=name, Payload=b'{"do": "hang_with_child"}')

    threading.Thread(target=hang, daemon=True).start()
    until(
        lambda: "sleep" in [child.name for child in descendants(stack.pid)],
        "the start of the worker's child",
    )


def put(s3: Any, bucket: str, **objects: bytes) -> None:
    for key, value in objects.items():
        s3.put_object(Bucket=bucket, Key=key, Body=value)


def test_state_survives_a_restart_and_a_kill_and_nothing_is_left_behind(
    small_template: Path, tmp_path: Path
) -> None:
    with LocalStack(small_template, state_dir=tmp_path) as stack:
        s3, bucket = stack.client("s3"), stack.outputs["BucketName"]
        put(
            s3,
            bucket,
            **{"runs/a//b/../c%/é ?.json": b"odd", "gone": b"1", "serving/release.json": b"old"},
        )
        s3.put_object(
            Bucket=bucket,
            Key="typed",
            Body=b"t",
            ContentType="text/html",
            Metadata={"sha256": "abc"},
        )
        put(s3, bucket, **{"serving/release.json": b"new"})
        s3.delete_object(Bucket=bucket, Key="gone")
        modified = s3.head_object(Bucket=bucket, Key="typed")["LastModified"]
        stack.invoke("BehaveFunction", {"do": "echo"})
        start_sleeping(stack)
        temporary = Path(stack.invoke("BehaveFunction", {"do": "write"})).parents[1]
        family = [child.process for child in descendants(stack.pid)]
        assert len(family) >= 4  # reaper, two workers, a worker's child
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert not temporary.exists()
    assert (tmp_path / "s3" / bucket / "serving" / "release.json").read_bytes() == b"new"
    (log,) = (tmp_path / "logs").glob("*BehaveFunction*.log")
    assert "REPORT RequestId: " in log.read_text()

    with LocalStack(small_template, state_dir=tmp_path) as stack:
        s3 = stack.client("s3")
        assert stack.outputs["BucketName"] == bucket
        keys = {found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]}
        assert keys == {"runs/a//b/../c%/é ?.json", "serving/release.json", "typed"}
        assert s3.get_object(Bucket=bucket, Key="runs/a//b/../c%/é ?.json")["Body"].read() == b"odd"
        typed = s3.get_object(Bucket=bucket, Key="typed")
        assert (typed["ContentType"], typed["Metadata"], typed["LastModified"]) == (
            "text/html",
            {"sha256": "abc"},
            modified,
        )
        tag = s3.head_object(Bucket=bucket, Key="serving/release.json")["ETag"]
        s3.put_object(Bucket=bucket, Key="serving/release.json", Body=b"newest", IfMatch=tag)
        saved = tmp_path / "s3" / bucket / "serving" / "release.json"
        until(
            lambda: saved.read_bytes() == b"newest", "saving in the background, not only at the end"
        )
        start_sleeping(stack)
        temporary = Path(stack.invoke("BehaveFunction", {"do": "write"})).parents[1]
        family = [child.process for child in descendants(stack.pid)]
        os.kill(stack.pid, signal.SIGKILL)
        assert not psutil.wait_procs(family, timeout=5)[
            1
        ]  # the reaper has ended them all, and itself
        assert not temporary.exists()
    assert saved.read_bytes() == b"newest"


def start_command(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "infra.local", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout is not None
    said = ""
    while text not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def end(process: "subprocess.Popen[str]", number: signal.Signals) -> int:
    process.send_signal(number)
    status = process.wait(20)
    assert process.stdout is not None
    process.stdout.close()
    return status


def test_the_command_serves_until_ctrl_c_and_leaves_nothing_behind(small_template: Path) -> None:
    process = start_command(
        "--template",
        str(small_template),
        "--port",
        "0",
        "--parameter",
        "Greeting=oi",
        "--fire-schedules",
    )
    said = read_until(process, "fired: ")

    assert "monthly-count" in said

    url, temporary = (
        re.findall(r"HTTP API +(\S+)", said)[0],
        Path(re.findall(r"logs +(\S+)", said)[0]).parent,
    )

    assert requests.get(f"{url}/assets", timeout=30).status_code == 200
    assert temporary.exists()

    family = [child.process for child in descendants(process.pid)]

    assert end(process, signal.SIGINT) == 0
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert not temporary.exists()


@pytest.fixture
def bare_template(tmp_path: Path) -> Path:
    template = tmp_path / "bare.yaml"
    template.write_text("Resources: {Bucket: {Type: 'AWS::S3::Bucket'}}")
    return template


def test_sigterm_ends_the_command_too(bare_template: Path) -> None:
    process = start_command("--template", str(bare_template), "--port", "0")
    read_until(process, "Ctrl-C")
    family = [child.process for child in descendants(process.pid)]
    assert end(process, signal.SIGTERM) == 0
    assert not psutil.wait_procs(family, timeout=5)[1]


def test_the_emulator_ends_with_the_process_that_started_it(bare_template: Path) -> None:
    program = (
        "import sys; from infra.local import LocalStack; "
        "print(LocalStack(sys.argv[1]).start().pid, flush=True); input()"
    )
    command = [sys.executable, "-c", program, str(bare_template)]
    parent = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    emulator = psutil.Process(int(read_until(parent, "\n")))
    family = [emulator, *emulator.children(recursive=True)]

    assert parent.stdin is not None

    with parent.stdin:
        assert end(parent, signal.SIGKILL) == -signal.SIGKILL

    assert not psutil.wait_procs(family, timeout=10)[1]


def test_a_port_that_is_taken_is_named_in_one_line(small_template: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalStackError) as raised:
            LocalStack(small_template, port=port).start()
    assert str(raised.value) == (
        f"port {port} is taken by another program: stop it, or choose another with PORT={port + 1}"
    )


def test_the_gateway_listens_on_this_machine_only() -> None:
    server = GatewayServer(0)
    assert server.server_address[0] == "127.0.0.1"
    server.server_close()


def test_a_type_that_the_emulator_lacks_is_refused_by_name(
    small_template: Path, tmp_path: Path
) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {Pool: {Type: 'AWS::Cognito::UserPool'}}")
    with pytest.raises(LocalStackError, match="the local stack has no AWS::Cognito::UserPool"):
        LocalStack(template).start()


@pytest.mark.parametrize(
    ("text", "parameters", "said"),
    [
        (
            "Parameters: {A: {Type: String}}\nResources: {}",
            {"B": "1"},
            "has no parameter B; it has: A",
        ),
        (
            "Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: nowhere}}}",
            {},
            "CodeUri nowhere is not a folder",
        ),
        (
            "Resources: {F: {Type: AWS::Serverless::Function, "
            "Properties: {CodeUri: {Bucket: b, Key: k}}}}",
            {},
            "must be a folder to run it locally",
        ),
        (
            "Resources: {F: {Type: AWS::Serverless::Function, Properties: {PackageType: Image}}}",
            {},
            "names no Dockerfile",
        ),
        (
            "Resources: {M: {Type: AWS::Serverless::StateMachine, "
            "Properties: {DefinitionUri: nowhere.json}}}",
            {},
            "DefinitionUri nowhere.json is not a file",
        ),
        (
            "Resources: {F: {Type: AWS::Serverless::Function, "
            "Properties: {CodeUri: ., Nonsense: 1}}}",
            {},
            "not a valid SAM template",
        ),
    ],
    ids=["parameter", "code", "packaged", "image", "definition", "invalid"],
)
def test_a_template_that_cannot_run_is_refused_with_the_reason(
    tmp_path: Path, text: str, parameters: dict[str, str], said: str
) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(text)
    with pytest.raises(DeployError, match=re.escape(said)):
        translate(template, parameters)


def test_a_missing_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="there is no template"):
        translate(tmp_path / "template.yaml", {})


def test_an_image_functions_handler_is_its_command_or_else_the_dockerfiles_last(
    tmp_path: Path,
) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "Dockerfile").write_text(
        'FROM x\nCMD ["first.handler"]\nCMD second.handler\n'
    )
    function = (
        "Type: AWS::Serverless::Function, Metadata: {DockerContext: image}, "
        "Properties: {PackageType: Image"
    )
    template = tmp_path / "template.yaml"
    template.write_text(
        f"Resources:\n  A: {{{function}}}}}\n"
        f"  B: {{{function}, ImageConfig: {{Command: [given.handler]}}}}}}\n"
    )
    sources = translate(template, {}).sources

    assert (sources["A"].handler, sources["B"].handler) == ("second.handler", "given.handler")
    assert sources["A"].code_dir == tmp_path / "image"


def test_clients_do_not_depend_on_the_users_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "does-not-exist")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert client("s3", "http://127.0.0.1:1").meta.region_name == "sa-east-1"
