"""Runs the steps of a run. Each step is a module of :mod:`b3shared.pipeline.steps`, named as it."""

from b3shared.pipeline.runner import Context, run_pipeline, run_step

__all__ = ["Context", "run_pipeline", "run_step"]
