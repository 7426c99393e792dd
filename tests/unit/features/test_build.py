"""Features equal slow oracles that see only the history up to t, on real quotes with splits."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from b3shared.core.errors import InvalidQuotesError
from b3shared.core.vocabulary import BUY, HOLD, SELL
from b3shared.features.build import build_features
from b3shared.features.cross_section import MARKET
from b3shared.features.formulas import V1, V2
from b3shared.features.panel import Panel
from b3shared.features.series import Series
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery

LIMIT = 2_000_000.0
SPLITTERS = ("BBAS3", "BBDC4", "ITSA4", "MGLU3", "PETR4", "RENT3", "YDUQ3")


@pytest.fixture(scope="module")
def some(bundled: pd.DataFrame) -> pd.DataFrame:
    """Seven tickers, with 4-to-1 and small splits and many dividends among them, two years."""
    rows = bundled["ticker"].isin(SPLITTERS) & bundled["date"].between("2019-06-01", "2021-06-30")
    return bundled[rows].reset_index(drop=True)


def history_in_own_basis(frame: pd.DataFrame, ticker: str, t: pd.Timestamp) -> pd.DataFrame:
    """Return the ticker's rows up to t in t's share basis, walking the actions backwards."""
    rows = frame[(frame["ticker"] == ticker) & (frame["date"] <= t)].reset_index(drop=True)
    out = rows[["date", "open", "high", "low", "close", "volume"]].astype({"volume": float}).copy()
    for ex in np.flatnonzero((rows["split_factor"] != 1) | (rows["dividend"] != 0))[::-1]:
        if ex == 0:
            continue
        split, dividend = rows["split_factor"][ex], rows["dividend"][ex]
        total_return = (rows["close"][ex] * split + dividend) / rows["close"][ex - 1] - 1
        factor = rows["close"][ex] / (1 + total_return) / rows["close"][ex - 1]
        out.loc[: ex - 1, ["open", "high", "low", "close"]] *= factor
        out.loc[: ex - 1, "volume"] *= split
    return out


def reference_v1(frame: pd.DataFrame, ticker: str, t: pd.Timestamp) -> dict[str, float]:
    """The reference project's formulas, written with pandas on one ticker's history."""
    h = history_in_own_basis(frame, ticker, t)
    raw = frame[(frame["ticker"] == ticker) & (frame["date"] <= t)]
    close, change = h["close"], h["close"].diff()
    gain, loss = (
        change.where(change > 0, 0).rolling(14).mean(),
        (-change.where(change < 0, 0)).rolling(14).mean(),
    )
    low14, high14 = close.rolling(14).min(), close.rolling(14).max()
    series = {
        "rolling_volatility_5": ((raw["close"] - raw["open"]) / raw["open"]).rolling(5).std(),
        "moving_avg_10": close.rolling(10).mean(),
        "macd": close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean(),
        "rsi_14": 100 - 100 / (1 + gain / loss),
        "volume_change": h["volume"].pct_change(),
        "avg_volume_10": h["volume"].rolling(10).mean(),
        "price_momentum_5": (close - close.shift(5)) / close.shift(5),
        "high_breakout_20": (h["high"] >= h["high"].rolling(20).max() * (1 - 1e-12)).astype(float),
        "bollinger_upper": close.rolling(20).mean() + 2 * close.rolling(20).std(),
        "stochastic_14": 100 * (close - low14) / (high14 - low14),
        "close": raw["close"],
    }

    return {name: float(values.iloc[-1]) for name, values in series.items()}


def reference_v2(frame: pd.DataFrame, ticker: str, t: pd.Timestamp) -> dict[str, float]:
    h = history_in_own_basis(frame, ticker, t)
    v1 = reference_v1(frame, ticker, t)
    close, daily, volume = h["close"], h["close"].pct_change(), np.log(h["volume"])
    out = {
        f"return_{n}": close.iloc[-1] / close.iloc[-1 - n] - 1 for n in (1, 2, 5, 10, 20, 60, 120)
    }
    out |= {f"volatility_{n}": daily.iloc[-n:].std() for n in (5, 20, 60)}
    out |= {
        "range_20": np.log(h["high"] / h["low"]).iloc[-20:].mean(),
        "intraday": h["close"].iloc[-1] / h["open"].iloc[-1] - 1,
        "volume_surprise": volume.iloc[-1] - volume.iloc[-20:].mean(),
        "rsi_14": v1["rsi_14"],
        "stochastic_14": v1["stochastic_14"],
        "macd_relative": v1["macd"] / close.iloc[-1],
        "bollinger_z": (close.iloc[-1] - close.iloc[-20:].mean()) / close.iloc[-20:].std(),
        "distance_to_high": close.iloc[-1] / close.iloc[-252:].max() - 1,
    }

    return {name: float(value) for name, value in out.items()}


@pytest.mark.parametrize(("version", "oracle"), [("v1", reference_v1), ("v2", reference_v2)])
def test_features_equal_the_slow_oracle(
    some: pd.DataFrame, version: str, oracle: Callable[..., dict[str, float]]
) -> None:
    features = build_features(some, version, LIMIT)
    actions = np.flatnonzero((some["split_factor"] != 1) | (some["dividend"] > 0))
    rng = np.random.default_rng(0)
    eligible = np.flatnonzero(np.isfinite(features.X).all(axis=1))
    chosen = np.union1d(
        rng.choice(eligible, 40, replace=False), np.intersect1d(actions + 3, eligible)[:30]
    )

    assert np.isin(actions + 3, chosen).any()

    for row in chosen:
        expected = oracle(some, some["ticker"][row], some["date"][row])
        found = dict(zip(features.names, features.X[row], strict=True))
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-7, abs=1e-9), (
                name,
                some["ticker"][row],
                some["date"][row],
            )


def test_v1_has_the_references_thirteen_names_and_v2_thirty_nine_features(
    some: pd.DataFrame,
) -> None:
    assert tuple(V1) == (
        "rolling_volatility_5", "moving_avg_10", "macd", "rsi_14", "volume_change", "avg_volume_10",
        "best_buy_sell_spread", "close_to_best_buy", "price_momentum_5", "high_breakout_20",
        "bollinger_upper", "stochastic_14", "close",
    )  # fmt: skip
    assert len(build_features(some, "v2", LIMIT).names) == 39
    assert build_features(some, "v2", LIMIT).names[:18] == tuple(V2)


def test_a_source_without_a_book_drops_the_two_book_features_and_says_so(
    some: pd.DataFrame,
) -> None:
    features = build_features(some, "v1", LIMIT)
    assert features.without == ("best_buy_sell_spread", "close_to_best_buy")
    assert len(features.names) == 11


def test_book_features_of_official_quotes_follow_their_formulas(shared_data: Path) -> None:
    days = ParquetSource(shared_data / "b3_cotahist_days.parquet").read(
        QuoteQuery(date(2016, 7, 12), date(2016, 7, 26))
    )
    frame, _ = clean(days)
    features = build_features(frame, "v1", LIMIT)

    assert features.without == ()

    bid, ask = frame["best_buy"].to_numpy(), frame["best_sell"].to_numpy()
    found = {
        name: features.X[:, features.names.index(name)]
        for name in ("best_buy_sell_spread", "close_to_best_buy")
    }

    np.testing.assert_allclose(found["best_buy_sell_spread"], ask - bid)
    np.testing.assert_allclose(found["close_to_best_buy"], (frame["close"] - bid) / bid)

    petr4 = np.flatnonzero((frame["ticker"] == "PETR4") & (frame["date"] == "2016-07-26"))[0]

    assert found["best_buy_sell_spread"][petr4] == pytest.approx(
        0.02
    )  # two ticks of a share that trades at R$ 11
    assert np.isnan(found["close_to_best_buy"][np.isnan(bid)]).all()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_truncating_history_leaves_every_earlier_row_identical(
    some: pd.DataFrame, version: str
) -> None:
    whole = build_features(some, version, LIMIT)
    for cut in ("2019-12-30", "2020-09-14", "2021-04-29"):
        earlier = (some["date"] <= cut).to_numpy()
        part = build_features(some[earlier].reset_index(drop=True), version, LIMIT)
        np.testing.assert_array_equal(part.X, whole.X[earlier])
        np.testing.assert_array_equal(part.liquid, whole.liquid[earlier])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_later_split_changes_no_earlier_row(some: pd.DataFrame, version: str) -> None:
    last = some["date"] == some["date"].max()
    split = some.copy()
    split.loc[last, "split_factor"] = 10.0
    split.loc[last, ["open", "high", "low", "close"]] /= 10.0
    split.loc[last, "volume"] *= 10
    before, after = (build_features(frame, version, LIMIT) for frame in (some, split))

    np.testing.assert_array_equal(before.X[~last], after.X[~last])

    scale_free = [
        n
        for n, name in enumerate(before.names)
        if version == "v2" or name in ("rsi_14", "volume_change")
    ]

    np.testing.assert_allclose(
        before.X[last][:, scale_free], after.X[last][:, scale_free], rtol=1e-9, atol=1e-12
    )


def test_features_of_a_ticker_do_not_depend_on_other_tickers(some: pd.DataFrame) -> None:
    alone = some[some["ticker"] == "PETR4"].reset_index(drop=True)
    among = build_features(some, "v1", LIMIT).X[(some["ticker"] == "PETR4").to_numpy()]
    np.testing.assert_array_equal(build_features(alone, "v1", LIMIT).X, among)


def test_price_levels_are_in_the_share_basis_of_their_session(some: pd.DataFrame) -> None:
    features = build_features(some, "v1", LIMIT)
    close = features.X[:, features.names.index("close")]
    np.testing.assert_array_equal(close, some["close"])
    ex = some.index[(some["ticker"] == "MGLU3") & (some["split_factor"] != 1)][0]
    average = features.X[ex, features.names.index("moving_avg_10")]
    assert 0.9 < average / close[ex] < 1.1  # not ten days of prices four times as high


def test_ranks_are_percentiles_among_the_liquid_rows_of_the_date(some: pd.DataFrame) -> None:
    features = build_features(some, "v2", 80_000_000.0)
    assert 0 < features.liquid.mean() < 1
    value = features.X[:, features.names.index("return_5")]
    rank = features.X[:, features.names.index("return_5_rank")]
    for day in some["date"].unique()[130::40]:
        rows = np.flatnonzero((some["date"] == day).to_numpy() & features.liquid)
        expected = pd.Series(value[rows]).rank(pct=True)
        np.testing.assert_allclose(rank[rows], expected)
    assert np.isnan(rank[~features.liquid]).all()


def test_the_market_is_the_equal_weight_mean_of_the_liquid_rows(some: pd.DataFrame) -> None:
    features = build_features(some, "v2", 80_000_000.0)
    daily = pd.Series(features.X[:, features.names.index("return_1")]).where(features.liquid)
    mean = daily.groupby(some["date"]).mean()
    expected = {
        "market_return_5": mean.rolling(5).sum(),
        "market_return_20": mean.rolling(20).sum(),
        "market_volatility_20": mean.rolling(20).std(),
    }
    for name in MARKET:
        found = features.X[:, features.names.index(name)]
        np.testing.assert_allclose(found, some["date"].map(expected[name]), rtol=1e-9, atol=1e-12)


def test_liquidity_is_judged_by_the_trailing_sixty_sessions_alone(some: pd.DataFrame) -> None:
    limit = 100_000_000.0
    turnover = some["close"] * some["volume"]
    median = turnover.groupby(some["ticker"]).transform(lambda x: x.rolling(60).median())
    np.testing.assert_array_equal(
        build_features(some, "v2", limit).liquid, (median > limit).to_numpy()
    )


def test_turnover_of_the_source_is_preferred_to_close_times_volume(some: pd.DataFrame) -> None:
    assert not build_features(some.assign(turnover=1.0), "v2", LIMIT).liquid.any()


def test_the_reference_rule_equals_a_hand_computation(some: pd.DataFrame) -> None:
    with np.errstate(all="ignore"):
        series = Series(Panel(some))
        rule = series.panel.rows(series.rule())
    features = build_features(some, "v1", LIMIT)
    f = {name: features.X[:, n] for n, name in enumerate(features.names)}
    for row in range(len(some)):
        buy = f["rsi_14"][row] < 30 and f["macd"][row] > 0 and f["volume_change"][row] > 0
        sell = (
            f["rsi_14"][row] > 70
            and f["price_momentum_5"][row] < 0
            and np.isfinite(f["bollinger_upper"][row])
            and f["volume_change"][row] < 0
        )
        assert rule[row] == (BUY if buy else SELL if sell else HOLD)

    assert {HOLD, SELL} <= set(rule)


def test_a_flat_price_has_no_finite_rsi_and_an_ever_rising_one_has_a_hundred() -> None:
    frame = pd.DataFrame(
        {
            "ticker": ["FLAT3"] * 40 + ["RISE3"] * 40,
            "date": [*pd.date_range("2023-01-02", periods=40, freq="B")] * 2,
            "close": [10.0] * 40 + [10.0 + n for n in range(40)],
            "split_factor": 1.0,
            "dividend": 0.0,
        }
    )
    with np.errstate(all="ignore"):
        series = Series(Panel(frame))
        rsi = series.panel.rows(series.rsi)

    assert np.isnan(rsi[39])
    assert rsi[79] == 100.0


def test_a_source_without_volume_cannot_have_v2_and_one_ticker_cannot_be_ranked(
    some: pd.DataFrame,
) -> None:
    with pytest.raises(InvalidQuotesError, match="no volume"):
        build_features(some.assign(volume=pd.NA).astype({"volume": "Int64"}), "v2", LIMIT)
    alone = some[some["ticker"] == "PETR4"].reset_index(drop=True)
    with pytest.raises(InvalidQuotesError, match="at least 5"):
        build_features(alone, "v2", LIMIT)


def test_a_history_shorter_than_every_window_gives_no_finite_row(some: pd.DataFrame) -> None:
    short = some.groupby("ticker").head(3).reset_index(drop=True)
    assert not np.isfinite(build_features(short, "v2", LIMIT).X).all(axis=1).any()
