"""What a person sees of a run in a terminal: the data, the progress, the result beside the baselines, the forecasts."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import pandas as pd

from b3shared.dataset import CLASSES
from b3shared.runs import StepRecord

_COLUMNS = (
    ("accuracy", "accuracy", ".3f"),
    ("macro_f1", "macro F1", ".3f"),
    ("log_loss", "log loss", ".4f"),
    ("rank_ic", "rank IC", "+.3f"),
    ("directional_accuracy", "direction", ".1%"),
)


class ProgressDisplay:
    """Says what is being done: one line that is rewritten in a terminal, one line a step elsewhere."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream, self._live, self._started = stream, stream.isatty(), time.monotonic()

    def progress(self, words: Mapping[str, Any]) -> None:
        """A word from within a step."""
        if not self._live:
            return
        count = f" {words['done']}/{words['total']}" if "total" in words else ""
        self._line(f"  {words.get('step', '')}: {words.get('phase', '')}{count}", end="")

    def finished(self, record: StepRecord, before: bool) -> None:
        """A step is done (or was, ``before``)."""
        self._line(f"  {record.step:<16} {'done before' if before else f'{record.seconds:6.1f} s'}  {told(record)}")

    def _line(self, text: str, end: str = "\n") -> None:
        clear = "\r\033[K" if self._live else ""
        self._stream.write(f"{clear}{text}{end}")
        self._stream.flush()


def told(record: StepRecord) -> str:
    """A step's summary in a few words."""
    s = record.summary
    match str(record.step):
        case "load_data":
            return f"{s['rows']:,} quotes of {s['tickers']} tickers, {s['first_session']} to {s['last_session']}"
        case "preprocess_data":
            shares = ", ".join(f"{name} {n / s['labelled_rows']:.0%}" for name, n in s["target_distribution"].items())
            return f"{s['labelled_rows']:,} labelled rows, {s['features']} features; {shares}{_left_out(s['left_out'])}"
        case "split_data":
            sizes = f"{s['train_size']:,} train, {s['validation_size']:,} validation, {s['test_size']:,} test rows"
            return f"{sizes}; test from {s['boundaries']['test']['first']}"
        case "train_model":
            chosen = ", ".join(f"{name} {value}" for name, value in s["chosen"].items())
            return f"{chosen}; temperature {s['temperature']:.2f}"
        case "evaluate_model":
            return f"skill: {s['skill']}"
        case "refit_model":
            return f"{s['rows']:,} rows through {s['train_end']}"
        case "publish_serving":
            return f"{s['tickers']} tickers as of {s['as_of']}{'' if s['published'] else ', not served: ' + s['reason']}"
        case _:
            return (
                f"{s.get('model_version', '')} {'is live' if s.get('live') else 'kept, not live'}: {s.get('decision', '')}"
            )


def _left_out(counts: Mapping[str, int]) -> str:
    """How many rows were left out and why, where there are any."""
    reasons = ", ".join(f"{n:,} {reason.replace('_', ' ')}" for reason, n in counts.items() if n)
    return f"; left out: {reasons}" if reasons else ""


def comparison(metrics: Mapping[str, Any]) -> str:
    """The model beside the baselines on the test part, as a table; a dash where a baseline does not say."""
    rows = {"model": metrics["model"]["test"]} | {n: b["figures"] for n, b in metrics["baselines"].items()}
    lines = [f"{'on the test dates':<22}" + "".join(f"{title:>11}" for _, title, _ in _COLUMNS)]
    for name, figures in rows.items():
        cells = (_cell(figures.get(key), form) for key, _, form in _COLUMNS)
        lines.append(f"{name.replace('_', ' '):<22}" + "".join(f"{cell:>11}" for cell in cells))
    return "\n".join(lines)


_HEAD = f"{'ticker':<8}{'action':<8}{'buy':>7}{'hold':>7}{'sell':>7}{'close':>10}  as of"


def forecasts(answer: pd.DataFrame) -> str:
    """Predictions of the Python API as a table."""
    return "\n".join(
        [_HEAD]
        + [
            _forecast(
                str(ticker), row["action"], [row[name] for name in CLASSES], row["last_price"], f"{row['as_of']:%Y-%m-%d}"
            )
            for ticker, row in answer.iterrows()
        ]
    )


def served_forecasts(answer: Mapping[str, Any]) -> str:
    """The answer of ``predict/batch`` as a table, with the reason where there is no forecast."""
    rows = [
        _forecast(p["ticker"], p["prediction"], p["probabilities"], p["last_price"], p["as_of"])
        for p in answer["predictions"]
    ]
    return "\n".join([_HEAD, *rows, *(f"{e['ticker']:<8}{e['code']}: {e['message']}" for e in answer["errors"])])


def _forecast(ticker: str, action: str, probabilities: Sequence[float], close: float, as_of: str) -> str:
    shares = "".join(f"{p:>7.1%}" for p in probabilities)
    return f"{ticker:<8}{action:<8}{shares}{close:>10.2f}  {as_of}"


def findings(summary: Mapping[str, Any]) -> Iterable[str]:
    """Notes on the quotes that were loaded."""
    if summary["missing_columns"]:
        yield f"the source has no {', '.join(summary['missing_columns'])}"
    for finding in summary["findings"]:
        yield f"{finding['rows']} x {finding['kind']} ({finding['action']}), such as {finding['examples'][0]}"


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
