"""Describes a route's answers: its success, and every error that it may give."""

from typing import Any

from pydantic import BaseModel

from b3shared.api.errors import HTTP_STATUS, error_body
from b3shared.api.schemas import Error

DESCRIPTIONS = {
    404: "No such ticker, version, run or route",
    409: "A step is missing, a race was lost, or the features do not fit",
    413: "The request is too long",
    422: "The request is not what is allowed, or the data is not enough",
    429: "Too many requests or runs at once",
    500: "Our fault",
    503: "Nothing is live yet, or a source is out of reach",
    507: "The disk for temporary files is too small for the data",
}
"""HTTP status of an error -> its description."""

MESSAGES = {
    "UNKNOWN_ROUTE": "GET /api/b3/forecast: there is no such route",
    "UNKNOWN_TICKER": "there are no quotes of 'PETR'; did you mean PETR4 or PETR3?",
    "UNKNOWN_MODEL": "models/rf has no version '20231228-00000000'; known are 20231228-7c40912d",
    "UNKNOWN_RUN": "there is no run 'nope'",
    "ARTIFACT_NOT_FOUND": "there is no 'inputs/mine.parquet' in s3://bucket",
    "STEP_NOT_READY": "train_model needs load_data, which has not run: call it first",
    "CONFLICT": "run 'mine' exists with other values of horizon; choose another run_id",
    "INCOMPATIBLE_FEATURES": "version 20231228-7c40912d looks back 32 sessions; the snapshot of "
    "2023-12-28 holds 1: make the version live, and the next snapshot has them",
    "BODY_TOO_LARGE": "the body has 100,001 characters; 100,000 are allowed",
    "INVALID_PARAMETER": "body: not JSON (Expecting value at character 1)",
    "NO_QUOTES": "no quote passes the filters",
    "TOO_LITTLE_HISTORY": "PETR4 has 120 sessions of history without a long hole; 286 are needed",
    "TOO_MANY_RUNS": "4 runs are running, 4 are allowed at once: try again when one has ended",
    "INTERNAL": "an unforeseen error; the log has it under request 1b2c3d",
    "NOTHING_LIVE": "no snapshot of features is published yet: run the pipeline once "
    "(POST /api/b3/complete-pipeline)",
    "SOURCE_UNAVAILABLE": "the quotes cannot be reached",
    "DISK_FULL": "the disk for temporary files is full",
}
"""Error code -> a message as the API gives it."""

_STATUS = HTTP_STATUS | {"UNKNOWN_ROUTE": 404, "INTERNAL": 500}
EVERYWHERE = ("UNKNOWN_ROUTE", "INVALID_PARAMETER", "INTERNAL")
"""Codes that any route may answer."""

BODY = ("BODY_TOO_LARGE",)
PREDICTS = (
    "UNKNOWN_TICKER",
    "UNKNOWN_MODEL",
    "INCOMPATIBLE_FEATURES",
    *BODY,
    "TOO_LITTLE_HISTORY",
    "NOTHING_LIVE",
)
RUNS = (
    "UNKNOWN_RUN",
    "UNKNOWN_TICKER",
    "ARTIFACT_NOT_FOUND",
    "STEP_NOT_READY",
    "CONFLICT",
    *BODY,
    "NO_QUOTES",
    "TOO_LITTLE_HISTORY",
    "TOO_MANY_RUNS",
    "SOURCE_UNAVAILABLE",
    "DISK_FULL",
)
CHANGES = ("UNKNOWN_MODEL", "CONFLICT", "INCOMPATIBLE_FEATURES", *BODY, "NOTHING_LIVE")


def documented(
    answer: type[BaseModel] | None,
    tag: str,
    codes: tuple[str, ...] = (),
    *,
    accepted: type[BaseModel] | None = None,
) -> dict[str, Any]:
    """Return a route's keyword arguments: its answers, its errors with examples, its tag.

    Args:
        answer: model of the body of a 200; None where there is none.
        tag: the part of the API.
        codes: of the errors that the route may answer beside :data:`EVERYWHERE`.
        accepted: model of the body of a 202, if one may come.
    """
    responses = {}
    if answer:
        responses[200] = _response("The answer", answer)
    if accepted:
        responses[202] = _response("Started, and not finished yet", accepted)

    for code in sorted(
        {*codes, *EVERYWHERE}, key=lambda code: (_STATUS[code], code in EVERYWHERE, code)
    ):
        response = responses.setdefault(
            _STATUS[code], _response(DESCRIPTIONS[_STATUS[code]], Error)
        )
        examples = response["content"]["application/json"].setdefault("examples", {})
        examples[code] = {"value": error_body(code, MESSAGES[code])}
    return {"responses": responses, "tags": [tag]}


def _response(description: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"model": model}}}
