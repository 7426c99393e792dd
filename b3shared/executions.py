"""Names of the pipeline's executions: ``<run_id>.<last step, or all>.<attempt>``; made and read here only."""

ALL = "all"
"""In place of the last step: every step."""


def execution_name(run_id: str, stop_after: str | None, attempt: int) -> str:
    """The name of an attempt at a run up to a step; None for all of them."""
    return f"{run_id}.{stop_after or ALL}.{attempt}"


def run_of(name: str) -> str:
    """The run that an execution belongs to; one that was started by hand, under any name, belongs to none that is known."""
    return name.split(".")[0]


def last_step_of(name: str) -> str:
    """The last step that an execution does, or :data:`ALL`; also for a name that does not say."""
    parts = name.split(".")
    return parts[1] if len(parts) == 3 else ALL
