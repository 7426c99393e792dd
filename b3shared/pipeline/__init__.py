"""The steps of a run, over its artifacts: one module each, named as the step.

The Lambda handlers call :func:`run_step`.
"""

from b3shared.pipeline.runner import Context, run_pipeline, run_step

__all__ = ["Context", "run_pipeline", "run_step"]
