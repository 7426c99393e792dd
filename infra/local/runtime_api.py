"""Lambda's Runtime API for one worker.

The runtime client in the worker asks for the next invocation, runs the handler and posts its answer
or its error: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
"""

import contextlib
import queue
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field

from infra.local.http_io import SinglePacketHandler


@dataclass(frozen=True)
class Job:
    """An invocation that waits for the worker."""

    payload: bytes
    function_arn: str
    timeout: float
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True)
class Started:
    """The worker has taken the job, and the function's time has begun."""


@dataclass(frozen=True)
class Answered:
    """The worker has posted the handler's answer or error, or an error of initialisation."""

    payload: bytes
    failed: bool
    at_init: bool


@dataclass(frozen=True)
class Exited:
    """The worker's process has ended."""

    status: int


Event = Started | Answered | Exited


class RuntimeApi:
    """Server of the Runtime API: takes jobs from a queue and puts events into another."""

    def __init__(self) -> None:
        self.jobs: queue.Queue[Job | None] = queue.Queue()
        self.events: queue.Queue[Event] = queue.Queue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closed = False
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, peer = self._listener.accept()
            if self._closed:
                connection.close()
                self._listener.close()
                return
            threading.Thread(target=self._serve, args=(connection, peer), daemon=True).start()

    def _serve(self, connection: socket.socket, peer: object) -> None:
        # An OSError means that the worker was killed in the middle of a call.
        with contextlib.suppress(OSError), connection:
            _Handler(connection, peer, self)  # type: ignore[arg-type]  # a handler needs no more of its server than this

    def close(self) -> None:
        """Stop listening, and tell a waiting worker that there is no job."""
        self._closed = True
        self.jobs.put(None)
        with (
            contextlib.suppress(OSError),
            socket.create_connection(self._listener.getsockname(), timeout=1),
        ):
            pass  # wakes the accepting thread, on every system


class _Handler(SinglePacketHandler):
    server: RuntimeApi  # type: ignore[assignment]

    def do_GET(self) -> None:  # noqa: N802  # http.server calls it so
        job = self.server.jobs.get()
        if job is None:
            self.reply(410, [])
            return

        deadline_ms = int((time.time() + job.timeout) * 1000)
        self.server.events.put(Started())
        headers = [
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", job.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(deadline_ms)),
            ("Lambda-Runtime-Invoked-Function-Arn", job.function_arn),
            (
                "Lambda-Runtime-Trace-Id",
                f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
            ),
        ]
        self.reply(200, headers, job.payload)

    def do_POST(self) -> None:  # noqa: N802  # http.server calls it so
        payload = self.read_body()
        self.server.events.put(
            Answered(
                payload,
                failed=self.path.endswith("/error"),
                at_init=self.path.endswith("/init/error"),
            )
        )
        self.reply(202, [("Content-Type", "application/json")], b'{"status":"OK"}')
