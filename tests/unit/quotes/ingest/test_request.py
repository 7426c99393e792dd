"""An event that is no request for quotes is refused."""

from datetime import timedelta
from typing import Any

import pytest

from b3shared.core.clock import today
from b3shared.core.errors import (
    InvalidParameterError,
)
from b3shared.quotes.ingest.request import IngestRequest


@pytest.mark.parametrize(
    "event",
    [
        {"year": 2020},
        {"years": ["MMXX"]},
        {"since": "yesterday"},
        {"detail-type": "Object Created", "detail": {}},
        {"key": "inputs/cotahist/COTAHIST_A2020.ZIP", "years": [2020]},
        {"key": "inputs/cotahist/COTAHIST_A2020.ZIP", "since": "2020-01-02"},
        {"years": [2020], "partial": True},
        {"partial": True},
        {"since": str(today() + timedelta(days=1))},
        {"since": "1993-12-01"},
        ["A2020"],
        None,
    ],
)
def test_an_invalid_request_is_refused(event: Any) -> None:
    with pytest.raises(InvalidParameterError):
        IngestRequest.from_event(event)
