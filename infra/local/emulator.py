"""The emulator: moto's server, the workers and the HTTP API in one process.

There is one per process, because moto's state is global. Import it only in an environment that
``aws.isolate_from_user`` made.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from socketserver import BaseServer
from typing import Any

from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.cloudformation.models import cloudformation_backends
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from infra.local import moto_patches, reaper
from infra.local.aws import ACCOUNT, REGION, client
from infra.local.cloudformation import Registry, register
from infra.local.errors import DeployError, PortTakenError
from infra.local.gateway import Gateway, GatewayServer, is_local, refuse_taken
from infra.local.kept_state import KeptState
from infra.local.logs import LogBook
from infra.local.options import Options, Ready
from infra.local.pool import Pool
from infra.local.template import FunctionSource, Translated, translate
from infra.local.worker import FunctionSpec, Outcome, Worker

STACK_NAME = "local"
RETRY_ATTEMPTS = 2
"""Lambda's repeats of a failed asynchronous invocation without a MaximumRetryAttempts."""


class Emulator:
    """Deploys a template and runs it until ``close``.

    Args:
        options: Template, ports and settings.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._temporary = Path(tempfile.mkdtemp(prefix="local-stack-"))
        self._reaper = subprocess.Popen(  # noqa: S603  # our own script
            [sys.executable, "-I", "-S", reaper.__file__, str(self._temporary)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        self._reaper_lock = threading.Lock()

        self._pool: Pool | None = None
        self._state: KeptState | None = None
        self._logs: LogBook | None = None
        self._serving: list[BaseServer] = []

    def start(self) -> Ready:
        """Deploy the template and serve it; return the addresses.

        Raises:
            DeployError: The template cannot be deployed.
            PortTakenError: Another program listens on the port that was asked for.
        """
        options = self._options
        gateway = GatewayServer(options.port)
        api_url = f"http://127.0.0.1:{gateway.server_port}"

        kept = None if options.state_dir is None else Path(options.state_dir)
        self._logs = LogBook((kept or self._temporary) / "logs", echo=options.verbose)
        self._aws_url = self._serve_aws(options.aws_port)

        self._translated = translate(Path(options.template), options.parameters)
        self._pool = Pool(
            self._start_worker,
            self._worker_started,
            self._worker_ended,
            self._logs.write,
            options.retry_delay,
        )

        self._registry = Registry(self.client, api_url)
        moto_patches.install(self)
        register(self._registry)
        outputs, resources = self._deploy(self._translated)

        if kept is not None:
            self._state = KeptState(kept)
            self._state.restore()
            self._state.save_regularly()

        bodies = list(self._registry.api_bodies.values())
        gateway.serve(
            Gateway(bodies, self._invoke_arn, options.integration_timeout, self._log_gateway)
        )
        self._serving.append(gateway)
        return Ready(api_url, self._aws_url, outputs, resources, str(self._logs.folder))

    def _serve_aws(self, port: int) -> str:
        refuse_taken(port)
        application = _SameMachineOnly(DomainDispatcherApplication(create_backend_app))
        try:
            server: BaseWSGIServer = make_server(
                "127.0.0.1", port, application, threaded=True, request_handler=_MotoHandler
            )
        except SystemExit as error:  # raised by werkzeug for a port that is taken
            raise PortTakenError(port) from error

        threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        ).start()
        self._serving.append(server)
        os.environ["MOTO_PORT"] = str(server.server_port)
        return f"http://127.0.0.1:{server.server_port}"

    def _deploy(self, translated: Translated) -> tuple[dict[str, str], dict[str, str]]:
        try:
            stack = cloudformation_backends[ACCOUNT][REGION].create_stack(
                STACK_NAME, json.dumps(translated.template), self._options.parameters
            )
            outputs = {
                output["OutputKey"]: str(output["OutputValue"]) for output in stack.outputs or ()
            }
        except DeployError:
            raise
        except Exception as error:  # moto has no common class for errors of a template
            reason = getattr(error, "message", None) or error
            raise DeployError(
                f"{self._options.template}: {type(error).__name__}: {reason}"
            ) from error

        parsed = stack.resource_map._parsed_resources
        created = {
            name: parsed[name]
            for name in translated.template["Resources"]
            if parsed.get(name) is not None
        }
        resources = {
            name: str(getattr(resource, "physical_resource_id", None) or name)
            for name, resource in created.items()
        }

        for api_id in self._registry.api_bodies:
            public = f"https://{api_id}.execute-api.{REGION}.amazonaws.com"
            outputs = {
                key: value.replace(public, self._registry.api_url) for key, value in outputs.items()
            }
        return outputs, resources

    def client(self, service: str) -> Any:
        """Return a service's boto3 client of this emulator."""
        return client(service, self._aws_url)

    def source(self, logical_id: str) -> FunctionSource:
        """Return the place of a function's code."""
        try:
            return self._translated.sources[logical_id]
        except KeyError:
            raise DeployError(
                f"function {logical_id} is not an AWS::Serverless::Function: "
                "its code is not on this machine"
            ) from None

    def definition(self, key: str) -> str:
        """Return the text of a state machine's definition file."""
        return (self._translated.root / key).read_text(encoding="utf-8")

    def invoke(self, function: LambdaFunction, payload: bytes, arn: str) -> Outcome:
        """Run a function and wait for its answer."""
        assert self._pool is not None  # noqa: S101  # functions are deployed after the pool is made
        return self._pool.invoke(self._spec(function), payload, arn)

    def invoke_later(self, function: LambdaFunction, payload: bytes, arn: str) -> None:
        """Run a function without waiting, and again if it fails."""
        assert self._pool is not None  # noqa: S101  # as above
        retries = self._registry.retries.get(function.function_name, RETRY_ATTEMPTS)
        self._pool.invoke_later(self._spec(function), payload, arn, retries)

    def _invoke_arn(self, arn: str, payload: bytes) -> Outcome:
        return self.invoke(lambda_backends[ACCOUNT][REGION].get_function(arn), payload, arn)

    def _spec(self, function: LambdaFunction) -> FunctionSpec:
        source: FunctionSource = function.source  # type: ignore[attr-defined]  # set by keep_function_properties
        environment = {**(function.environment_vars or {}), **self._options.environment}

        return FunctionSpec(
            name=function.function_name,
            version=str(function.version),
            handler=str(source.handler or function.handler),
            code_dir=source.code_dir,
            root=self._translated.root,
            memory_mb=int(function.memory_size),
            timeout=float(function.timeout),
            environment=tuple(sorted((key, str(value)) for key, value in environment.items())),
        )

    def _start_worker(self, spec: FunctionSpec) -> Worker:
        assert self._logs is not None  # noqa: S101  # made before the pool
        return Worker(spec, self._aws_url, self._temporary, self._logs.write)

    def _worker_started(self, group: int) -> None:
        self._tell_reaper(group)

    def _worker_ended(self, group: int) -> None:
        self._tell_reaper(-group)

    def _tell_reaper(self, number: int) -> None:
        assert self._reaper.stdin is not None  # noqa: S101  # opened as a pipe
        with self._reaper_lock:
            if not self._reaper.stdin.closed:
                self._reaper.stdin.write(f"{number:+d}\n")
                self._reaper.stdin.flush()

    def _log_gateway(self, line: str) -> None:
        assert self._logs is not None  # noqa: S101  # made before the gateway serves
        self._logs.write("http-api", line)

    def close(self) -> None:
        """Stop serving, kill the workers, keep the state and remove all temporary files."""
        for server in reversed(self._serving):  # no requests any more, then no AWS
            server.shutdown()
            server.server_close()
        if self._pool is not None:
            self._pool.close()
        if self._state is not None:
            self._state.close()
        if self._logs is not None:
            self._logs.close()

        assert self._reaper.stdin is not None  # noqa: S101  # opened as a pipe
        with self._reaper_lock:
            self._reaper.stdin.close()
        self._reaper.wait()
        shutil.rmtree(self._temporary, ignore_errors=True)


class _MotoHandler(MotoRequestHandler):
    """Moto's request handler, quiet and without Nagle's algorithm (see http_io).

    Not buffered: werkzeug does not flush "100 Continue", for which boto3's uploads would wait a
    second each.
    """

    disable_nagle_algorithm = True

    def log_request(self, *args: object) -> None:
        pass


class _SameMachineOnly:
    """Refuses other host names, browsers' origins and moto-api at the AWS endpoint."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        local = is_local("http://" + environ.get("HTTP_HOST", ""))
        if (
            not local
            or "HTTP_ORIGIN" in environ
            or environ.get("PATH_INFO", "").startswith("/moto-api")
        ):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"this endpoint is for programs on this machine\n"]
        return self._application(environ, start_response)
