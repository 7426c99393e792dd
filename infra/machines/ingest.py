"""The state machine of new quotes: ingest them, then publish features, without a retraining.

The lake changes in complete steps, so any state may be repeated.
"""

from infra.machines.parts import (
    ENDS,
    KILLED,
    NOT_READY,
    PASSING,
    PLATFORM,
    State,
    choice,
    notification,
    retrier,
    task,
)

COMMENT = """New quotes into the lake, then to predictions, without a retraining. A request may be \
more than a function's time allows: its answer carries the request for the rest. The lake changes \
in complete steps, so any of this may be repeated. Whatever becomes of it, predictions get what \
the lake has: a step before may have changed it and died before it could tell."""

CROWDED = retrier(
    "Lambda.TooManyRequestsException",
    "ConflictError",
    interval=10,
    attempts=20,
    MaxDelaySeconds=300,
)
"""Many files that are put into the bucket at once start as many executions."""

EXCHANGE = {"ErrorEquals": ["SourceUnavailableError"], "IntervalSeconds": 600} | {
    "BackoffRate": 2,
    "MaxAttempts": 2,
}
"""The exchange's server may be down for half an hour."""


def machine() -> State:
    """Return the definition of the state machine that ingests quotes."""
    return {
        "Comment": COMMENT,
        "StartAt": "Begin",
        "TimeoutSeconds": 21_600,
        "States": _ingest() | _refresh() | _failure() | ENDS,
    }


def _killed(attempts: int) -> State:
    return {"ErrorEquals": list(KILLED), "IntervalSeconds": 5, "MaxAttempts": attempts}


def _ingest() -> dict[str, State]:
    begin = {"Type": "Pass", "Parameters": {"request.$": "$"}, "Next": "IngestQuotes"}
    ingest = task(
        "IngestQuotesFunctionArn",
        960,
        InputPath="$.request",
        retry=[_killed(2), PLATFORM, CROWDED, NOT_READY, EXCHANGE],
        catch=("$.error", "RefreshServing"),
        Next="AfterIngestQuotes",
    )
    after = choice("RefreshServing", ("$.status", "StringEquals", "partial", "IngestQuotes"))
    return {"Begin": begin, "IngestQuotes": ingest, "AfterIngestQuotes": after}


def _refresh() -> dict[str, State]:
    """Publish the features of the lake's newest quotes."""
    refresh = task(
        "PublishServingFunctionArn",
        360,
        Parameters={"refresh": True},
        ResultPath="$.serving",
        retry=[_killed(1), *PASSING],
        catch=("$.unserved", "AfterRefreshServing"),
        Next="AfterRefreshServing",
    )

    after = choice(
        "Done",
        ("$.error", "IsPresent", True, "Notify"),
        ("$.failed[0]", "IsPresent", True, "Incomplete"),
        ("$.unserved", "IsPresent", True, "Unserved"),
    )
    return {"RefreshServing": refresh, "AfterRefreshServing": after}


def _failure() -> dict[str, State]:
    incomplete = {
        "Type": "Pass",
        "Parameters": {
            "Error": "IncompleteIngestError",
            "Cause.$": "States.JsonToString($.failed)",
        },
        "ResultPath": "$.error",
        "Next": "Notify",
    }

    unserved = {
        "Type": "Pass",
        "InputPath": "$.unserved",
        "ResultPath": "$.error",
        "Next": "Notify",
    }

    subject = "B3 Asset Predict could not take in quotes"
    notify = notification("$.error", "Failed", Subject=subject)
    return {"Incomplete": incomplete, "Unserved": unserved, "Notify": notify}
