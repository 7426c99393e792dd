"""A run in a storage, and the work that a state machine would have done."""

from run_fixtures import finish_until, run, storage, worker

__all__ = ["finish_until", "run", "storage", "worker"]
