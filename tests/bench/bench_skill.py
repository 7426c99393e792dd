"""The forest by a fixed protocol on ten years of quotes: rank IC and ICIR, out of sample, at three horizons.

``PYTHONPATH=. python tests/bench/bench_skill.py [FOLDER]``, the folder of ``b3_daily.parquet`` and its ``_tickers.csv``.

Train to 2020-12-14, calibrate on 2021, test 2022-01-03 to 2023-12-14, no refit; 150 trees, depth 8, leaf 200, a third of
the rows per tree, classes balanced; nothing is searched. Three ways to treat the vendor's dividends are shown, because
the vendor dates them on the last session with the right: taken as ex-dates (as its adjusted close does), every payment
is a gain that is lost again the next day, which a model can learn.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from b3shared.dataset import Dataset
from b3shared.decision import decide
from b3shared.evaluation import metrics
from b3shared.evaluation.ranking import buy_minus_sell, daily_rank_ic
from b3shared.models.base import TrainingSession
from b3shared.models.random_forest import RandomForestModel
from b3shared.params import PipelineParams
from b3shared.preprocess import preprocess
from b3shared.quotes.quality import clean
from b3shared.quotes.sources import ParquetSource, QuoteQuery

TRAIN_END, TEST = np.datetime64("2020-12-14"), (np.datetime64("2022-01-03"), np.datetime64("2023-12-14"))
ANCHOR = {1: (0.033, 0.20, 0.371), 2: (0.043, 0.23, 0.373), 5: (0.045, 0.22, 0.370)}
"""Horizon -> rank IC, ICIR, macro F1 of the anchor's forest, measured with the vendor's adjusted closes."""


def quotes(folder: Path, dividends: str) -> pd.DataFrame:
    """Clean quotes; ``dividends`` is "vendor" (its adjusted close), "as dated" or "ex-date"."""
    basis = pd.read_csv(folder / "b3_daily_tickers.csv").set_index("ticker")["price_basis"]
    tickers = tuple(basis.index[basis.isin(["raw", "mostly raw"])])
    source = ParquetSource(folder / "b3_daily.parquet")
    frame = source.read(QuoteQuery(tickers=tickers))
    if dividends == "ex-date":
        frame["dividend"] = frame.groupby("ticker")["dividend"].shift(1, fill_value=0.0)
    if dividends == "vendor":
        frame = _as_adjusted(frame, folder / "b3_daily.parquet")
    attrs = frame.attrs
    cleaned, _ = clean(frame) if dividends != "vendor" else (frame[frame["volume"] > 0].reset_index(drop=True), None)
    cleaned.attrs = attrs
    return cleaned


def _as_adjusted(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Dividends that make our factors equal to the vendor's adjusted close, wherever that puts them."""
    import duckdb

    adjusted = duckdb.execute("SELECT ticker, date, adjusted_close FROM read_parquet(?)", [str(path)]).df()
    frame = frame.merge(adjusted.astype({"date": frame["date"].dtype}), on=["ticker", "date"])
    frame = frame[frame["volume"] > 0].reset_index(drop=True)
    by_ticker = frame.groupby("ticker")
    growth = (frame["adjusted_close"] / frame["close"]) / (
        by_ticker["adjusted_close"].shift(1) / by_ticker["close"].shift(1)
    )
    frame["split_factor"] = 1.0
    frame["dividend"] = (by_ticker["close"].shift(1) * (1 - 1 / growth)).fillna(0.0)
    return frame.drop(columns="adjusted_close")


def parts(data: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of train, validation and test, purged by label_end."""
    known = data.label >= 0
    train = known & (data.label_end <= TRAIN_END)
    val = known & (data.date > TRAIN_END) & (data.label_end < TEST[0])
    test = known & (data.date >= TEST[0]) & (data.date <= TEST[1])
    return tuple(np.flatnonzero(rows) for rows in (train, val, test))


def measure(frame: pd.DataFrame, horizon: int) -> dict[str, float]:
    """Train and score once."""
    params = PipelineParams.of(
        horizon=horizon, n_estimators=150, max_depth=8, min_samples_leaf=200, max_features="sqrt", max_samples=0.3
    )
    data = preprocess(frame, params).data
    train, val, test = parts(data)
    model = RandomForestModel(params)
    model.fit(data, train, val, TrainingSession())
    p = model.forecast(data, test).probabilities
    ic = daily_rank_ic(buy_minus_sell(p), data.future_return[test], data.date[test])
    reversal = daily_rank_ic(-data.return_5[test], data.future_return[test], data.date[test])
    label = data.label[test]
    confusion = metrics.confusion_matrix(label, decide(p, model.base_rates, "lift"))
    prior = np.tile(metrics.class_shares(data.label[train]), (len(test), 1))
    return {
        "rank_ic": ic.mean,
        "icir": ic.ratio,
        "macro_f1": float(metrics.macro_f1(confusion)),
        "majority": float(np.bincount(label).max() / len(label)),
        "log_loss": metrics.log_loss(p, label),
        "prior_log_loss": metrics.log_loss(prior, label),
        "reversal_ic": reversal.mean,
        "rows": len(train),
    }


def main() -> None:
    """Print the table."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    if not (folder / "b3_daily.parquet").exists():
        print(f"not measured: {folder} has no b3_daily.parquet; give its folder")
        return
    titles = ("horizon", "rank IC", "ICIR", "macro F1", "majority", "log loss", "prior", "reversal IC", "train rows", "s")
    print(f"{'dividends':<10}" + "".join(f"{title:>12}" for title in titles))
    for horizon, (ic, ratio, f1) in ANCHOR.items():
        print(f"{'anchor':<10}{horizon:>12}{ic:>12.3f}{ratio:>12.2f}{f1:>12.3f}")
        for dividends in ("vendor", "as dated", "ex-date"):
            started = time.perf_counter()
            m = measure(quotes(folder, dividends), horizon)
            skill = f"{m['rank_ic']:>12.3f}{m['icir']:>12.2f}{m['macro_f1']:>12.3f}{m['majority']:>12.2f}"
            loss = f"{m['log_loss']:>12.4f}{m['prior_log_loss']:>12.4f}{m['reversal_ic']:>12.3f}{m['rows']:>12,}"
            seconds = time.perf_counter() - started
            print(f"{dividends:<10}{horizon:>12}{skill}{loss}{seconds:>12.0f}", flush=True)


if __name__ == "__main__":
    main()
