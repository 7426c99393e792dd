"""The command line: run, predict, ingest, lake, models, promote, rollback."""

import argparse
import getpass
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from b3shared.cli import output as terminal
from b3shared.cli.errors import CODE, outside_error, was_interrupted
from b3shared.core.clock import today
from b3shared.core.config import Settings
from b3shared.core.errors import B3Error, InvalidParameterError
from b3shared.evaluation.files import METRICS_FILE
from b3shared.params.run import MODEL_TYPES, PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline.export_run import export_run
from b3shared.quotes.corporate_actions.rename_table import RENAMES
from b3shared.quotes.ingest.import_quotes import fill_lake
from b3shared.quotes.lake.lake import LAKE
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.lake import LakeSource
from b3shared.registry.promotion import promote, rollback
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
from b3shared.runs.run import Run, new_run_id
from b3shared.runs.state_machine import execution_name
from b3shared.services import B3DataLoadingService, B3IngestionService, B3Model

SHOWN = ("PETR4", "VALE3", "ITUB4", "BBDC4", "ABEV3")
"""Tickers whose forecasts ``run`` prints."""


INTERRUPTED = 130
"""Exit status after Ctrl-C, as a shell has it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status.

    What is wrong with the input, the machine or the network is one line; only an error of the
    program's own is a traceback.
    """
    options = parse(arguments)
    try:
        options.command(options)
    except BrokenPipeError:
        return 1
    except (Exception, KeyboardInterrupt) as error:
        if was_interrupted(error):
            print("interrupted", file=sys.stderr)
            return INTERRUPTED
        if (reason := _in_a_line(error, options)) is None:
            raise
        print(reason, file=sys.stderr)
        return 2
    return 0


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command and its options; the words of a command may stand on all sides of its options."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    words = getattr(options, getattr(options, "words", ""), None)
    if rest and (words is None or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if words is not None:
        words += rest
    return options


def _in_a_line(error: BaseException, options: argparse.Namespace) -> str | None:
    """What a person has to know of an error; None for one that is the program's own."""
    if isinstance(error, B3Error):
        return f"{error.code}: {error.message}"
    settings = Settings.from_environment()
    places = (options.storage or settings.storage, options.quotes or settings.quotes)
    reason = outside_error(error, places)
    return None if reason is None else f"{CODE}: {reason}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m b3shared", description="Honest daily forecasts for B3."
    )
    parser.add_argument(
        "--quotes",
        help="Parquet file or folder, or DuckDB file (path#table); default: B3_QUOTES, else bundled",
    )
    parser.add_argument(
        "--storage", help="folder or s3://bucket/prefix; default: B3_STORAGE, else ./artifacts"
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    run = commands.add_parser("run", help="train, evaluate, register; decide what goes live")
    run.add_argument(
        "params",
        nargs="*",
        metavar="name=value",
        help="parameters, such as horizon=5 n_jobs=2 tickers=PETR4,VALE3",
    )
    run.add_argument("--run-id", help="name of the run; the same name resumes it")
    run.add_argument("--report", type=Path, help="copy the report and the pictures to this folder")
    run.set_defaults(command=_run, words="params")

    predict = commands.add_parser("predict", help="forecast from the newest quotes")
    predict.add_argument("tickers", nargs="*", help="tickers; none is all of them")
    predict.add_argument(
        "--version", dest="model_version", help="model version; default: the live one"
    )
    _model_options(predict)
    predict.set_defaults(command=_predict, words="tickers")

    ingest = commands.add_parser(
        "ingest", help="the exchange's own files into the lake; without a choice, what is missing"
    )
    which = ingest.add_mutually_exclusive_group()
    which.add_argument(
        "--year",
        type=int,
        nargs="+",
        default=[],
        help="whole years from the exchange, such as 2020 2021",
    )
    which.add_argument(
        "--since", help="every session from this day on from the exchange, such as 2024-01-02"
    )
    which.add_argument("--file", type=Path, help="one COTAHIST file: .TXT, .TXT.gz or .ZIP")
    which.add_argument("--folder", type=Path, help="all COTAHIST files of a folder, oldest first")
    ingest.add_argument(
        "--partial", action="store_true", help="the files are subsets: replace single rows only"
    )
    ingest.add_argument(
        "--force",
        action="store_true",
        help="replace also what the lake has from files that were made later",
    )
    ingest.set_defaults(command=_ingest)

    lake = commands.add_parser(
        "lake", help="put the quotes into the lake of the storage, one file a year"
    )
    lake.set_defaults(command=_lake)

    models = commands.add_parser("models", help="registered versions and what is live")
    _model_options(models)
    models.set_defaults(command=_models)

    for name, command, help_ in (
        ("promote", _promote, "make a version live"),
        ("rollback", _rollback, "go back one version"),
    ):
        change = commands.add_parser(name, help=help_)
        if name == "promote":
            change.add_argument("version")
        change.add_argument("--why", default="by hand", help="reason, kept with the event")
        _model_options(change)
        change.set_defaults(command=command)
    return parser


def _model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model-type",
        default="rf",
        type=lambda name: MODEL_TYPES.get(name, name),
        help="rf or lstm",
    )
    parser.add_argument("--model-dir", default="models", help="namespace in the registry")


def _run(options: argparse.Namespace) -> None:
    params = parse_params(options.params)
    p = PipelineParams.of(params)
    model = B3Model(options.quotes, options.storage)
    display = terminal.ProgressDisplay()
    run = Run.create(model.storage, options.run_id or new_run_id(), p)
    print(
        f"quotes {model.settings.quotes}\nstorage {model.storage.url}\nrun {run.run_id}\n",
        flush=True,
    )
    try:
        result = model.run(
            run_id=run.run_id, progress=display.progress, finished=display.finished, **params
        )
    except Exception as error:
        if not was_interrupted(error):
            _export(run, model.settings.warehouse, options)
        raise
    print()
    for note in terminal.findings(result.records[Step.LOAD_DATA].summary):
        print(f"  note: {note}")
    print(f"\n{terminal.comparison(result.metrics)}\n\n{result.metrics['headline']}")
    for warning in result.metrics["warnings"]:
        print(f"  warning: {warning}")
    print(f"\n{terminal.standing(result.records, live=result.live)}")
    if options.report:
        copy_report(run, options.report)
        print(f"report {options.report / 'report.html'}")
    _export(run, model.settings.warehouse, options)
    quotes = B3DataLoadingService(model.settings.quotes).load_data(**params)
    answer = model.predict(
        quotes, p.model_dir, model_type=p.model_type, model_version=result.model_version
    )
    chosen = [t for t in SHOWN if t in answer.index] or list(answer.index[:5])
    print(f"\n{terminal.forecasts(answer.loc[chosen], today())}")


def _export(run: Run, warehouse: str, options: argparse.Namespace) -> None:
    """Write what came of a run into the warehouse, where there is one; a run does not fail when that does."""
    if not warehouse:
        return
    try:
        print(
            terminal.exported(
                warehouse, export_run(run, execution_name(run.run_id, None, 1), warehouse)
            )
        )
    except Exception as error:
        if (reason := _in_a_line(error, options)) is None:
            raise
        print(f"warning: the run is not in the warehouse: {reason}", file=sys.stderr)


def parse_params(words: Sequence[str]) -> dict[str, Any]:
    """``name=value`` words as parameters; values are JSON where they parse as such, else text.

    Raises:
        InvalidParameterError: A word without ``=``.
    """
    params: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidParameterError(f"{word!r}: name=value is allowed, such as horizon=5")
        try:
            params[name] = json.loads(value)
        except (ValueError, RecursionError):
            params[name] = value
    return params


def copy_report(run: Run, folder: Path) -> dict[str, Any]:
    """Copy a run's report and pictures to a folder; return its metrics."""
    with tempfile.TemporaryDirectory() as temporary:
        made = run.fetch(Step.EVALUATE_MODEL, Path(temporary))
        folder.mkdir(parents=True, exist_ok=True)
        for path in made.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
    metrics: dict[str, Any] = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
    return metrics


def _predict(options: argparse.Namespace) -> None:
    model, tickers = B3Model(options.quotes, options.storage), options.tickers or None
    which = {
        "model_type": options.model_type,
        "model_version": options.model_version,
        "tickers": tickers,
    }
    quotes = model.newest_quotes(options.model_dir, **which)
    print(f"quotes {quotes.attrs['report']['source']}")
    print(terminal.forecasts(model.predict(quotes, options.model_dir, **which), today()))


def _ingest(options: argparse.Namespace) -> None:
    model, display = B3Model(options.quotes, options.storage), terminal.ProgressDisplay()
    service = B3IngestionService(model.settings, display.progress)
    given: dict[str, Any] = {"years": options.year, "since": options.since}
    local = options.file or options.folder
    if options.partial and not local:
        raise InvalidParameterError(
            "--partial is for --file and --folder: the exchange's own files are whole"
        )
    if options.force and not local:
        raise InvalidParameterError(
            "--force is for --file and --folder: what the exchange gives away is its newest"
        )
    how = {"partial": options.partial, "force": options.force}
    for file in service.ingest_local(local, **how) if local else service.ingest_published(**given):
        display.ingested(file)
    if service.not_published:
        print(f"  not published: {terminal.some(service.not_published)}")
    if service.actions_changed:
        print("  corporate actions made anew")
    for row in service.overrides_without_effect:
        print(f"  override without effect: {row}")
    for pair in service.possible_renames:
        print(f"  possible rename: {pair} to {RENAMES}")
    lake = f"{model.storage.url}/{LAKE}"
    print(f"{lake}: newest session {LakeSource(lake).newest()}; use it with --quotes {lake}")


def _lake(options: argparse.Namespace) -> None:
    model = B3Model(options.quotes, options.storage)
    filled = fill_lake(open_source(model.settings.quotes), model.storage)
    for key in filled.keys:
        print(f"{model.storage.url}/{key}")
    for note in filled.notes():
        print(f"  note: {note}")


def _models(options: argparse.Namespace) -> None:
    model = B3Model(options.quotes, options.storage)
    live = Release(model.storage).state().live.get(f"{options.model_dir}/{options.model_type}")
    for manifest in Registry(model.storage, options.model_dir).versions(options.model_type):
        mark = "*" if manifest["version"] == live else " "
        skill = manifest.get("evaluated", {}).get("skill", "not evaluated")
        print(
            f"{mark} {manifest['version']}  trained through {manifest['train_end']}  skill {skill}"
        )
    if live is None:
        print("nothing is live")


def _promote(options: argparse.Namespace) -> None:
    storage = B3Model(options.quotes, options.storage).storage
    promote(
        storage,
        options.model_dir,
        options.model_type,
        options.version,
        who=getpass.getuser(),
        why=options.why,
    )
    print(f"live: {options.version}")


def _rollback(options: argparse.Namespace) -> None:
    storage = B3Model(options.quotes, options.storage).storage
    rollback(storage, options.model_dir, options.model_type, who=getpass.getuser(), why=options.why)
    print(f"live: {Release(storage).live(options.model_dir, options.model_type)}")
