"""Ranks and market features do not depend on how the tickers are split into parts."""

import ast
from functools import partial

import numpy as np
import pandas as pd
import pytest
from paths import ROOT

from b3shared.features.assembly import FeatureJoin, features_part
from b3shared.features.build import build_features
from b3shared.features.ticker_features import Coverage, ticker_features
from b3shared.features.training_table import preprocess
from b3shared.params.run import PipelineParams

LIMIT = 80_000_000.0


@pytest.fixture(scope="module")
def frame(eight: pd.DataFrame) -> pd.DataFrame:
    return eight[eight["date"] >= "2022-01-01"].reset_index(drop=True)


@pytest.mark.parametrize("tickers_in_a_part", [1, 3])
def test_ranks_and_market_of_many_parts_equal_those_of_one(
    frame: pd.DataFrame, tickers_in_a_part: int
) -> None:
    coverage = Coverage.from_frame(frame)
    names = frame["ticker"].unique()
    parts = []
    for at in range(0, len(names), tickers_in_a_part):
        some = frame[frame["ticker"].isin(names[at : at + tickers_in_a_part])]
        own = ticker_features(some.reset_index(drop=True), "v2", LIMIT, coverage)
        parts.append(partial(dict, features_part(own)))

    join = FeatureJoin(parts, "v2")
    whole = build_features(frame, "v2", LIMIT)

    assert join.names == whole.names
    assert 0 < whole.liquid.mean() < 1
    column = {name: whole.X[whole.liquid, n] for n, name in enumerate(whole.names)}
    for name, ranks in join.ranks():
        np.testing.assert_array_equal(ranks, column[name])
    for name, values in join.market.items():
        np.testing.assert_array_equal(values[join.session], column[name])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_training_and_serving_see_the_same_features(frame: pd.DataFrame, version: str) -> None:
    made = preprocess(frame, PipelineParams.from_values(features=version, min_turnover=LIMIT))
    served = build_features(frame, version, LIMIT)
    assert made.data.feature_names == served.names
    np.testing.assert_array_equal(made.data.X, served.X[made.rows].astype(np.float32))


def test_ranks_and_market_are_computed_in_one_module() -> None:
    computing = {"CrossSection", "MarketReturn", "market_features"}
    users = set()
    for path in (ROOT / "b3shared").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and computing & {a.name for a in node.names}:
                users.add(path.relative_to(ROOT).as_posix())
    assert users == {"b3shared/features/assembly.py"}
