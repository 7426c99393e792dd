"""A small market with a planted signal, to train models on."""

import numpy as np

from b3shared.core.vocabulary import CLASSES, HOLD, UNLABELLED
from b3shared.dataset.split import Split, purged_split
from b3shared.dataset.table import Dataset
from b3shared.params.run import PipelineParams

SMALL_FOREST = {
    "n_estimators": 30,
    "max_depth": 4,
    "min_samples_leaf": 20,
    "max_features": "sqrt",
    "n_jobs": 1,
}


def small_params(**changes) -> PipelineParams:
    """A forest that trains in a fraction of a second, one candidate only."""
    return PipelineParams.from_values({"embargo_days": 2} | SMALL_FOREST | changes)


def planted_dataset(
    *,
    n_dates: int = 250,
    n_tickers: int = 8,
    n_features: int = 5,
    signal: float = 1.0,
    shares=(0.3, 0.4, 0.3),
    seed: int = 0,
) -> Dataset:
    """Make tickers x dates with normal features and a planted signal.

    The label is a band of ``signal * feature 0 + noise``, cut at its quantiles.

    Args:
        signal: weight of the first feature against noise of deviation 1; 0 plants nothing.
        shares: of buy, hold and sell among the labels.
    """
    rng = np.random.default_rng(seed)
    calendar = np.busday_offset(
        np.datetime64("2020-01-01", "D"), np.arange(n_dates), roll="forward"
    )
    ticker = np.repeat([f"TICK{i}" for i in range(n_tickers)], n_dates)
    session = np.tile(np.arange(n_dates, dtype=np.int32), n_tickers)
    rows, horizon = len(session), 2
    X = rng.normal(size=(rows, n_features)).astype(np.float32)
    latent = signal * X[:, 0] + rng.normal(size=rows)
    low, high = np.quantile(latent, [shares[2], shares[2] + shares[1]])
    label = np.full(rows, HOLD, dtype=np.int8)
    label[latent > high], label[latent <= low] = CLASSES.index("buy"), CLASSES.index("sell")
    known = session < n_dates - horizon
    label[~known] = UNLABELLED
    label_end = np.where(
        known, calendar[np.minimum(session + horizon, n_dates - 1)], np.datetime64("NaT", "D")
    )
    zeros = np.zeros(rows)

    return Dataset(
        X=X,
        feature_names=tuple(f"feature_{i}" for i in range(n_features)),
        ticker=ticker,
        date=calendar[session],
        session=session,
        close=np.full(rows, 10.0),
        volatility=np.full(rows, 0.02),
        return_5=zeros,
        return_20=zeros,
        known_label=np.full(rows, UNLABELLED, dtype=np.int8),
        rule=np.full(rows, HOLD, dtype=np.int8),
        label=label,
        label_end=label_end,
        future_return=np.where(known, 0.01 * latent, np.nan),
    )


def split_of(data: Dataset, params: PipelineParams) -> Split:
    return purged_split(
        data.date,
        data.label_end,
        test_size=params.test_size,
        val_size=params.val_size,
        embargo_days=params.embargo_days,
    )


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return -float(
        np.mean([np.log(row[label]) for row, label in zip(probabilities, labels, strict=True)])
    )
