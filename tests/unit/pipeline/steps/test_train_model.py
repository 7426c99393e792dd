"""A trained model is saved although the newest rows of the quotes lack features."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_run import NETWORK, SMALL

from b3shared.core.config import Settings
from b3shared.dataset.table import Dataset
from b3shared.models.base import METADATA_FILE, model_class
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline import run_pipeline
from b3shared.pipeline.artifacts import last_of_each, newest_covered
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage

PARAMS = (
    {"tickers": SMALL["tickers"], "model_type": "lstm", "features": "v1", "max_gap": 5}
    | NETWORK
    | {"epochs": 1}
)


@pytest.fixture(scope="module")
def suspended(eight: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run to the refit; every ticker lacks features for twelve sessions near the end."""
    gone = eight["date"].isin(
        np.unique(eight["date"])[-15:-7]
    )  # and the volatility of the open for four more
    folder = tmp_path_factory.mktemp("suspended")
    quotes = write_parquet(eight.assign(open=eight["open"].mask(gone)), folder / "quotes.parquet")
    run = Run.create(FolderStorage(folder / "store"), "first", PipelineParams.from_values(PARAMS))
    settings = Settings(storage=str(folder / "store"), quotes=str(quotes))
    run_pipeline(run, settings=settings, stop_after=Step.REFIT_MODEL)
    return run


@pytest.mark.parametrize("step", [Step.TRAIN_MODEL, Step.REFIT_MODEL])
def test_a_network_is_saved_though_no_tickers_newest_row_ends_a_full_window(
    suspended: Run, step: Step, tmp_path: Path
) -> None:
    data = Dataset.load(suspended.fetch(Step.PREPROCESS_DATA, tmp_path))
    trained = suspended.fetch(step, tmp_path)
    model = model_class("lstm").load(trained, suspended.params)
    assert not model.covers(data, last_of_each(data.ticker)).any()
    assert json.loads((trained / METADATA_FILE).read_text(encoding="utf-8"))["parity"][
        "rows"
    ] == len(SMALL["tickers"])


def test_the_export_is_checked_on_the_newest_row_of_every_ticker_that_the_model_covers(
    suspended: Run, tmp_path: Path
) -> None:
    data = Dataset.load(suspended.fetch(Step.PREPROCESS_DATA, tmp_path))
    network, forest = (model_class(kind)(suspended.params) for kind in ("lstm", "rf"))
    rows = newest_covered(network, data)
    assert data.ticker[rows].tolist() == sorted(SMALL["tickers"])
    for row in rows:
        later = np.flatnonzero(data.ticker == data.ticker[row])
        assert network.covers(data, np.array([row])).all()
        assert not network.covers(data, later[later > row]).any()
    np.testing.assert_array_equal(newest_covered(forest, data), last_of_each(data.ticker))
