"""What a person sees of a run in a terminal: the data, the progress, the result beside the baselines, the forecasts."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, TextIO

import pandas as pd

from b3shared.core.skill import in_words
from b3shared.core.vocabulary import CLASSES
from b3shared.evaluation.report.titles import title_of
from b3shared.params.steps import Step
from b3shared.quotes.calendar import sessions_between
from b3shared.runs.run import StepRecord

_COLUMNS = (
    ("accuracy", "accuracy", ".3f"),
    ("macro_f1", "macro F1", ".3f"),
    ("log_loss", "log loss", ".4f"),
    ("rank_ic", "rank IC", "+.3f"),
    ("directional_accuracy", "direction", ".1%"),
)


class ProgressDisplay:
    """Says what is being done: one line that is rewritten in a terminal, one line a step elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout  # of now, not of when this module was imported
        self._live = self._stream.isatty()
        self._started = time.monotonic()

    def progress(self, words: Mapping[str, Any]) -> None:
        """A word from within a step."""
        if self._live:
            self._line(f"  {words.get('step', '')}: {course(words)}", end="")

    def finished(self, record: StepRecord, before: bool) -> None:
        """A step is done (or was, ``before``)."""
        self._line(
            f"  {record.step:<16} {'done before' if before else f'{record.seconds:6.1f} s'}  {told(record)}"
        )

    def ingested(self, file: Mapping[str, Any]) -> None:
        """A file of quotes was taken in."""
        years = ", ".join(told for year in file["years"] if (told := _year_change(year)))
        refused = f"; {_rejected(file)}" if file["rejected"] else ""
        newer = [day for year in file["years"] for day in year["kept_newer"]]
        kept = f"; {some(newer)} kept as a newer file has it (--force replaces it)" if newer else ""
        nothing = "corporate actions made anew" if file["changed"] else "nothing new"
        days = " to ".join(sorted({file["first_session"], file["last_session"]}))
        self._line(
            f"  {file['name']:<24} {file['rows']:>9,} quotes, {days}: {years or nothing}{refused}{kept}"
        )

    def _line(self, text: str, end: str = "\n") -> None:
        clear = "\r\033[K" if self._live else ""
        self._stream.write(f"{clear}{text}{end}")
        self._stream.flush()


def _rejected(file: Mapping[str, Any]) -> str:
    more = ", ..." if file["rejected"] > len(file["rejected_lines"]) else ""
    lines = ", ".join(map(str, file["rejected_lines"])) + more
    return f"{file['rejected']} lines rejected ({lines}: lake/ingested/{file['sha256']}.json), so nothing is removed"


def _year_change(year: Mapping[str, int]) -> str:
    counts = {
        "new": year["added"],
        "corrected": year["changed"],
        "removed": year["removed"],
        "confirmed": year["confirmed"],
    }
    told = " ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    return told and f"{year['year']}: {told}"


def course(words: Mapping[str, Any]) -> str:
    """How far a step is: the phase, how much of it is done, the figures so far."""
    count = f" {words['done']}/{words['total']}" if "total" in words else ""
    counted = ("done", "total", "epoch", "epochs", "slice")
    figures = {n: v for n, v in words.items() if n not in counted and isinstance(v, int | float)}
    return f"{words.get('phase', '')}{count}" + "".join(
        f", {n.replace('_', ' ')} {v:.4g}" for n, v in figures.items()
    )


def told(record: StepRecord) -> str:
    """A step's summary in a few words."""
    s = record.summary
    match str(record.step):
        case "load_data":
            return f"{s['rows']:,} quotes of {s['tickers']} tickers, {s['first_session']} to {s['last_session']}"
        case "preprocess_data":
            shares = ", ".join(
                f"{name} {n / s['labelled_rows']:.0%}"
                for name, n in s["target_distribution"].items()
            )
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
            state = (
                "is live"
                if s.get("live")
                else "goes live when its windows are published"
                if s.get("pending")
                else "kept"
            )
            return f"{s.get('model_version', '')} {state}: {s.get('decision', '')}"


def _left_out(counts: Mapping[str, int]) -> str:
    """How many rows were left out and why, where there are any."""
    reasons = ", ".join(f"{n:,} {reason.replace('_', ' ')}" for reason, n in counts.items() if n)
    return f"; left out: {reasons}" if reasons else ""


def standing(records: Mapping[Step, StepRecord], *, live: bool) -> str:
    """What became of a run's version, in a sentence.

    Args:
        records: of all its steps.
        live: whether the version is live now.
    """
    saved, published = records[Step.SAVE_MODEL].summary, records[Step.PUBLISH_SERVING].summary
    version = saved["model_version"]
    if live:
        state = f"is live: {saved['decision']}"
    elif saved["live"] or published.get("promoted") == version:
        state = f"was made live ({saved['decision']}) and is not live any more"
    elif saved.get("pending"):
        state = f"is registered, not live: {published.get('reason') or saved['pending']}"
    else:
        state = f"is registered, not live: {saved['decision']}"
    return f"version {version} {state}"


def exported(warehouse: str, rows: Mapping[str, int]) -> str:
    """What was written where, of :func:`b3shared.pipeline.export_run.export_run`."""
    counts = ", ".join(
        f"{count} row{'' if count == 1 else 's'} of {table}" for table, count in rows.items()
    )
    return f"warehouse {warehouse}: {counts}"


def some(names: Sequence[str], shown: int = 5) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def comparison(metrics: Mapping[str, Any]) -> str:
    """The model beside the baselines on the test part, as a table; a dash where a baseline does not say."""
    rows = {"model": metrics["model"]["test"]} | {
        n: b["figures"] for n, b in metrics["baselines"].items()
    }
    lines = [f"{'on the test dates':<22}" + "".join(f"{title:>11}" for _, title, _ in _COLUMNS)]
    for name, figures in rows.items():
        cells = (_cell(figures.get(key), form) for key, _, form in _COLUMNS)
        lines.append(f"{title_of(name):<22}" + "".join(f"{cell:>11}" for cell in cells))
    return "\n".join(lines)


def forecasts(answer: pd.DataFrame, today: date) -> str:
    """Predictions of the Python API as a table with how to read it; returns and prices where the model says them.

    Args:
        answer: of :meth:`b3shared.services.B3Model.predict`, not empty.
        today: for the age of the quotes.
    """
    returns = answer.get("predicted_return")
    lines = [_head(returns is not None)]
    for ticker, row in answer.iterrows():
        of = [row[name] for name in CLASSES], row["last_price"], f"{row['as_of']:%Y-%m-%d}"
        expected = (
            None
            if returns is None
            else (row["predicted_price"], row["price_low"], row["price_high"])
        )
        lines.append(_forecast(str(ticker), row["action"], *of, expected))
    newest = answer["as_of"].max().date()
    age = sessions_between(newest, today)
    return "\n".join([*lines, "", *reading(answer.attrs.get("skill"), str(newest), age)])


def served_forecasts(answer: Mapping[str, Any]) -> str:
    """The answer of ``predict/batch`` as a table with how to read it; the reason where there is no forecast."""
    predictions = answer["predictions"]
    lines = [_head(any(p["interval"] for p in predictions))]
    for p in predictions:
        known = p["interval"]
        expected = (
            (p["predicted_price"], known["price_low"], known["price_high"]) if known else None
        )
        lines.append(
            _forecast(
                p["ticker"],
                p["prediction"],
                p["probabilities"],
                p["last_price"],
                p["as_of"],
                expected,
            )
        )
    lines += [f"{e['ticker']:<8}{e['code']}: {e['message']}" for e in answer["errors"]]
    if predictions:
        newest = max(predictions, key=lambda p: str(p["as_of"]))
        lines += ["", *reading(answer["skill"], newest["as_of"], newest["data_age_sessions"])]
    return "\n".join(lines)


def reading(skill: str | None, newest: str, age: int) -> list[str]:
    """What a reader of forecasts must know: the model's skill, the age of its quotes, what a side means.

    Args:
        skill: verdict of the version's evaluation; None without one.
        newest: date of the newest quote.
        age: sessions of the exchange since then, up to yesterday.
    """
    since = f"{age:,} session{'' if age == 1 else 's'}" if age else "no session"
    return [
        f"skill {skill or 'unknown'}: {in_words(skill)}",
        f"data of {newest}: {since} of the exchange since then",
        "buy or sell is a leaning to the more probable side; hold may still be more probable than both",
    ]


def _head(with_prices: bool) -> str:
    expected = f"{'expected':>12}{'interval':>18}" if with_prices else ""
    return f"{'ticker':<8}{'action':<8}{'buy':>7}{'hold':>7}{'sell':>7}{'close':>10}  {'as of':<10}{expected}".rstrip()


def _forecast(
    ticker: str,
    action: str,
    probabilities: Sequence[float],
    close: float,
    as_of: str,
    expected: tuple[float, float, float] | None,
) -> str:
    shares = "".join(f"{p:>7.1%}" for p in probabilities)
    price = ""
    if expected:
        mid, low, high = expected
        price = f"{mid:>12.2f}{f'{low:.2f} to {high:.2f}':>18}"
    return f"{ticker:<8}{action:<8}{shares}{close:>10.2f}  {as_of}{price}"


def findings(summary: Mapping[str, Any]) -> Iterable[str]:
    """Notes on the quotes that were loaded."""
    if summary["missing_columns"]:
        yield f"the source has no {', '.join(summary['missing_columns'])}"
    for finding in summary["findings"]:
        example = f", such as {finding['examples'][0]}" if finding["examples"] else ""
        yield f"{finding['rows']} x {finding['kind']} ({finding['action']}){example}"


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
