"""A run in a storage, its steps, and the work that a state machine would have done."""

from run_fixtures import finish_until, run, storage, worker
from run_steps import do

__all__ = ["do", "finish_until", "run", "storage", "worker"]
