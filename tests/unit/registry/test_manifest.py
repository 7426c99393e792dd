"""Every caller describes a version the same way, and equal runs make the same version."""

from pathlib import Path
from typing import Any

import pytest
from small_run import NETWORK, SMALL

from b3shared import B3Model
from b3shared.core.config import BUNDLED_QUOTES
from b3shared.core.versions import FEATURES_VERSION
from b3shared.registry.versions import Registry
from b3shared.services import (
    B3DataLoadingService,
    B3ModelEvaluationService,
    B3ModelPreprocessingService,
    B3ModelSavingService,
    B3ModelTrainingService,
)
from b3shared.storage import FolderStorage

TICKERS = SMALL["tickers"]
PERIOD = "3y"
FOREST = {name: value for name, value in SMALL.items() if name != "tickers"}
ALSO_OF_A_RUN = {"run_id"}
"""What only a run knows of where a version comes from."""


def notebook(folder: Path) -> dict[str, Any]:
    """The manifest of a forest that was trained, evaluated and saved stage by stage."""
    quotes = B3DataLoadingService(BUNDLED_QUOTES).load_data(tickers=TICKERS, period=PERIOD)
    X, df, y = B3ModelPreprocessingService().preprocess_data(quotes)
    training = B3ModelTrainingService()
    parts = training.split_data(X, y)
    model = training.train_model(parts[0], parts[3], parts[1], parts[4], **FOREST)
    evaluation = B3ModelEvaluationService().evaluate_model(model, *parts, df)
    version = B3ModelSavingService(folder).save_model(model, parts[2], df, evaluation=evaluation)
    return Registry(FolderStorage(folder), "models").manifest("rf", version)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return notebook(tmp_path_factory.mktemp("notebook"))


def run(folder: Path, **params: Any) -> dict[str, Any]:
    """The manifest of a run's version."""
    result = B3Model(quotes=BUNDLED_QUOTES, storage=folder).run(
        tickers=TICKERS, period=PERIOD, **params
    )
    kind = params.get("model_type", "rf")
    return Registry(FolderStorage(folder), "models").manifest(kind, result.model_version)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("run"), refit=False, **FOREST)


def test_a_notebook_and_a_run_describe_a_version_in_the_same_words(saved: dict, made: dict) -> None:
    assert saved.keys() == made.keys()
    assert saved["evaluated"].keys() == made["evaluated"].keys() - {"test_openings", "files"}
    assert saved["lineage"].keys() == made["lineage"].keys() - ALSO_OF_A_RUN
    assert saved["files"].keys() == made["files"].keys()

    same = (
        "train_end",
        "cross_section",
        "features",
        "feature_set",
        "features_version",
        "target",
        "refit",
    )
    assert {name: saved[name] for name in same} == {name: made[name] for name in same}


def test_train_end_is_of_the_training_rows_not_of_the_test_rows(
    saved: dict,
) -> None:
    parts = saved["evaluated"]["parts"]
    assert (
        parts["train"]["last"] < saved["train_end"] < parts["val"]["first"] < parts["test"]["first"]
    )


def test_the_manifest_records_the_source_and_the_version_of_the_features(saved: dict) -> None:
    assert saved["features_version"] == FEATURES_VERSION
    assert saved["lineage"]["source"] == str(BUNDLED_QUOTES)
    assert saved["lineage"]["last_session"] == "2023-12-28"
    assert saved["evaluated"]["skill"] in ("none", "weak", "proven")


def test_the_same_notebook_saves_the_same_version(saved: dict, tmp_path: Path) -> None:
    again = notebook(tmp_path)
    assert again["version"] == saved["version"]


@pytest.mark.parametrize(
    "params",
    [FOREST, {"model_type": "lstm", "features": "v1"} | NETWORK | {"epochs": 1}],
    ids=["forest", "network"],
)
def test_equal_runs_make_equal_versions(params: dict[str, Any], tmp_path: Path) -> None:
    first = run(tmp_path / "store", run_id="first", **params)
    second = run(tmp_path / "store", run_id="second", **params)
    assert second["version"] == first["version"]
    assert second == first  # what was registered first stays
    assert first["lineage"]["run_id"] == "first"
    kind = first["model_type"]
    registry = Registry(FolderStorage(tmp_path / "store"), "models")
    assert [m["version"] for m in registry.versions(kind)] == [first["version"]]
    registry.fetch(kind, first["version"], tmp_path / "fetched")  # every hash holds
