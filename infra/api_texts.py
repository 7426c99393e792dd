"""Texts of the API's description: summary, description and examples of each operation."""

from dataclasses import dataclass, field
from typing import Any

STARTS = (
    "This starts a run on the deployment's quotes. It takes minutes and becomes the current run. "
    "Start it?"
)
RUNS_STEP = "This runs the step of the current run and may take minutes. Run it?"
CHANGES_LIVE = "This changes which version answers predictions. Change it?"


@dataclass(frozen=True)
class Operation:
    """The texts of one operation.

    Attributes:
        summary: the line in the list.
        description: what it does and answers.
        bodies: name -> example of a body that is allowed; the page fills in the first.
        answers: name -> file of ``infra/api_answers`` with an answer that was given.
        confirm: the question that the page asks before it sends the request; None for one that
            starts and changes nothing.
    """

    summary: str
    description: str
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    confirm: str | None = None


TAGS = {
    "predictions": "Forecasts and tickers, from what is live.",
    "runs": "The pipeline: a whole run, or step by step in this order.",
    "versions": "What is registered, what is live, its history.",
    "health": "A sign of life.",
}
"""Sections of the page, in order."""

_ONE_STEP = (
    "Without a `run_id` it works on the current run. 200 with what the step made, 202 when that "
    "takes longer than `wait_seconds`, 409 naming the step that is missing. A step that is done "
    "returns at once."
)

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("post", "/api/b3/predict"): Operation(
        "Forecast one ticker, with reasons",
        "Action, probabilities, price, reasons, age of the data, `skill` and `degraded`. The LSTM "
        "adds `predicted_return`, `predicted_price`, `interval` and `sequence_length`. Also under "
        "`/predict`.",
        {"forest": {"ticker": "PETR4"}, "LSTM": {"ticker": "PETR4", "model_type": "lstm"}},
        {"forest": "predict_forest.json", "LSTM": "predict_lstm.json"},
    ),
    ("post", "/api/b3/predict/batch"): Operation(
        "Forecast many tickers, or all",
        "One short row per ticker, and the reason for every ticker without a forecast. Also under "
        "`/predict/batch`.",
        {"some": {"tickers": ["PETR4", "VALE3"]}, "all": {"tickers": "all"}},
        {"some": "batch_some.json"},
    ),
    ("get", "/assets"): Operation(
        "Search tickers and companies",
        "A page at a time. A search needs 3 characters, or none. Also under `/api/b3/assets`.",
    ),
    ("post", "/api/b3/complete-pipeline"): Operation(
        "Start a whole run",
        "202 with `run_id` and `execution_arn`: the run loads, trains, evaluates, registers and "
        "publishes, which takes minutes. Follow it with `pipeline-status`. A run cannot be stopped "
        "over HTTP; a version that it makes goes live only if the gate lets it.",
        {"forest": {"model_type": "rf"}, "LSTM": {"model_type": "lstm"}},
        confirm=STARTS,
    ),
    ("post", "/api/b3/load-data"): Operation(
        "Step 1: load quotes",
        "Starts a new run, which becomes the current one, unless a `run_id` names one that exists. "
        "200 with rows and columns, or 202 when it takes longer than `wait_seconds`. Any parameter "
        "of the run may be given here.",
        {"default": {"period": "5y"}},
        confirm=STARTS,
    ),
    ("post", "/api/b3/preprocess-data"): Operation(
        "Step 2: make features and labels",
        _ONE_STEP,
        {"default": {"horizon": 2}},
        confirm=RUNS_STEP,
    ),
    ("post", "/api/b3/split-data"): Operation(
        "Step 3: split by date",
        _ONE_STEP,
        {"default": {"test_size": 0.2, "val_size": 0.2}},
        confirm=RUNS_STEP,
    ),
    ("post", "/api/b3/train-model"): Operation(
        "Step 4: search, train, calibrate",
        _ONE_STEP,
        {"short": {"n_jobs": 2, "n_iter": 2}},
        confirm=RUNS_STEP,
    ),
    ("post", "/api/b3/evaluate-model"): Operation(
        "Step 5: evaluate on the test dates",
        _ONE_STEP,
        {"default": {"decision": "lift"}},
        confirm=RUNS_STEP,
    ),
    ("post", "/api/b3/save-model"): Operation(
        "Step 6: train again on all rows, register, publish",
        f"{_ONE_STEP} The gate decides whether the version goes live.",
        {"default": {"model_dir": "models"}},
        confirm=CHANGES_LIVE,
    ),
    ("get", "/api/b3/pipeline-status"): Operation(
        "Where a run stands",
        "Flags, progress, time and error of every step; while the LSTM trains, epoch, losses and "
        "slice. Without a `run_id` of the current run.",
    ),
    ("post", "/api/b3/clear-state"): Operation(
        "Have no current run any more",
        "Nothing is deleted: runs, models and quotes stay.",
        confirm="Calls without a run_id will have no run to work on. Go on?",
    ),
    ("get", "/api/b3/models"): Operation(
        "Versions of all model types", "Versions with their figures, what is live, the history."
    ),
    ("get", "/api/b3/models/{model_type}"): Operation(
        "Versions of one model type", "Versions with their figures, what is live, the history."
    ),
    ("post", "/api/b3/models/{model_type}/promote"): Operation(
        "Make a version live",
        "Answers `from` and `to`; 404 naming the registered versions, 409 on a lost race or where "
        "`expected` is not live.",
        {"by hand": {"model_version": "20231228-00000000", "why": "by hand"}},
        confirm=CHANGES_LIVE,
    ),
    ("post", "/api/b3/models/{model_type}/rollback"): Operation(
        "Go back to the version that was live before",
        "Answers `from` and `to`; 404 where nothing was live before. Again goes further back.",
        {"by hand": {"why": "by hand"}},
        confirm=CHANGES_LIVE,
    ),
    ("get", "/health"): Operation("Whether the function answers", "Touches nothing."),
}
"""Method and path -> texts."""

SAME_AS = {
    "/predict": "/api/b3/predict",
    "/predict/batch": "/api/b3/predict/batch",
    "/api/b3/assets": "/assets",
}
"""Paths of the reference's front end -> the path whose answers they give."""
