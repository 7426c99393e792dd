"""``make run``: the whole product on this machine, as on AWS; the same template, the same state machine, the same handlers.

Starts the emulator, deploys ``template.yaml``, fills the lake, runs the state machine for each type
of model (or the one that is asked for), says what came of it, and serves.
"""

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import requests

from b3shared.cli import output as terminal
from b3shared.cli.main import SHOWN, copy_report, parse_params
from b3shared.core.config import Settings
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


def main() -> int:
    """Run until Ctrl-C, or until the result is printed; returns the exit status."""
    options = _options()
    started = time.monotonic()
    try:
        warehouse = warehouse_of(Settings.from_environment())
        stack = LocalStack(
            ROOT / "template.yaml",
            PARAMETERS | {"Warehouse": warehouse},
            port=options.port if options.serve else 0,
            state_dir=options.state_dir,
        )
        with stack:
            print(
                f"stack      deployed from template.yaml in {time.monotonic() - started:.1f} s, API {stack.api_url}"
            )
            _use(stack)
            storage = open_storage(f"s3://{stack.outputs['BucketName']}")
            filled = fill_lake(open_source(options.data), storage, replace=True)
            print(f"lake       {options.data} in {len(filled.keys)} yearly files")
            for note in filled.notes():
                print(f"note: {note}")
            params = parse_params(options.params)
            for model_type in [params["model_type"]] if "model_type" in params else model_types():
                if not _run(
                    stack, storage, params | {"model_type": model_type}, options.report, warehouse
                ):
                    return 1
            print(f"\nall done   in {time.monotonic() - started:.0f} s")
            if options.serve:
                _serve(stack)
            return 0
    except (LocalStackError, B3Error) as error:
        print(f"{getattr(error, 'code', 'LOCAL_STACK')}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped")
        return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument(
        "--data", default=str(ROOT / "data" / "quotes.parquet"), help="quotes: Parquet or DuckDB"
    )
    parser.add_argument(
        "--state-dir",
        default=None,
        help="keep the bucket here between runs; default: nothing is kept",
    )
    parser.add_argument("--port", type=int, default=5000, help="port of the HTTP API")
    parser.add_argument(
        "--no-serve", dest="serve", action="store_false", help="end when the result is printed"
    )
    parser.add_argument(
        "--report", type=Path, default=ROOT / "artifacts" / "report", help="folder for the reports"
    )
    parser.add_argument("params", nargs="*", metavar="name=value", help="parameters of the run")
    return parser.parse_intermixed_args()


def warehouse_of(settings: Settings) -> str:
    """The template's parameter Warehouse as the settings have it: the functions run in folders of their own."""
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


def _run(
    stack: LocalStack, storage: Storage, params: dict[str, Any], reports: Path, warehouse: str
) -> bool:
    """One run of the state machine, followed and told; whether it came to its end."""
    answer = requests.post(f"{stack.api_url}/api/b3/complete-pipeline", json=params, timeout=60)
    body = answer.json()
    if answer.status_code != 202:
        print(f"{body['code']}: {body['message']}", file=sys.stderr)
        return False
    run = Run.open(storage, body["run_id"])
    print(f"\nrun        {run.run_id}, model type {run.params.model_type}")
    if (ended := _followed(stack, run, body["execution_arn"])) is None:
        return False
    report = reports / run.params.model_type
    _tell(run, report)
    if warehouse:
        print(exported(warehouse, ended))
    _predict(stack, run)
    print(f"\nreport     {report / 'report.html'}")
    return True


def exported(warehouse: str, ended: dict[str, Any]) -> str:
    """What came of the export at the end of an execution, of its output."""
    if "exported" in ended:
        return terminal.exported(warehouse, ended["exported"])
    return f"warning: the run is not in the warehouse: {message_of(ended['unexported'])}"


def _followed(stack: LocalStack, run: Run, execution: str) -> dict[str, Any] | None:
    """Tell of a run until it ends; the execution's output, None if it failed."""
    display, told = terminal.ProgressDisplay(), set[Step]()
    machine = stack.client("stepfunctions")
    while True:
        described = machine.describe_execution(executionArn=execution)
        status = described["status"]
        state = run.state()
        for step in Step:
            record = state[step].record
            if state[step].status == "done" and record and step not in told:
                display.finished(record, before=False)
                told.add(step)
            elif (now := state[step].progress) and step not in told:
                display.progress({"step": str(step), **now})
        if status != "RUNNING":
            break
        time.sleep(0.5)
    if status == "SUCCEEDED":
        output: dict[str, Any] = json.loads(described["output"])
        return output
    error = next(
        (s.error for s in state.values() if s.error), {"code": status, "message": "see the logs"}
    )
    print(f"{error['code']}: {error['message']}", file=sys.stderr)
    return None


def _tell(run: Run, report: Path) -> None:
    """The evaluation beside the baselines, and what became of the version; the report is copied to a folder."""
    records: dict[Step, Any] = {step: state.record for step, state in run.state().items()}
    print()
    for note in terminal.findings(records[Step.LOAD_DATA].summary):
        print(f"note: {note}")
    metrics = copy_report(run, report)
    print(f"\n{terminal.comparison(metrics)}\n\n{metrics['headline']}")
    for warning in metrics["warnings"]:
        print(f"warning: {warning}")
    key = ModelKey(run.params.model_dir, run.params.model_type)
    live = Release(run.storage).state().live.get(key)
    print(
        f"\n{terminal.standing(records, live=live == records[Step.SAVE_MODEL].summary['model_version'])}"
    )


def _predict(stack: LocalStack, run: Run) -> None:
    """Forecasts of a few tickers, asked for as the front end does."""
    wanted = {"tickers": list(run.params.tickers or SHOWN)[:5], "model_type": run.params.model_type}
    answer = requests.post(f"{stack.api_url}/api/b3/predict/batch", json=wanted, timeout=60).json()
    if answer["status"] != "success":
        print(f"\n{answer['code']}: {answer['message']}")
        return
    print(f"\n{terminal.served_forecasts(answer)}")


def _serve(stack: LocalStack) -> None:
    print(
        f"serving    {stack.api_url}/swagger   (predictions, runs, versions)\nCtrl-C ends it.",
        flush=True,
    )
    threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
