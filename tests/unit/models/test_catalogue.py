"""A model that is registered in the catalogue takes part everywhere, with no other file touched."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT
from pydantic import ValidationError
from small_run import SMALL

from b3shared.api.requests import TrainModelRequest, own_params
from b3shared.api.schemas import PredictRequest
from b3shared.core.config import Settings
from b3shared.core.errors import InvalidParameterError
from b3shared.models.base import Model, model_class
from b3shared.params.models import (
    CATALOGUE,
    ModelSpec,
    accepted_names,
    model_spec,
    model_specs,
    register,
)
from b3shared.params.run import PipelineParams, flat_schemas
from b3shared.params.steps import Step, owner_of
from b3shared.pipeline.runner import run_pipeline
from b3shared.registry.promotion import promote
from b3shared.registry.versions import Registry
from b3shared.runs.run import Run
from b3shared.serving.live import Live
from b3shared.serving.predictor import Predictor
from b3shared.storage import FolderStorage
from tests.unit.models.toy_model import ToyParams

TOY = ModelSpec(
    name="toy",
    aliases=("toy_regression",),
    title="toy regression",
    params=ToyParams,
    implementation="tests.unit.models.toy_model:ToyModel",
    file="b3_toy.txt",
)
QUICK = {"tickers": SMALL["tickers"], "period": "3y", "model_type": "toy", "rounds": 7}


@pytest.fixture
def toy() -> Iterator[ModelSpec]:
    register(TOY)
    yield TOY
    del CATALOGUE["toy"]


@pytest.mark.usefixtures("toy")
def test_a_new_model_is_trained_evaluated_saved_and_served(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    run = Run.create(storage, "toy-run", PipelineParams.from_values(QUICK))
    records = run_pipeline(run, settings=Settings(storage=storage.url))

    assert records[Step.TRAIN_MODEL].params["toy"] == {"rounds": 7, "step_width": 0.5}
    evaluated = run.fetch(Step.EVALUATE_MODEL, tmp_path / "fetched")
    assert "toy regression" in (evaluated / "report.html").read_text(encoding="utf-8")

    version = records[Step.SAVE_MODEL].summary["model_version"]
    assert Registry(storage, "models").types() == ["toy"]
    assert "b3_toy.txt" in Registry(storage, "models").manifest("toy_regression", version)["files"]
    promote(storage, "models", "toy", version, who="test", why="test")

    live = Live(storage, moment=60, cold=60)
    live.refresh()
    as_of = live.snapshot.as_of.item()
    answer = Predictor(live, today=lambda: as_of + timedelta(days=1)).predict("PETR4", "toy")
    assert (answer["status"], answer["model_type"]) == ("success", "toy")
    assert answer["model_version"] == version
    assert sum(answer["prediction_probabilities"][0]) == pytest.approx(1)


@pytest.mark.usefixtures("toy")
def test_the_parameters_of_a_new_model_are_known_flat_and_nested() -> None:
    params = PipelineParams.from_values(model_type="Toy_Regression", rounds=3)
    assert params == PipelineParams.from_values(model_type="toy", toy={"rounds": 3})
    assert params.own(ToyParams).rounds == 3
    assert params.model_file == "b3_toy.txt"
    assert PipelineParams.from_values(params.model_dump(mode="json")) == params
    assert params.replace(step_width=1).own(ToyParams) == ToyParams(rounds=3, step_width=1)

    assert owner_of("rounds") is owner_of("toy") is Step.TRAIN_MODEL
    assert flat_schemas()["rounds"]["maximum"] == 100
    with pytest.raises(InvalidParameterError, match=r"rounds must be .*, got 0 \(gradient"):
        PipelineParams.from_values(rounds=0)


@pytest.mark.usefixtures("toy")
def test_a_request_may_name_the_type_and_parameters_of_a_new_model(tmp_path: Path) -> None:
    assert PredictRequest(ticker="PETR4", model_type="toy_regression").model_type
    schema = PredictRequest.model_json_schema()["properties"]["model_type"]
    assert schema["enum"] == list(accepted_names())

    run = Run.create(FolderStorage(tmp_path), "a", PipelineParams.from_values(model_type="toy"))
    params = TrainModelRequest.model_validate({"rounds": 3}).parameters
    assert own_params(run, Step.TRAIN_MODEL, params) == {"toy": {"rounds": 3}}


def test_a_model_that_is_not_registered_is_unknown() -> None:
    with pytest.raises(InvalidParameterError, match=r"must be one of rf, .* got 'toy'"):
        model_spec("toy")
    with pytest.raises(InvalidParameterError, match="model_type must be 'rf' or 'lstm', got 'toy'"):
        PipelineParams.from_values(model_type="toy")
    with pytest.raises(InvalidParameterError, match="rounds: unknown parameter"):
        PipelineParams.from_values(rounds=3)
    with pytest.raises(ValidationError, match="unknown parameter"):
        PipelineParams(toy=ToyParams())
    with pytest.raises(ValidationError, match="literal_error"):
        PredictRequest(ticker="PETR4", model_type="toy")


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"name": "lstm"}, "lstm"),
        ({"aliases": ("random_forest",)}, "random_forest"),
        ({"params": model_spec("rf").params}, "class_weight, cv_folds"),
    ],
)
def test_a_model_whose_names_are_taken_is_refused(change: dict[str, Any], names: str) -> None:
    with pytest.raises(ValueError, match=f"^{names}.* already of model"):
        register(replace(TOY, **change))
    assert "toy" not in CATALOGUE


@pytest.mark.parametrize("file", ["b3_toy.json", "b3_toy.onnx"])
def test_a_file_that_ends_like_the_served_ones_is_refused(file: str) -> None:
    with pytest.raises(ValueError, match=f"file must not end in .*, got '{file}'"):
        register(replace(TOY, file=file))


@pytest.mark.parametrize("spec", model_specs(), ids=lambda spec: spec.name)
def test_every_implementation_is_a_model(spec: ModelSpec) -> None:
    assert issubclass(model_class(spec.name), Model)


def test_no_parameter_of_a_model_is_the_runs_too() -> None:
    own = {name for spec in model_specs() for name in (*spec.names, *spec.params.model_fields)}
    assert not own & PipelineParams.model_fields.keys()


def test_only_the_catalogue_and_the_models_themselves_name_a_model_type() -> None:
    quoted = "|".join(f"[\"']{name}[\"']" for name in accepted_names())
    found = subprocess.run(
        ["grep", "-rlE", "--include=*.py", quoted, "b3shared", "functions"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert sorted(found.stdout.split()) == [
        "b3shared/cli/extras.py",  # the package's extra of that name
        "b3shared/models/lstm/training.py",  # a word of the checkpoint's fingerprint
        "b3shared/params/models.py",
    ]
