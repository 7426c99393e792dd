"""``make run``: the whole product on this machine, from the template that AWS gets.

Starts the emulator, deploys ``template.yaml``, fills the lake, runs the state machine for each type
of model (or the one that is asked for), prints the result, and serves.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click
import requests

from b3shared.cli import forecasts, output
from b3shared.cli.errors import describe
from b3shared.cli.parameters import ParameterCommand, given_parameters, parameter_options
from b3shared.cli.report import copy_report
from b3shared.core.config import BUNDLED_MARKET, BUNDLED_QUOTES, Settings
from b3shared.core.errors import B3Error
from b3shared.params.models import model_types
from b3shared.params.steps import Step
from b3shared.quotes.ingest.import_quotes import fill_lake
from b3shared.quotes.sources import open_source
from b3shared.registry.key import ModelKey
from b3shared.registry.release import Release
from b3shared.runs.failures import message_of
from b3shared.runs.run import Run
from b3shared.storage import Storage, open_storage
from b3shared.storage.database import is_motherduck
from infra.local import LocalStack, LocalStackError
from infra.local.aws import isolate_from_user

ROOT = Path(__file__).resolve().parents[1]
PARAMETERS = {
    "Environment": "LOCAL",
    "WaitSeconds": "600",
    "ApiTimeout": "900",
    "RetrainSchedule": "cron(0 6 ? * SUN *)",
}
"""Of the template, for this machine."""


@click.command(cls=ParameterCommand, context_settings={"max_content_width": 100})
@click.option(
    "--data",
    default=str(BUNDLED_QUOTES),
    metavar="PATH",
    help="Quotes: a Parquet file or folder, or a DuckDB file; default: those of the checkout.",
)
@click.option(
    "--state-dir",
    metavar="FOLDER",
    help="Keep the bucket here between runs; default: nothing is kept.",
)
@click.option("--port", type=int, default=5000, show_default=True, help="Port of the HTTP API.")
@click.option("--serve/--no-serve", default=True, help="Serve when the result is printed, or end.")
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "artifacts" / "report",
    metavar="FOLDER",
    help="Where the reports go; default: artifacts/report of the checkout.",
)
@parameter_options
def run_local(
    data: str,
    state_dir: str | None,
    port: int,
    serve: bool,
    report: Path,
    words: tuple[str, ...],
    **options: Any,
) -> int:
    """Deploy to an emulator on this machine, train, evaluate, forecast, serve."""
    started = time.monotonic()
    warehouse = warehouse_of(Settings.from_environment())
    stack = LocalStack(
        ROOT / "template.yaml",
        PARAMETERS | {"Warehouse": warehouse},
        port=port if serve else 0,
        state_dir=state_dir,
    )
    with stack:
        seconds = time.monotonic() - started
        print(f"stack      deployed from template.yaml in {seconds:.1f} s, API {stack.api_url}")
        _use(stack)
        storage = open_storage(f"s3://{stack.outputs['BucketName']}")
        _fill_lake(data, storage)

        params = given_parameters(words, options)
        for model_type in [params["model_type"]] if "model_type" in params else model_types():
            wanted = params | {"model_type": model_type}
            if not _run(stack, storage, wanted, report, warehouse):
                return 1

        print(f"\nall done   in {time.monotonic() - started:.0f} s")
        if serve:
            _serve(stack)
        return 0


def main() -> int:
    """Run until Ctrl-C, or until the result is printed; return the exit status."""
    try:
        return int(run_local.main(prog_name="make run", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except LocalStackError as error:
        print(f"LOCAL_STACK: {error}", file=sys.stderr)
        return 2
    except B3Error as error:
        print(describe(error, ()), file=sys.stderr)
        return 2
    except (KeyboardInterrupt, click.Abort):
        print("\nstopped")
        return 0


def warehouse_of(settings: Settings) -> str:
    """Return the template's parameter Warehouse: absolute, since functions run in other folders."""
    place = settings.warehouse
    return place if not place or is_motherduck(place) else str(Path(place).absolute())


def _use(stack: LocalStack) -> None:
    """Point this process's own boto3 at the emulator, and away from the user's account."""
    isolated = isolate_from_user() | {
        "AWS_ENDPOINT_URL": stack.aws_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "sa-east-1",
    }
    os.environ.clear()
    os.environ.update(isolated)


def _fill_lake(data: str, storage: Storage) -> None:
    filled = fill_lake(open_source(data), storage, replace=True)
    print(f"lake       {data} in {len(filled.keys)} yearly files")
    for note in filled.notes():
        print(f"  note: {note}")
    _upload_market(Path(data).parent, storage)


def _upload_market(folder: Path, storage: Storage) -> None:
    """Upload the daily rate, the index and the sectors that lie beside the quotes."""
    found = [name for name in BUNDLED_MARKET if (folder / name).is_file()]
    for name in found:
        storage.upload(folder / name, f"market/{name}")
    if found:
        print(f"market     {', '.join(found)} from beside the quotes")


def _run(
    stack: LocalStack, storage: Storage, params: dict[str, Any], reports: Path, warehouse: str
) -> bool:
    """Run the state machine once, show its progress and result; return whether it succeeded."""
    answer = requests.post(f"{stack.api_url}/api/b3/complete-pipeline", json=params, timeout=60)
    body = answer.json()
    if answer.status_code != 202:
        print(f"{body['code']}: {body['message']}", file=sys.stderr)
        return False
    run = Run.open(storage, body["run_id"])
    print(f"\nrun        {run.run_id}, model type {run.params.model_type}")
    if (ended := _follow(stack, run, body["execution_arn"])) is None:
        return False

    report = reports / run.params.model_type
    print(f"\n{_outcome(run, report)}")
    if warehouse:
        print(export_status(warehouse, ended))
    _show_forecasts(stack, run)
    print(f"\nreport     {report / 'report.html'}")
    return True


def export_status(warehouse: str, ended: dict[str, Any]) -> str:
    """Return what an execution's output says of its export to the warehouse."""
    if "exported" in ended:
        return output.export_summary(warehouse, ended["exported"])
    return output.export_warning(message_of(ended["unexported"]))


def _follow(stack: LocalStack, run: Run, execution: str) -> dict[str, Any] | None:
    """Show a run's progress until it ends; return the execution's output, None if it failed."""
    display = output.ProgressDisplay()
    shown: set[Step] = set()
    machine = stack.client("stepfunctions")
    while True:
        described = machine.describe_execution(executionArn=execution)
        state = run.state()
        for step in Step:
            record = state[step].record
            if state[step].status == "done" and record and step not in shown:
                display.finished(record, before=False)
                shown.add(step)
            elif (progress := state[step].progress) and step not in shown:
                display.progress({"step": str(step), **progress})

        if (status := described["status"]) != "RUNNING":
            break
        time.sleep(0.5)

    if status == "SUCCEEDED":
        ended: dict[str, Any] = json.loads(described["output"])
        return ended
    errors = (step.error for step in state.values() if step.error)
    error = next(errors, {"code": status, "message": "see the logs"})
    print(f"{error['code']}: {error['message']}", file=sys.stderr)
    return None


def _outcome(run: Run, report: Path) -> str:
    """Return the result of a run as text; its report is copied to a folder."""
    records: dict[Step, Any] = {step: state.record for step, state in run.state().items()}
    key = ModelKey(run.params.model_dir, run.params.model_type)
    live = Release(run.storage).state().live.get(key)
    version = records[Step.SAVE_MODEL].summary["model_version"]
    return output.outcome(records, copy_report(run, report), live=live == version)


def _show_forecasts(stack: LocalStack, run: Run) -> None:
    """Print forecasts of a few tickers, asked for over HTTP as the front end does."""
    tickers = list(run.params.tickers or forecasts.SHOWN)[: len(forecasts.SHOWN)]
    wanted = {"tickers": tickers, "model_type": run.params.model_type}
    answer = requests.post(f"{stack.api_url}/api/b3/predict/batch", json=wanted, timeout=60).json()
    if answer["status"] == "success":
        print(f"\n{forecasts.served_forecast_table(answer)}")
    else:
        print(f"\n{answer['code']}: {answer['message']}")


def _serve(stack: LocalStack) -> None:
    print(f"serving    {stack.api_url}/swagger   (predictions, runs, versions)")
    print("Ctrl-C ends it.", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
