"""Settings of a deployment, from the environment. Parameters of a run are in :mod:`b3shared.params`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from b3shared.errors import InvalidParameterError

BUNDLED_QUOTES = Path(__file__).resolve().parent.parent / "data" / "quotes.parquet"
"""The real quotes that come with the project: 60 liquid tickers, 2019 to 2023."""


@dataclass(frozen=True)
class Settings:
    """Where a deployment keeps and finds things.

    Attributes:
        environment: "AWS" or "LOCAL", as in the reference project (variable ``environment``).
        storage: ``s3://bucket/prefix`` or a folder for runs, models and the release (``B3_STORAGE``).
        quotes: where quotes are read: ``s3://`` lake, Parquet file or folder, or DuckDB file with optional ``#table``
            (``B3_QUOTES``).
        state_machine: ARN of the pipeline's state machine (``B3_STATE_MACHINE``); empty outside a deployment.
        wait_seconds: how long the control API waits for a step (``B3_WAIT_SECONDS``).
        max_running: runs allowed at once (``B3_MAX_RUNNING``).
    """

    environment: Literal["AWS", "LOCAL"] = "LOCAL"
    storage: str = "artifacts"
    quotes: str = str(BUNDLED_QUOTES)
    state_machine: str = ""
    wait_seconds: float = 25.0
    max_running: int = 4

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings; what is not set has its default.

        Raises:
            InvalidParameterError: ``environment`` is neither AWS nor LOCAL.
        """
        environment = environ.get("environment", "LOCAL").upper()
        if environment not in ("AWS", "LOCAL"):
            raise InvalidParameterError(f"environment = {environment!r}: AWS and LOCAL are allowed")
        return cls(
            environment="AWS" if environment == "AWS" else "LOCAL",
            storage=environ.get("B3_STORAGE") or cls.storage,
            quotes=environ.get("B3_QUOTES") or cls.quotes,
            state_machine=environ.get("B3_STATE_MACHINE", ""),
            wait_seconds=float(environ.get("B3_WAIT_SECONDS", cls.wait_seconds)),
            max_running=int(environ.get("B3_MAX_RUNNING", cls.max_running)),
        )
