"""``b3 run``: train, evaluate and register a model, and show what came of it."""

import sys
from pathlib import Path
from typing import Any

import click

from b3shared.cli import forecasts, output
from b3shared.cli.errors import describe, was_interrupted
from b3shared.cli.extras import require
from b3shared.cli.parameters import ParameterCommand, given_parameters, parameter_options
from b3shared.cli.places import Places, place_options
from b3shared.cli.report import copy_report
from b3shared.core.clock import today
from b3shared.params.models import model_spec
from b3shared.params.run import PipelineParams
from b3shared.pipeline.export_run import export_run
from b3shared.runs.run import Run, new_run_id
from b3shared.runs.state_machine import execution_name
from b3shared.services.b3_model import B3Model, RunResult
from b3shared.services.data_loading import B3DataLoadingService


@click.command(cls=ParameterCommand)
@click.option("--run-id", metavar="NAME", help="Name of the run; the same name resumes it.")
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Copy the report and its pictures to this folder.",
)
@place_options
@parameter_options
@click.pass_obj
def run(
    places: Places,
    /,
    run_id: str | None,
    report: Path | None,
    words: tuple[str, ...],
    **options: Any,
) -> None:
    """Train, evaluate and register a model; decide what goes live.

    Every parameter may be given as an option (--horizon 5) or as a word (horizon=5).
    """
    params = given_parameters(words, options)
    checked = PipelineParams.from_values(params)
    require(model_spec(checked.model_type).extra)

    model = places.model()
    started = Run.create(model.storage, run_id or new_run_id(), checked)
    print(f"quotes {model.settings.quotes}")
    print(f"storage {model.storage.url}")
    print(f"run {started.run_id}\n", flush=True)

    result = _follow(model, started, params, places)
    print(f"\n{output.outcome(result.records, result.metrics, live=result.live)}")
    if report:
        copy_report(started, report)
        print(f"report {report / 'report.html'}")
    _export(started, model.settings.warehouse, places)
    _show_forecasts(model, checked, params, result.model_version)


def _follow(model: B3Model, run: Run, params: dict[str, Any], places: Places) -> RunResult:
    """Run all steps and show their progress; a run that fails is exported too."""
    display = output.ProgressDisplay()
    try:
        return model.run(
            run_id=run.run_id, progress=display.progress, finished=display.finished, **params
        )
    except Exception as error:
        if not was_interrupted(error):
            _export(run, model.settings.warehouse, places)
        raise


def _export(run: Run, warehouse: str, places: Places) -> None:
    """Write a run's result to the warehouse, if there is one; a failure there is a warning only."""
    if not warehouse:
        return
    try:
        rows = export_run(run, execution_name(run.run_id, None, 1), warehouse)
    except Exception as error:
        if (reason := describe(error, places.locations())) is None:
            raise
        print(output.export_warning(reason), file=sys.stderr)
    else:
        print(output.export_summary(warehouse, rows))


def _show_forecasts(
    model: B3Model, params: PipelineParams, given: dict[str, Any], version: str
) -> None:
    """Print forecasts of the new version for a few tickers."""
    quotes = B3DataLoadingService(model.settings.quotes).load_data(**given)
    answer = model.predict(
        quotes, params.model_dir, model_type=params.model_type, model_version=version
    )
    known = [ticker for ticker in forecasts.SHOWN if ticker in answer.index]
    chosen = known or list(answer.index[: len(forecasts.SHOWN)])
    print(f"\n{forecasts.forecast_table(answer.loc[chosen], today())}")
