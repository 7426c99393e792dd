"""Random walks cannot be forecast: the product's split shows no skill, a random one false skill.

There are twenty markets with the real calendar. The same quotes, features, labels and forest are
used twice: split as the product splits (by date, purged, embargoed), and split at random, as is
often done. Each statistic is averaged over the markets, and its t value compared with the two-sided
99.9 % bound of 19 degrees of freedom.
"""

import numpy as np
import pandas as pd
import pytest

from b3shared.core.arrays import IntArray
from b3shared.dataset.split import purged_split
from b3shared.dataset.table import Dataset
from b3shared.evaluation.metrics import class_shares, directional_accuracy, log_loss
from b3shared.evaluation.ranking import buy_minus_sell, daily_rank_ic
from b3shared.features.training_table import preprocess
from b3shared.models.base import TrainingSession
from b3shared.models.decision import decide
from b3shared.models.random_forest.model import RandomForestModel
from b3shared.params.run import PipelineParams

MARKETS = 20
TICKERS = 12
SESSIONS = 620
BOUND = 3.883  # t quantile 0.9995 at 19 degrees of freedom
PARAMS = PipelineParams.from_values(
    horizon=10,
    n_estimators=20,
    max_depth=10,
    min_samples_leaf=10,
    max_features="sqrt",
    max_samples=0.6,
    n_jobs=1,
)


def random_walks(calendar: np.ndarray, seed: int) -> pd.DataFrame:
    """Twelve independent geometric random walks without drift; volumes are random too."""
    rng = np.random.default_rng(seed)
    days = calendar[-SESSIONS:]
    frames = []
    for n in range(TICKERS):
        steps = rng.normal(0, 0.01, (SESSIONS, 4))  # four steps a day: open, two within, close
        path = 20 * np.exp(
            np.cumsum(steps).reshape(SESSIONS, 4)
            - steps.var() * np.arange(1, 4 * SESSIONS + 1).reshape(-1, 4) / 2
        )
        frames.append(
            pd.DataFrame(
                {
                    "ticker": f"AAA{chr(65 + n)}3",
                    "date": days,
                    "open": path[:, 0],
                    "high": path.max(axis=1),
                    "low": path.min(axis=1),
                    "close": path[:, 3],
                    "volume": rng.lognormal(14, 0.5, SESSIONS),
                    "turnover": np.nan,
                    "best_buy": np.nan,
                    "best_sell": np.nan,
                    "split_factor": 1.0,
                    "dividend": 0.0,
                }
            )
        )

    return pd.concat(frames, ignore_index=True)


def skill(
    data: Dataset, train: IntArray, val: IntArray, test: IntArray
) -> tuple[float, float, float]:
    """Rank IC, directional accuracy above 1/2, log-loss gain over the prior, on the test rows."""
    model = RandomForestModel(PARAMS)
    model.fit(data, train, val, TrainingSession())
    p = model.forecast(data, test).probabilities
    label = data.label[test]
    outcome = data.future_return[test]
    prior = np.tile(class_shares(data.label[train]), (len(test), 1))
    return (
        daily_rank_ic(buy_minus_sell(p), outcome, data.date[test]).mean,
        directional_accuracy(decide(p, model.base_rates, PARAMS.decision), outcome) - 0.5,
        log_loss(prior, label) - log_loss(p, label),
    )


@pytest.fixture(scope="module")
def markets(bundled: pd.DataFrame) -> dict[str, np.ndarray]:
    """(markets, statistics) for the product's split and for the random one."""
    calendar = np.unique(bundled["date"].to_numpy())
    found: dict[str, list[tuple[float, float, float]]] = {"purged": [], "random": []}
    for seed in range(MARKETS):
        data = preprocess(random_walks(calendar, seed), PARAMS).data
        split = purged_split(data.date, data.label_end, test_size=0.2, val_size=0.2, embargo_days=5)
        found["purged"].append(skill(data, split.train, split.val, split.test))
        shuffled = np.random.default_rng(seed).permutation(data.labelled)
        test, val, train = np.split(shuffled, [len(shuffled) // 5, 2 * len(shuffled) // 5])
        found["random"].append(skill(data, train, val, test))
    return {name: np.array(values) for name, values in found.items()}


def t_values(sample: np.ndarray) -> np.ndarray:
    return sample.mean(axis=0) / (sample.std(axis=0, ddof=1) / np.sqrt(len(sample)))


def test_random_walks_show_no_skill(markets: dict[str, np.ndarray]) -> None:
    rank_ic, direction, gain = t_values(markets["purged"])
    print("t of rank IC, direction, log-loss gain:", rank_ic, direction, gain)
    assert abs(rank_ic) < BOUND
    assert abs(direction) < BOUND
    assert gain < BOUND


def test_the_same_markets_split_at_random_show_false_skill(
    markets: dict[str, np.ndarray],
) -> None:
    """The negative control: the test above would fail with a leak."""
    rank_ic, direction, gain = t_values(markets["random"])
    print(
        "t of rank IC, direction, log-loss gain:",
        rank_ic,
        direction,
        gain,
        markets["random"].mean(axis=0),
    )

    assert rank_ic > BOUND
    assert direction > BOUND
    assert gain > BOUND
    assert markets["random"][:, 1].mean() > 0.12  # 62 % and more of the directions "right"
