"""The state machine of a run: from quotes to a served version.

States pass the run's id and what a caller changed, never data: a run's state is its step files in
the bucket, so a finished step returns at once and a failed run goes on where it stopped.
"""

from dataclasses import dataclass

from b3shared.params.models import model_types
from b3shared.params.steps import Step
from infra.machines.parts import (
    ENDS,
    KILLED,
    PASSING,
    Quoted,
    State,
    caught,
    choice,
    notification,
    retrier,
    task,
)

COMMENT = """From quotes to a served version. States pass the run's id and what a caller changed, \
never data: a run's state is its step files in the bucket, so a finished step returns at once and \
a failed run goes on where it stopped."""

FAILED = ("$.error", "RecordFailure")
RESUMED = retrier(*KILLED, interval=2, attempts=2)
"""A training that was killed goes on from its last checkpoint."""


@dataclass(frozen=True)
class Trainer:
    """The functions that train a model type.

    Attributes:
        name: in the names of the states.
        train: substitution of the function of ``train_model``; of ``refit_model`` is ``refit``.
        in_slices: whether one function does both steps, answers "partial" when its time is up, and
            is called again.
    """

    name: str
    train: str
    refit: str
    in_slices: bool = False


COMMON = Trainer("RF", "TrainRfFunctionArn", "RefitModelFunctionArn")
"""Trains every model type that needs no more than the layer of scikit-learn."""

TRAINERS = {"lstm": Trainer("LSTM", "TrainLstmFunctionArn", "TrainLstmFunctionArn", True)}
"""Model types with a function of their own in template.yaml."""


def trainer_of(model_type: str) -> Trainer:
    """The functions that train a model type."""
    return TRAINERS.get(model_type, COMMON)


def machine() -> State:
    """Return the definition of the pipeline's state machine."""
    states = (
        _step("LoadData", Step.LOAD_DATA, "LoadDataFunctionArn", 960, "PreprocessData")
        | _shards()
        | _step(
            "PreprocessData", Step.PREPROCESS_DATA, "PreprocessDataFunctionArn", 960, "SplitData"
        )
        | _step("SplitData", Step.SPLIT_DATA, "SplitDataFunctionArn", 180, "ChooseModel")
        | _by_model("ChooseModel", "Train", Step.TRAIN_MODEL, "EvaluateModel")
        | _step(
            "EvaluateModel", Step.EVALUATE_MODEL, "EvaluateModelFunctionArn", 660, "ChooseRefit"
        )
        | _by_model("ChooseRefit", "Refit", Step.REFIT_MODEL, "SaveModel")
        | _step("SaveModel", Step.SAVE_MODEL, "SaveModelFunctionArn", 180, "PublishServing")
        | _last_step()
        | _failure()
        | _export()
        | ENDS
    )

    return {"Comment": COMMENT, "StartAt": "LoadData", "TimeoutSeconds": 86_400, "States": states}


def _request(step: Step, *, named: bool = False) -> State:
    """Return the input of a step's function."""
    return {
        "run_id.$": "$.run_id",
        **({"step": str(step)} if named else {}),
        "correlation_id.$": "$$.Execution.Name",
        "overrides.$": f"$.steps.{step}.overrides",
        "input_key.$": f"$.steps.{step}.input_key",
    }


def _step(name: str, step: Step, function: str, timeout: int, following: str) -> dict[str, State]:
    """A step, and the choice after it: end here if the caller asked for that."""
    rules = [("$.stop_after", "StringEquals", str(step), "Ended")]
    if step is Step.LOAD_DATA:
        rules.append(("$.last.shards[1]", "IsPresent", True, "PreprocessShards"))

    state = task(
        function,
        timeout,
        Parameters=_request(step),
        ResultPath="$.last",
        catch=FAILED,
        Next=f"After{name}",
    )
    return {name: state, f"After{name}": choice(following, *rules)}


def _shards() -> dict[str, State]:
    """Work on every shard by itself, where there are several."""
    shard = task("PreprocessShardFunctionArn", 360, End=True)
    state = {
        "Type": "Map",
        "Comment": "Many quotes lie in shards of whole tickers. Each is worked on by itself; "
        "PreprocessData joins what they made.",
        "ItemsPath": "$.last.shards",
        "MaxConcurrency": 5,
        "ItemSelector": {
            "run_id.$": "$.run_id",
            "shard.$": "$$.Map.Item.Value",
            "correlation_id.$": "$$.Execution.Name",
            "overrides.$": "$.steps.preprocess_data.overrides",
            "input_key.$": "$.steps.preprocess_data.input_key",
        },
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": "PreprocessShard",
            "States": {"PreprocessShard": shard},
        },
        "ResultPath": None,
        "Catch": caught(*FAILED),
        "Next": "PreprocessData",
    }

    return {"PreprocessShards": state}


def _by_model(name: str, verb: str, step: Step, following: str) -> dict[str, State]:
    """Choose the function of the run's model type, and call it until it is done."""
    rules = [
        ("$.model_type", "StringEquals", kind, f"{verb}{trainer_of(kind).name}")
        for kind in model_types()
    ]
    states = {name: choice("UnknownModelType", *rules)}
    for trainer in dict.fromkeys(map(trainer_of, model_types())):
        states |= _training(f"{verb}{trainer.name}", trainer, step, following)
    return states


def _training(name: str, trainer: Trainer, step: Step, following: str) -> dict[str, State]:
    function = trainer.train if step is Step.TRAIN_MODEL else trainer.refit
    if not trainer.in_slices:
        return _step(name, step, function, 960, following)
    state = task(
        function,
        960,
        Parameters=_request(step, named=True),
        ResultPath="$.last",
        retry=[*PASSING, RESUMED],
        catch=FAILED,
        Next=f"After{name}",
    )

    after = choice(
        following,
        ("$.last.status", "StringEquals", "partial", name),
        ("$.stop_after", "StringEquals", str(step), "Ended"),
    )
    return {name: state, f"After{name}": after}


def _last_step() -> dict[str, State]:
    state = task(
        "PublishServingFunctionArn",
        360,
        Parameters=_request(Step.PUBLISH_SERVING),
        ResultPath="$.last",
        catch=FAILED,
        Next="Ended",
    )
    return {"PublishServing": state}


def _failure() -> dict[str, State]:
    """Record why the run failed, and tell the topic's subscribers."""
    unknown = {
        "Type": "Pass",
        "Parameters": {
            "Error": "UnknownModelType",
            "Cause.$": "States.Format('no function trains models of type {}', $.model_type)",
        },
        "ResultPath": "$.error",
        "Next": "RecordFailure",
    }

    record = task(
        "RecordFailureFunctionArn",
        60,
        Parameters={
            "run_id.$": "$.run_id",
            "error.$": "$.error",
            "started_at.$": "$$.Execution.StartTime",
            "last.$": "$.last",
        },
        ResultPath="$.failure",
        catch=("$.failure", "Notify"),
        Next="Notify",
    )

    subject = "States.Format('B3 Asset Predict run {} failed', $.run_id)"
    notify = notification("$.failure", "Ended", **{"Subject.$": subject})
    return {"UnknownModelType": unknown, "RecordFailure": record, "Notify": notify}


def _export() -> dict[str, State]:
    """Export the run where there is a warehouse; the execution then ends as the run did."""
    ended = {
        "Type": "Pass",
        "Result": {"name": Quoted("${Warehouse}")},
        "ResultPath": "$.warehouse",
        "Next": "WhetherToExport",
    }

    export = task(
        "ExportRunFunctionArn",
        150,
        Parameters={"run_id.$": "$.run_id", "execution.$": "$$.Execution.Name"},
        ResultPath="$.exported",
        catch=("$.unexported", "NotifyUnexported"),
        Next="HowItEnded",
    )
    subject = "States.Format('B3 Asset Predict run {} not exported', $.run_id)"
    return {
        "Ended": ended,
        "WhetherToExport": choice(
            "ExportRun", ("$.warehouse.name", "StringEquals", "", "HowItEnded")
        ),
        "ExportRun": export,
        "NotifyUnexported": notification("$.unexported", "HowItEnded", **{"Subject.$": subject}),
        "HowItEnded": choice("Done", ("$.error", "IsPresent", True, "Failed")),
    }
