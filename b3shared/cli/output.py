"""Text of a run for a terminal: its progress, its steps, and its result beside the baselines."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from b3shared.evaluation.backtest_summary import SHOWN, backtest_summary
from b3shared.evaluation.report.titles import title_of
from b3shared.params.steps import Step
from b3shared.runs.run import StepRecord

_COLUMNS = (
    ("accuracy", "accuracy", ".3f"),
    ("macro_f1", "macro F1", ".3f"),
    ("log_loss", "log loss", ".4f"),
    ("rank_ic", "rank IC", "+.3f"),
    ("directional_accuracy", "direction", ".1%"),
)
"""Key of a figure, its heading, its format."""

_BACKTEST_COLUMNS = (
    ("net_annual_return", "a year", ".1%"),
    ("above_cdi_annual_return", "above CDI", "+.1%"),
    ("sharpe_above_cdi", "Sharpe", "+.2f"),
    ("beta", "beta", ".2f"),
    ("alpha", "alpha", "+.1%"),
)
"""Key of a figure of the backtest, its heading, its format."""

_COUNTERS = ("done", "total", "epoch", "epochs", "slice")
"""Keys of a progress message that are not figures of the model."""


class ProgressDisplay:
    """Shows progress: one line that is rewritten in a terminal, one line per step elsewhere.

    Args:
        stream: where to write; None is the standard output.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout  # of now, not of when this module was imported
        self._live = self._stream.isatty()

    def progress(self, message: Mapping[str, Any]) -> None:
        """Show how far a step is, in a terminal."""
        if self._live:
            self._write(f"  {message.get('step', '')}: {progress_text(message)}", end="")

    def finished(self, record: StepRecord, before: bool) -> None:
        """Show that a step is done.

        Args:
            record: of the step.
            before: whether it had been done before this run of the program.
        """
        duration = "done before" if before else f"{record.seconds:6.1f} s"
        self._write(f"  {record.step:<16} {duration}  {step_summary(record)}")

    def ingested(self, file: Mapping[str, Any]) -> None:
        """Show what changed in the lake with a file of quotes."""
        days = " to ".join(sorted({file["first_session"], file["last_session"]}))
        changes = ", ".join(filter(None, map(_year_changes, file["years"])))
        if not changes:
            changes = "corporate actions made anew" if file["changed"] else "nothing new"
        self._write(
            f"  {file['name']:<24} {file['rows']:>9,} quotes, {days}: "
            f"{changes}{_rejected_lines(file)}{_kept_sessions(file)}"
        )

    def _write(self, text: str, end: str = "\n") -> None:
        clear = "\r\033[K" if self._live else ""
        self._stream.write(f"{clear}{text}{end}")
        self._stream.flush()


def _year_changes(year: Mapping[str, int]) -> str:
    counts = {
        "new": year["added"],
        "corrected": year["changed"],
        "removed": year["removed"],
        "confirmed": year["confirmed"],
    }
    changes = " ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    return changes and f"{year['year']}: {changes}"


def _rejected_lines(file: Mapping[str, Any]) -> str:
    if not file["rejected"]:
        return ""
    more = ", ..." if file["rejected"] > len(file["rejected_lines"]) else ""
    lines = ", ".join(map(str, file["rejected_lines"])) + more
    where = f"lake/ingested/{file['sha256']}.json"
    return f"; {file['rejected']} lines rejected ({lines}: {where}), so nothing is removed"


def _kept_sessions(file: Mapping[str, Any]) -> str:
    newer = [day for year in file["years"] for day in year["kept_newer"]]
    if not newer:
        return ""
    return f"; {first_names(newer)} kept as a newer file has it (--force replaces it)"


def progress_text(message: Mapping[str, Any]) -> str:
    """Return how far a step is: its phase, how much of it is done, its figures so far."""
    count = f" {message['done']}/{message['total']}" if "total" in message else ""
    figures = "".join(
        f", {name.replace('_', ' ')} {value:.4g}"
        for name, value in message.items()
        if name not in _COUNTERS and isinstance(value, int | float)
    )
    return f"{message.get('phase', '')}{count}{figures}"


def step_summary(record: StepRecord) -> str:
    """Return a step's summary in a few words."""
    s = record.summary

    match str(record.step):
        case "load_data":
            period = f"{s['first_session']} to {s['last_session']}"
            return f"{s['rows']:,} quotes of {s['tickers']} tickers, {period}"
        case "preprocess_data":
            return _table_summary(s)
        case "split_data":
            parts = {name: s[f"{name}_size"] for name in ("train", "validation", "test")}
            sizes = ", ".join(f"{size:,} {name}" for name, size in parts.items())
            return f"{sizes} rows; test from {s['boundaries']['test']['first']}"
        case "train_model":
            chosen = ", ".join(f"{name} {value}" for name, value in s["chosen"].items())
            return f"{chosen}; temperature {s['temperature']:.2f}"
        case "evaluate_model":
            return f"skill: {s['skill']}"
        case "refit_model":
            return f"{s['rows']:,} rows through {s['train_end']}"
        case "publish_serving":
            refused = "" if s["published"] else f", not served: {s['reason']}"
            return f"{s['tickers']} tickers as of {s['as_of']}{refused}"
        case _:
            return f"{s.get('model_version', '')} {_saved_state(s)}: {s.get('decision', '')}"


def _table_summary(summary: Mapping[str, Any]) -> str:
    labelled = summary["labelled_rows"]
    shares = ", ".join(
        f"{name} {count / labelled:.0%}" for name, count in summary["target_distribution"].items()
    )
    reasons = ", ".join(
        f"{count:,} {reason.replace('_', ' ')}"
        for reason, count in summary["left_out"].items()
        if count
    )
    left_out = f"; left out: {reasons}" if reasons else ""
    return f"{labelled:,} labelled rows, {summary['features']} features; {shares}{left_out}"


def _saved_state(summary: Mapping[str, Any]) -> str:
    if summary.get("live"):
        return "is live"
    if summary.get("pending"):
        return "goes live when its windows are published"
    return "kept"


def outcome(records: Mapping[Step, StepRecord], metrics: Mapping[str, Any], *, live: bool) -> str:
    """Return a run's result: notes on its quotes, the baselines, the verdict, the version's status.

    Args:
        records: of all its steps.
        metrics: the evaluation, as in ``metrics.json``.
        live: whether the version is live now.
    """
    notes = [f"  note: {note}" for note in quote_notes(records[Step.LOAD_DATA].summary)]
    warnings = [f"  warning: {warning}" for warning in metrics["warnings"]]
    verdict = "\n".join([metrics["headline"], *warnings])
    paragraphs = [
        "\n".join(notes),
        comparison(metrics),
        backtest_text(metrics),
        verdict,
        version_status(records, live=live),
    ]
    return "\n\n".join(filter(None, paragraphs))


def version_status(records: Mapping[Step, StepRecord], *, live: bool) -> str:
    """Return what became of a run's version, in one sentence.

    Args:
        records: of all its steps.
        live: whether the version is live now.
    """
    saved = records[Step.SAVE_MODEL].summary
    published = records[Step.PUBLISH_SERVING].summary
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


def export_summary(warehouse: str, rows: Mapping[str, int]) -> str:
    """Return how many rows went to which table of the warehouse.

    Args:
        warehouse: where it is.
        rows: by table, from :func:`b3shared.pipeline.export_run.export_run`.
    """
    counts = ", ".join(
        f"{count} row{'' if count == 1 else 's'} of {table}" for table, count in rows.items()
    )
    return f"warehouse {warehouse}: {counts}"


def export_warning(reason: str) -> str:
    """Return the warning that a run could not be written to the warehouse."""
    return f"warning: the run is not in the warehouse: {reason}"


def first_names(names: Sequence[str], shown: int = 5) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def comparison(metrics: Mapping[str, Any]) -> str:
    """Return a table of the model and the baselines on the test part; a dash is "not available"."""
    rows = {"model": metrics["model"]["test"]}
    rows |= {name: baseline["figures"] for name, baseline in metrics["baselines"].items()}

    head = "".join(f"{title:>11}" for _, title, _ in _COLUMNS)
    lines = [f"{'on the test dates':<22}{head}"]
    for name, figures in rows.items():
        cells = "".join(f"{_cell(figures.get(key), form):>11}" for key, _, form in _COLUMNS)
        lines.append(f"{title_of(name):<22}{cells}")
    return "\n".join(lines)


def backtest_text(metrics: Mapping[str, Any]) -> str:
    """Return a table of the backtest beside universe, market and CDI, and notes on what is missing.

    Empty for an evaluation of an earlier version, which has no benchmarks.
    """
    if "benchmarks" not in metrics["backtest"]:
        return ""
    found = backtest_summary(metrics)
    head = "".join(f"{title:>11}" for _, title, _ in _BACKTEST_COLUMNS)
    lines = [f"{'after costs':<32}{head}"]

    names = {"model": "model", "universe": "all stocks equally", "market": found["market_name"]}
    for key, name in {**names, "cdi": "CDI"}.items():
        if key == "market" and not metrics["backtest"]["benchmarks"][SHOWN[1]]["market"]["source"]:
            continue  # the universe stands in for it
        cells = "".join(
            f"{_cell(found[key][name], form):>11}" for name, _, form in _BACKTEST_COLUMNS
        )
        lines.append(f"{name:<32}{cells}")
    return "\n".join([*lines, *(f"  note: {finding}" for finding in found["findings"])])


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def quote_notes(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield notes on the quotes that were loaded: missing columns, odd rows.

    Args:
        summary: of the step ``load_data``.
    """
    if summary["missing_columns"]:
        yield f"the source has no {', '.join(summary['missing_columns'])}"
    for finding in summary["findings"]:
        example = f", such as {finding['examples'][0]}" if finding["examples"] else ""
        yield f"{finding['rows']} x {finding['kind']} ({finding['action']}){example}"
