"""Ids of runs: a new one, and the check of a given one."""

import re
import secrets
from datetime import UTC, datetime

from b3shared.core.errors import InvalidParameterError
from b3shared.params.run import RUN_ID_PATTERN


def new_run_id(prefix: str = "run") -> str:
    """Return a new run id, such as ``run-20240131t174502123456-9f86d081``.

    Ids that are made later sort later.
    """
    return checked_run_id(f"{prefix}-{datetime.now(UTC):%Y%m%dt%H%M%S%f}-{secrets.token_hex(4)}")


def checked_run_id(run_id: str) -> str:
    """Return a run id as it is.

    Raises:
        InvalidParameterError: It is malformed.
    """
    if not re.fullmatch(RUN_ID_PATTERN, run_id):
        raise InvalidParameterError(
            f"run_id must be 1 to 48 of a-z, 0-9 and '-', the first not '-', got {run_id!r}"
        )
    return run_id
