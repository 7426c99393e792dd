"""`sam local invoke`: load_data in a container of Lambda's base image, and the trainer's image.

Needs podman and the development kit's images; without them the tests are skipped, or fail with
SAM_LOCAL=1. The trainer's image takes gigabytes: it is built only where SAM_LOCAL_TORCH says which
PyTorch to use, by the name of an index (cpu), or empty for the locked files.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from isolation import ROOT
from moto.server import ThreadedMotoServer
from samtranslator.yaml_helper import yaml_parse
from small_run import NETWORK, SMALL

from b3shared.core.config import Settings
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline import run_pipeline
from b3shared.runs.run import Run
from b3shared.storage import S3Storage
from infra.packaging.built import BUILD, Packaged

BUCKET = "sam-local"
KIT_ENV = Path(os.environ.get("SAM_LOCAL_STATE", "/var/lib/sam-local")) / "env.sh"
SAM = ROOT / os.environ.get("SAM_VENV", ".venv-sam") / "bin" / "sam"
IMAGE = "public.ecr.aws/lambda/python:3.13"
EVENT = ROOT / "events" / "load_data.json"
SLICE = 12
"""Seconds: time to train a little, not to finish."""
ANYBODY = """
import json, os, types
import app
context = types.SimpleNamespace(
    function_name="trainer", memory_limit_in_mb=3008, aws_request_id="0",
    get_remaining_time_in_millis=lambda: 900_000,
    invoked_function_arn="arn:aws:lambda:sa-east-1:123456789012:function:trainer")
writable = [path for path in ("/", os.getcwd(), "/tmp") if os.access(path, os.W_OK)]
print("user", os.getuid(), "writes", writable)
print(json.dumps(app.handler(json.loads(os.environ["EVENT"]), context)))
"""
"""Calls the handler, for a container that is as restricted as Lambda's."""
KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "sa-east-1",
}


@dataclass(frozen=True)
class Kit:
    """The SAM CLI and podman in the environment that the kit has set up for them."""

    environment: dict[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done

    def podman(self, *words: str) -> str:
        return self.run("podman", *words).stdout.strip()

    def invoke(self, template: Path, function: str, event: Path) -> tuple[Any, str]:
        """The answer and what was logged."""
        done = self.run(
            str(SAM),
            "local",
            "invoke",
            function,
            "--template",
            str(template),
            "--event",
            str(event),
        )
        answers = [line for line in done.stdout.splitlines() if line.startswith("{")]

        assert answers, done.stdout + done.stderr[-4000:]
        return json.loads(answers[-1]), done.stderr


@pytest.fixture(scope="module")
def kit(built: dict[str, Packaged]) -> Kit:
    """Skipped unless the kit was set up here and its podman answers."""
    needed = pytest.fail if os.environ.get("SAM_LOCAL") == "1" else pytest.skip
    if not KIT_ENV.exists():
        needed("no podman with Lambda's base images here (see layers/README.md)")

    shell = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    asked = subprocess.run(
        ["bash", "-c", f". {KIT_ENV}; env -0"],
        env=shell,
        capture_output=True,
        text=True,
        check=True,
    )
    environment = dict(line.split("=", 1) for line in asked.stdout.split("\0") if line)
    environment["SAM_CLI_TELEMETRY"] = "0"
    answer = subprocess.run(
        [
            "curl",
            "-sm5",
            "--unix-socket",
            environment["DOCKER_HOST"].removeprefix("unix://"),
            "http://d/_ping",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if "OK" not in answer.stdout:
        needed("podman's API service does not answer")
    return Kit({**environment, **KEYS})


@pytest.fixture(scope="module")
def gateway(kit: Kit) -> Iterator[str]:
    """The address of this machine on podman's network, which only containers reach."""
    before = set(kit.podman("images", "--quiet").split())
    # the network's interface is there only while a container is
    holder = kit.podman("run", "--detach", "--rm", "--entrypoint", "sleep", IMAGE, "600")

    try:
        yield str(
            json.loads(kit.podman("network", "inspect", "podman"))[0]["subnets"][0]["gateway"]
        )
    finally:
        kit.podman("rm", "--force", "--time", "0", holder)
        for image in (
            set(kit.podman("images", "--quiet").split()) - before
        ):  # with the layers in it: half a gigabyte
            kit.podman("rmi", "--force", image)


@pytest.fixture(scope="module")
def endpoint(gateway: str) -> Iterator[str]:
    """S3 with the bundled quotes as a lake."""
    server = ThreadedMotoServer(ip_address=gateway, port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())

    try:
        with pytest.MonkeyPatch.context() as shell:
            shell.delenv("AWS_PROFILE", raising=False)
            for name, value in {**KEYS, "AWS_ENDPOINT_URL": address}.items():
                shell.setenv(name, value)
            s3 = boto3.client("s3")
            s3.create_bucket(
                Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "sa-east-1"}
            )
            s3.upload_file(
                str(ROOT / "data" / "quotes.parquet"),
                BUCKET,
                "lake/quotes/year=2023/quotes.parquet",
            )
            yield address
    finally:
        server.stop()


def where(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "B3_STORAGE": f"s3://{BUCKET}",
        "B3_QUOTES": f"s3://{BUCKET}/lake/quotes",
    }


def template(endpoint: str, folder: Path, build: Path = BUILD) -> Path:
    """Write the built template with S3's address: SAM passes on only variables that it names."""
    document = yaml_parse((build / "template.yaml").read_text(encoding="utf-8"))
    document["Globals"]["Function"]["Environment"]["Variables"] |= where(endpoint)
    document["Parameters"]["SliceSeconds"]["Default"] = SLICE
    for resource in document["Resources"].values():
        for name in {"CodeUri", "ContentUri"} & set(resource.get("Properties", {})):
            resource["Properties"][name] = str(build / resource["Properties"][name])
    path = folder / "template.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def test_load_data_works_in_a_container(kit: Kit, endpoint: str, tmp_path: Path) -> None:
    run = Run.create(
        S3Storage(BUCKET),
        json.loads(EVENT.read_text())["run_id"],
        PipelineParams.from_values(SMALL),
    )
    answer, logged = kit.invoke(template(endpoint, tmp_path), "LoadDataFunction", EVENT)
    assert answer.get("status") == "done", logged[-4000:]

    record = run.record(Step.LOAD_DATA)
    assert record is not None
    assert answer["seconds"] == record.seconds
    assert "quotes.parquet" in record.artifacts
    assert re.search(r'"run_id": ?"example"', logged), "the log carries the run"


@pytest.fixture(scope="module")
def trainer(kit: Kit, gateway: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a build of the trainer's image; the image goes with the gateway."""
    if (backend := os.environ.get("SAM_LOCAL_TORCH")) is None:
        pytest.skip(
            "set SAM_LOCAL_TORCH=cpu, or empty for the locked PyTorch, to build the trainer's image"
        )

    folder = tmp_path_factory.mktemp("image")
    document = (ROOT / "template.yaml").read_text(encoding="utf-8")
    changed = re.sub(r"TORCH_BACKEND: \w+", f'TORCH_BACKEND: "{backend}"', document)
    (folder / "template.yaml").write_text(changed, encoding="utf-8")
    where = (
        "--template",
        str(folder / "template.yaml"),
        "--base-dir",
        str(ROOT),
        "--build-dir",
        str(folder / "build"),
    )
    kit.run(str(SAM), "build", "TrainLstmFunction", *where)
    return folder / "build"


@pytest.fixture(scope="module")
def network(endpoint: str) -> Run:
    """A run that is split: the LSTM is to be trained."""
    run = Run.create(
        S3Storage(BUCKET),
        "network",
        PipelineParams.from_values(SMALL | NETWORK | {"model_type": "lstm", "epochs": 15}),
    )
    settings = Settings(storage=f"s3://{BUCKET}", quotes=f"s3://{BUCKET}/lake/quotes")
    run_pipeline(run, settings=settings, stop_after=Step.SPLIT_DATA)
    return run


def test_the_image_trains_in_slices_as_any_user_and_writes_only_to_tmp(
    kit: Kit, trainer: Path, network: Run, endpoint: str, tmp_path: Path
) -> None:
    event = {"run_id": network.run_id, "step": "train_model", "overrides": {}, "input_key": None}
    (tmp_path / "event.json").write_text(json.dumps(event), encoding="utf-8")
    first, logged = kit.invoke(
        template(endpoint, tmp_path, trainer), "TrainLstmFunction", tmp_path / "event.json"
    )
    assert first.get("status") == "partial", logged[-4000:]
    assert first["progress"]["epochs"] == 15

    image = yaml_parse((trainer / "template.yaml").read_text(encoding="utf-8"))["Resources"][
        "TrainLstmFunction"
    ]
    closed = [
        "--rm",
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--user",
        "12345",
        "--memory",
        "3008m",
        "--entrypoint",
        "python",
    ]
    variables = {
        **KEYS,
        **where(endpoint),
        "EVENT": json.dumps(event),
        "POWERTOOLS_SERVICE_NAME": "train_lstm",
    }
    given = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    said = kit.podman(
        "run", *closed, *given, image["Properties"]["ImageUri"], "-c", ANYBODY
    ).splitlines()
    assert "user 12345 writes ['/tmp']" in said
    assert json.loads(said[-1])["status"] == "done"

    record = network.record(Step.TRAIN_MODEL)
    assert record is not None
    assert {"b3_lstm_mtl.pt", "model.onnx", "model.json"} <= set(record.artifacts)
