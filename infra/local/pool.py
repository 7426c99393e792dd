"""Pool of the functions' workers: starts them on demand, reuses them, limits their memory."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from infra.local.errors import ClosingError
from infra.local.worker import FunctionSpec, Outcome, Worker

MAX_WORKERS = 16
"""Workers of one function at a time.

Where Lambda would start more, a call here waits for a free one.
"""

_SAMPLE_SECONDS = 0.2


@dataclass
class _Workers:
    idle: list[Worker] = field(default_factory=list)
    count: int = 0


class Pool:
    """Runs invocations, each in a worker of its function.

    Args:
        start: Starts a worker for a function.
        started: Called with the process group of a new worker.
        ended: Called with a process group that is gone.
        log: Called with a function's name and a line.
        retry_delay: Seconds before the first repeat of a failed asynchronous invocation (Lambda:
            60), twice that before the second (Lambda: 120).
    """

    def __init__(
        self,
        start: Callable[[FunctionSpec], Worker],
        started: Callable[[int], None],
        ended: Callable[[int], None],
        log: Callable[[str, str], None],
        retry_delay: float,
    ) -> None:
        self._start = start
        self._started = started
        self._ended = ended
        self._log = log
        self._retry_delay = retry_delay
        self._functions: dict[FunctionSpec, _Workers] = defaultdict(_Workers)
        self._busy: set[Worker] = set()
        self._changed = threading.Condition()
        self._closing = False
        threading.Thread(target=self._watch_memory, daemon=True).start()

    def invoke(self, spec: FunctionSpec, payload: bytes, function_arn: str) -> Outcome:
        """Run one synchronous invocation.

        Raises:
            ClosingError: The pool was closed before the function answered.
        """
        worker = self._take(spec)
        try:
            outcome = worker.invoke(payload, function_arn)
        finally:
            self._give_back(spec, worker)
        if self._closing and outcome.failed:
            raise ClosingError("the local stack is closing")
        return outcome

    def invoke_later(
        self, spec: FunctionSpec, payload: bytes, function_arn: str, retries: int
    ) -> None:
        """Run an asynchronous invocation, again up to ``retries`` times while it fails."""
        threading.Thread(
            target=self._until_done, args=(spec, payload, function_arn, retries), daemon=True
        ).start()

    def _until_done(
        self, spec: FunctionSpec, payload: bytes, function_arn: str, retries: int
    ) -> None:
        try:
            for attempt in range(1 + retries):
                if not self.invoke(spec, payload, function_arn).failed:
                    return
                if attempt < retries:
                    time.sleep(self._retry_delay * (attempt + 1))
        except ClosingError:
            return
        self._log(spec.name, f"asynchronous invocation given up after {1 + retries} attempts")

    def _take(self, spec: FunctionSpec) -> Worker:
        with self._changed:
            workers = self._functions[spec]
            while True:
                if self._closing:
                    raise ClosingError("the local stack is closing")
                while workers.idle:
                    worker = workers.idle.pop()
                    if worker.usable:
                        self._busy.add(worker)
                        return worker
                    self._drop(workers, worker)
                if workers.count < MAX_WORKERS:
                    workers.count += 1
                    break
                self._changed.wait()

        return self._start_counted(spec, workers)

    def _start_counted(self, spec: FunctionSpec, workers: _Workers) -> Worker:
        try:
            worker = self._start(spec)
        except BaseException:
            with self._changed:
                workers.count -= 1
                self._changed.notify()
            raise

        self._started(worker.pid)
        with self._changed:
            self._busy.add(worker)
            closing = self._closing
        if closing:
            self._give_back(spec, worker)
            raise ClosingError("the local stack is closing")
        return worker

    def _give_back(self, spec: FunctionSpec, worker: Worker) -> None:
        with self._changed:
            self._busy.discard(worker)
            workers = self._functions[spec]
            if worker.usable and not self._closing:
                workers.idle.append(worker)
            else:
                self._drop(workers, worker)
            self._changed.notify()

    def _drop(self, workers: _Workers, worker: Worker) -> None:
        workers.count -= 1
        worker.close()
        self._ended(worker.pid)

    def _watch_memory(self) -> None:
        while not self._closing:
            time.sleep(_SAMPLE_SECONDS)
            with self._changed:
                busy = list(self._busy)
            for worker in busy:
                since = worker.busy_since
                if since is not None and time.monotonic() - since >= _SAMPLE_SECONDS:
                    used = memory_mb(worker.pid)
                    worker.peak_mb = max(worker.peak_mb, used)
                    if used > worker.spec.memory_mb:
                        worker.kill_for_memory()

    def close(self) -> None:
        """Kill every worker; calls in flight raise ClosingError."""
        with self._changed:
            self._closing = True
            busy = list(self._busy)
            for workers in self._functions.values():
                while workers.idle:
                    self._drop(workers, workers.idle.pop())
            self._changed.notify_all()

        for worker in busy:
            worker.kill()

        deadline = time.monotonic() + 5
        while self._busy and time.monotonic() < deadline:
            time.sleep(0.01)


def memory_mb(pid: int) -> float:
    """Return the memory of a process and its descendants, in MB of 2**20 bytes.

    On Linux pages of mapped files (a memory-mapped matrix, libraries) do not count: the kernel can
    drop them and read them again.
    """
    total = 0

    try:
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            try:
                info = member.memory_info()
                total += info.rss - getattr(info, "shared", 0)
            except psutil.Error:
                continue
    except psutil.Error:
        return 0.0

    return total / 2**20
