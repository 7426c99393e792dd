"""A synthetic market in the form of the training table, with a planted signal of chosen size."""

from collections.abc import Callable

import numpy as np
import pytest

from b3shared.dataset.table import Dataset

WARM_UP = 20


def build_market(
    n_tickers: int = 12,
    n_dates: int = 260,
    horizon: int = 2,
    signal: float = 0.0,
    seed: int = 0,
    width: float = 0.5,
) -> Dataset:
    """Random walks; feature f0 of t adds ``signal`` deviations to the return from t to t + 1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_tickers, n_dates, 4))
    daily = 0.02 * rng.normal(size=(n_tickers, n_dates)) + rng.normal(0, 0.005, n_dates)
    daily[:, 1:] += 0.02 * signal * x[:, :-1, 0]
    price = 20 * np.exp(np.cumsum(daily, axis=1))
    calendar = np.arange("2020-01-01", "2026-01-01", dtype="datetime64[D]")
    dates = calendar[np.is_busday(calendar)][:n_dates]

    def past(sessions: int) -> np.ndarray:
        out = np.full(price.shape, np.nan)
        out[:, sessions:] = price[:, sessions:] / price[:, :-sessions] - 1
        return out

    future = np.full(price.shape, np.nan)
    future[:, :-horizon] = price[:, horizon:] / price[:, :-horizon] - 1
    volatility = np.full(price.shape, 0.02)
    band = width * volatility * np.sqrt(horizon)
    label = np.where(
        np.isnan(future), -1, np.where(future > band, 0, np.where(future < -band, 2, 1))
    ).astype(np.int8)
    known = np.full(label.shape, -1, np.int8)
    known[:, horizon:] = label[:, :-horizon]
    end = np.full(price.shape, np.datetime64("NaT", "D"))
    end[:, :-horizon] = dates[horizon:]

    def flat(values: np.ndarray) -> np.ndarray:
        return values[:, WARM_UP:].reshape(-1)

    kept = n_dates - WARM_UP
    return Dataset(
        X=x[:, WARM_UP:].reshape(-1, 4).astype(np.float32),
        feature_names=("f0", "f1", "f2", "f3"),
        ticker=np.repeat([f"T{i:02d}A3" for i in range(n_tickers)], kept),
        date=np.tile(dates[WARM_UP:], n_tickers),
        session=np.tile(np.arange(WARM_UP, n_dates), n_tickers).astype(np.int32),
        close=flat(price),
        volatility=flat(volatility),
        return_5=flat(past(5)),
        return_20=flat(past(20)),
        known_label=flat(known),
        rule=rng.choice(np.arange(3, dtype=np.int8), size=n_tickers * kept, p=[0.05, 0.9, 0.05]),
        label=flat(label),
        label_end=flat(end),
        future_return=flat(future),
    )


def split_by_date(data: Dataset) -> dict[str, np.ndarray]:
    """Split by date, 50 / 20 / 30 %, labelled rows only, purged before each later part."""
    dates = np.unique(data.date)
    cut = [dates[int(0.5 * len(dates))], dates[int(0.7 * len(dates))]]
    known = data.label >= 0
    purge = np.timedelta64(5, "D")
    return {
        "train": np.flatnonzero(known & (data.date < cut[0] - purge)),
        "val": np.flatnonzero(known & (data.date >= cut[0]) & (data.date < cut[1] - purge)),
        "test": np.flatnonzero(known & (data.date >= cut[1])),
    }


@pytest.fixture(scope="session")
def make_market() -> Callable[..., Dataset]:
    return build_market


@pytest.fixture(scope="session")
def split() -> Callable[[Dataset], dict[str, np.ndarray]]:
    return split_by_date
