"""Threads for joblib where there are no semaphores between processes, as on AWS Lambda.

joblib's own thread pool comes from ``multiprocessing``, whose locks need /dev/shm. Lambda has none,
so joblib falls back to one thread there, whatever ``n_jobs`` says. This backend takes its threads
from ``concurrent.futures`` instead.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from joblib import parallel_config
from joblib.parallel import FallbackToBackend, ParallelBackendBase, SequentialBackend


class ThreadPoolBackend(ParallelBackendBase):  # type: ignore[misc]  # joblib has no types
    """A joblib backend over ``ThreadPoolExecutor``; see ``joblib.parallel.ParallelBackendBase``."""

    uses_threads = True
    supports_sharedmem = True
    supports_retrieve_callback = True
    _pool: ThreadPoolExecutor | None = None

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return threads for ``n_jobs``: -1 is one for each usable core, -2 one fewer."""
        if n_jobs is None:
            return 1
        if n_jobs < 0:
            return max(cores() + 1 + n_jobs, 1)
        return n_jobs

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Make the pool; one thread is the caller's own."""
        threads = self.effective_n_jobs(n_jobs)
        if threads == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="forest")
        return threads

    def submit(
        self, func: Callable[[], Any], callback: Callable[[Any], None] | None = None
    ) -> "Future[Any]":
        """Run ``func`` in the pool, then tell ``callback``."""
        assert self._pool is not None  # noqa: S101 - joblib configures first
        future = self._pool.submit(func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: "Future[Any]") -> Any:
        """Return the result of a finished call, or raise its error."""
        return out.result()

    def terminate(self) -> None:
        """Let the threads go once they are done."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Drop the calls that have not begun."""
        self.terminate()
        if ensure_ready:
            self.configure(self.parallel.n_jobs, self.parallel)


def threads() -> Any:
    """Return a context in which scikit-learn and joblib use these threads."""
    return parallel_config(backend=ThreadPoolBackend())


def cores() -> int:
    """Count the cores that this process may use, at least one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
