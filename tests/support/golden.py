"""Reference values of features and detection on a committed sample, and their versions.

``make golden`` writes them anew. It refuses while a value differs from the file's under the
same number: raise FEATURES_VERSION or DETECTION_VERSION in b3shared/core/versions.py first.
"""

import sys
from functools import partial

import numpy as np
import pandas as pd
from paths import DATA

from b3shared.core.versions import DETECTION_VERSION, FEATURES_VERSION
from b3shared.dataset.table import Dataset
from b3shared.features.assembly import TableJoin
from b3shared.features.build import build_features
from b3shared.features.ticker_features import Coverage
from b3shared.features.training_table import table_part
from b3shared.params.run import PipelineParams
from b3shared.quotes.corporate_actions.detection import detect_in
from b3shared.quotes.corporate_actions.overrides import apply_overrides
from b3shared.quotes.corporate_actions.renames import rename_candidates
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery

FOLDER = DATA / "golden"
SAMPLE = FOLDER / "quotes.parquet"
EVERY = 25
"""Of the features every so many rows are kept, and the newest ones of each ticker."""
NEWEST = 2
RTOL, ATOL = 1e-5, 1e-8

Values = dict[str, np.ndarray]


def sample() -> pd.DataFrame:
    """Eight tickers of 2021 to 2023, with the faults of real quotes put in."""
    quotes = ParquetSource(SAMPLE).read(QuoteQuery())
    prices = ["open", "high", "low", "close"]
    at = {ticker: quotes.index[quotes["ticker"] == ticker] for ticker in quotes["ticker"].unique()}

    quotes.loc[at["PETR4"][300], prices] *= 2.0  # a spike that goes back
    stuck = at["RADL3"][400:402]
    quotes.loc[stuck, prices] = quotes.loc[stuck[0] - 1, "close"] * 3.0
    quotes["volume"] = quotes["volume"].astype(float)
    quotes.loc[at["ITSA4"][200], "volume"] = np.nan
    quotes.loc[at["ITSA4"][210], "volume"] = 0.0
    quotes.loc[at["CMIG4"][150], "high"] = quotes.loc[at["CMIG4"][150], "low"] / 2.0
    twice = quotes.loc[at["BBDC4"][100:102]]

    months = at["VALE3"][250:420]  # no trade for months
    kept = pd.concat([quotes.drop(index=months), twice])
    return kept.sort_values(["ticker", "date"], kind="stable", ignore_index=True)


def features() -> Values:
    """Cleaning, the features of each set, and the training table with its ranks and labels."""
    frame, findings = clean(sample())
    values = {
        "cleaned": frame[
            ["open", "high", "low", "close", "volume", "split_factor", "dividend"]
        ].to_numpy(np.float64),
        "cleaned_rows": frame.groupby("ticker").size().to_numpy(),
        "findings": np.array([f"{f.kind} {f.rows} {f.action}" for f in findings]),
    }
    kept = _kept(frame["ticker"].to_numpy(dtype=str))
    for name in ("v1", "v2"):
        made = build_features(frame, name, 0.0)
        values[f"{name}_names"] = np.array(made.names)
        values[f"{name}_X"] = made.X[kept]
        values[f"{name}_eligible"] = made.eligible.reshape(1, -1).sum(axis=1)

    for label in ("direction", "triple_barrier", "signal"):
        table = _joined(frame, PipelineParams.from_values({"label": label, "min_turnover": 0.0}))
        rows = _kept(table.ticker)
        values[f"{label}_X"] = np.asarray(table.X, dtype=np.float64)[rows]
        values[f"{label}_label"] = table.label
        values[f"{label}_label_end"] = table.label_end[rows].astype(str)
        values[f"{label}_future_return"] = table.future_return[rows]
    return values


def _joined(frame: pd.DataFrame, params: PipelineParams) -> Dataset:
    """The training table of two shards of tickers, as a large run makes it."""
    coverage = Coverage.from_frame(frame)
    first = frame["ticker"] < "IRBR3"
    parts = [
        table_part(frame[half].reset_index(drop=True), params, coverage) for half in (first, ~first)
    ]
    return TableJoin([partial(dict, part) for part in parts], params.features).dataset()


def detection() -> Values:
    """Corporate actions found in prices alone and beside a list, overrides, and renames."""
    quotes, _ = clean(sample())
    forgotten = (quotes["ticker"] == "IRBR3") & (quotes["split_factor"] != 1)
    listed = detect_in(quotes.assign(split_factor=quotes["split_factor"].mask(forgotten, 1.0)))
    found = detect_in(quotes.drop(columns=["split_factor", "dividend"]))
    overrides = pd.DataFrame(
        {
            "ticker": ["VALE3", "PETR4"],
            "date": ["2022-01-03", "2022-06-01"],
            "split_factor": [2.0, np.nan],
        }
        | {"dividend": [np.nan, 1.5]}
    )
    renamed = quotes.copy()
    renamed.loc[(renamed["ticker"] == "MGLU3") & (renamed["date"] >= "2022-06-01"), "ticker"] = (
        "MGLX3"
    )
    values = {}

    for name, actions in {
        "beside_a_list": listed,
        "found": found,
        "overridden": apply_overrides(found, overrides),
    }.items():
        key = (
            actions["ticker"].astype(str)
            + " "
            + actions["date"].astype(str)
            + " "
            + actions["kind"].astype(str)
        )
        values[f"{name}_events"] = key.to_numpy(dtype=str)
        values[f"{name}_factors"] = actions[["factor", "confidence"]].to_numpy(dtype=np.float64)
    pairs = rename_candidates(renamed)
    values["renames"] = (
        pairs["old"] + " " + pairs["new"] + " " + pairs["reason"].fillna("")
    ).to_numpy(dtype=str)
    return values


def _kept(ticker: np.ndarray) -> np.ndarray:
    """Positions of the rows that are kept, of rows sorted by ticker."""
    last = np.append(np.flatnonzero(ticker[1:] != ticker[:-1]), len(ticker) - 1)
    newest = np.concatenate([last - n for n in range(NEWEST)])
    return np.unique(np.concatenate([np.arange(0, len(ticker), EVERY), newest]))


COMPUTED = {"features": (FEATURES_VERSION, features), "detection": (DETECTION_VERSION, detection)}


def stored(name: str) -> tuple[int, Values]:
    """Version number and values that a file holds."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        values = dict(file)
    return int(values.pop("version")), values


def differences(golden: Values, now: Values) -> list[str]:
    """Names of the values that are not those of the file, within the noise of floating point."""
    changed = sorted(golden.keys() ^ now.keys())
    for name in golden.keys() & now.keys():
        a, b = golden[name], now[name]
        if a.shape != b.shape:
            changed.append(name)
        elif a.dtype.kind == "f":
            if not np.allclose(a, b, rtol=RTOL, atol=ATOL, equal_nan=True):
                changed.append(name)
        elif not np.array_equal(a, b):
            changed.append(name)
    return sorted(changed)


def main() -> int:
    """Write the files whose values changed under a new number."""
    for name, (version, compute) in COMPUTED.items():
        now = compute()
        if (FOLDER / f"{name}.npz").exists():
            number, golden = stored(name)
            changed = differences(golden, now)
            if changed and version <= number:
                print(
                    f"{name}: {', '.join(changed)} changed: "
                    f"raise {name.upper()}_VERSION above {number} first"
                )
                return 1

            if not changed and version == number:
                print(f"{name}: version {version}, unchanged")
                continue
        np.savez_compressed(FOLDER / f"{name}.npz", version=np.array(version), **now)
        print(f"{name}: version {version} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
