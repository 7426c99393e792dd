"""The state machine of new quotes and announcements: ingest them, then publish features.

The lake changes in complete steps, so any state may be repeated.
"""

from b3shared.quotes.ingest.announcements import CONCURRENCY
from infra.machines.parts import (
    ENDS,
    KILLED,
    NOT_READY,
    PASSING,
    PLATFORM,
    State,
    caught,
    choice,
    notification,
    retrier,
    task,
)

COMMENT = """New quotes and the exchange's announcements into the lake, then to predictions, \
without a retraining. A request may be more than a function's time allows: its answer carries \
the request for the rest. The lake changes in complete steps, so any of this may be repeated. \
Whatever becomes of it, predictions get what the lake has: a step before may have changed it and \
died before it could tell."""

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

COMPANIES = retrier("SourceUnavailableError", interval=60, attempts=2)
"""Predictions wait for announcements, so not for long; the next evening asks again. A batch that
finds the exchange's server down is no error: its result tells it."""

FETCHING = "FetchAnnouncementsFunctionArn"


def machine() -> State:
    """Return the definition of the state machine that ingests quotes."""
    return {
        "Comment": COMMENT,
        "StartAt": "Begin",
        "TimeoutSeconds": 21_600,
        "States": _ingest() | _announcements() | _refresh() | _failure() | ENDS,
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
    after = choice(
        "RefreshServing",
        ("$.status", "StringEquals", "partial", "IngestQuotes"),
        ("$.announcements.fetch", "BooleanEquals", True, "PlanAnnouncements"),
    )

    return {"Begin": begin, "IngestQuotes": ingest, "AfterIngestQuotes": after}


def _announcements() -> dict[str, State]:
    """Fetch the announcements that are due, and make the corporate actions anew.

    Whatever fails here, predictions get the new quotes; it is told afterwards.
    """
    plan = task(
        FETCHING,
        960,
        Parameters={},
        ResultPath="$.plan",
        retry=[_killed(1), PLATFORM, CROWDED, NOT_READY, COMPANIES],
        catch=("$.unannounced", "RefreshServing"),
        Next="FetchAnnouncements",
    )

    fetch = {
        "Type": "Map",
        "Comment": "Few at once: the batches share the pace at which the exchange is asked.",
        "ItemsPath": "$.plan.batches",
        "MaxConcurrency": CONCURRENCY,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": "FetchBatch",
            "States": _batch(),
        },
        "ResultPath": "$.announcements.failed",
        "Catch": caught("$.unannounced", "DropBatches"),
        "Next": "DropBatches",
    }

    drop = {
        "Type": "Pass",
        "Comment": "A state has at most 256 KiB; the plan's findings stay.",
        "Result": [],
        "ResultPath": "$.plan.batches",
        "Next": "DetectActions",
    }

    detect = task(
        "IngestQuotesFunctionArn",
        960,
        Parameters={
            "actions": True,
            "failed.$": "$.failed",
            "unannounced.$": "$.announcements.failed",
            "findings.$": "$.plan.findings",
        },
        ResultPath="$.detected",
        retry=[_killed(2), PLATFORM, CROWDED, NOT_READY],
        catch=("$.undetected", "RefreshServing"),
        Next="RefreshServing",
    )
    return {
        "PlanAnnouncements": plan,
        "FetchAnnouncements": fetch,
        "DropBatches": drop,
        "DetectActions": detect,
    }


def _batch() -> dict[str, State]:
    """Fetch a batch in slices; the result is the list of companies that failed."""
    fetch = task(
        FETCHING,
        960,
        retry=[_killed(1), PLATFORM, CROWDED, NOT_READY, COMPANIES],
        Next="AfterFetchBatch",
    )
    after = choice("Fetched", ("$.status", "StringEquals", "partial", "GoOn"))
    rest = {"Type": "Pass", "InputPath": "$.request", "Next": "FetchBatch"}
    fetched = {"Type": "Pass", "InputPath": "$.failed", "End": True}
    return {"FetchBatch": fetch, "AfterFetchBatch": after, "GoOn": rest, "Fetched": fetched}


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
        ("$.detected.failed[0]", "IsPresent", True, "IncompleteAnnouncements"),
        ("$.failed[0]", "IsPresent", True, "Incomplete"),
        ("$.unannounced", "IsPresent", True, "Unannounced"),
        ("$.undetected", "IsPresent", True, "Undetected"),
        ("$.unserved", "IsPresent", True, "Unserved"),
    )
    return {"RefreshServing": refresh, "AfterRefreshServing": after}


def _failure() -> dict[str, State]:
    """Notify the first thing that went wrong, and fail."""
    subject = "B3 Asset Predict could not ingest everything"
    return {
        "IncompleteAnnouncements": _incomplete("$.detected.failed"),
        "Incomplete": _incomplete("$.failed"),
        "Unannounced": _raised("$.unannounced"),
        "Undetected": _raised("$.undetected"),
        "Unserved": _raised("$.unserved"),
        "Notify": notification("$.error", "Failed", Subject=subject),
    }


def _incomplete(failed: str) -> State:
    """Make an error of a list of files and companies that failed."""
    cause = {"Error": "IncompleteIngestError", "Cause.$": f"States.JsonToString({failed})"}
    return {"Type": "Pass", "Parameters": cause, "ResultPath": "$.error", "Next": "Notify"}


def _raised(path: str) -> State:
    """Make a step's error the execution's."""
    return {"Type": "Pass", "InputPath": path, "ResultPath": "$.error", "Next": "Notify"}
