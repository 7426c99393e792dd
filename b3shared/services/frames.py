"""Between DataFrames, which people like to look at, and the training table, which the models read."""

from dataclasses import fields

import numpy as np
import pandas as pd

from b3shared.dataset import CLASSES, UNLABELLED, Dataset
from b3shared.errors import InvalidQuotesError

LEVELS = ["ticker", "date", "label_end"]
"""Levels of the index that features and labels carry: what a leak-proof split has to know of a row."""

_FACTS = [f.name for f in fields(Dataset) if f.name not in ("X", "feature_names", "ticker", "date", "label_end", "label")]
_CODES = {name: code for code, name in enumerate(CLASSES)}


def to_frames(data: Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features, and all other columns with the class name as ``target`` (NaN where unknown), on the same index."""
    index = pd.MultiIndex.from_arrays(
        [data.ticker, data.date.astype("datetime64[s]"), data.label_end.astype("datetime64[s]")], names=LEVELS
    )
    X = pd.DataFrame(np.asarray(data.X), index=index, columns=list(data.feature_names))
    facts = pd.DataFrame({name: getattr(data, name) for name in _FACTS}, index=index)
    facts["target"] = pd.Series(np.array([*CLASSES, None], dtype=object)[data.label], index=index)
    return X, facts


def to_dataset(X: pd.DataFrame, y: pd.Series | None = None, df: pd.DataFrame | None = None) -> Dataset:
    """The training table of features ``X``, labels ``y`` and, where at hand, the other columns of ``df``.

    Rows of ``df`` are found by ticker and date; columns that are not given are NaN (or unknown).

    Raises:
        InvalidQuotesError: ``X`` has no index of ticker, date and label_end, is not numeric, or ``y`` is not aligned.
    """
    check_index(X)
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in X.dtypes):
        text = [str(c) for c, kind in X.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
        raise InvalidQuotesError(f"features must be numbers; {', '.join(text)} is not")
    label = np.full(len(X), UNLABELLED, dtype=np.int8)
    if y is not None:
        label = _labels(X, y)
    ticker, date = X.index.get_level_values("ticker"), X.index.get_level_values("date")
    if df is None:
        facts = pd.DataFrame(np.nan, index=range(len(X)), columns=_FACTS)
    else:
        keys = pd.MultiIndex.from_arrays([ticker, date])
        facts = df[_FACTS].droplevel("label_end").reindex(keys).reset_index(drop=True)
    codes = {"session": np.int32, "known_label": np.int8, "rule": np.int8}
    unknown = {"session": 0, "known_label": UNLABELLED, "rule": _CODES["hold"]}
    return Dataset(
        X=X.to_numpy(dtype=np.float32),
        feature_names=tuple(map(str, X.columns)),
        ticker=ticker.to_numpy(dtype=str),
        date=date.to_numpy().astype("datetime64[D]"),
        label=label,
        label_end=X.index.get_level_values("label_end").to_numpy().astype("datetime64[D]"),
        **{
            name: facts[name].fillna(unknown[name]).to_numpy(dtype=codes[name])
            if name in codes
            else facts[name].to_numpy(dtype=np.float64)
            for name in _FACTS
        },
    )


def check_index(X: pd.DataFrame | pd.Series) -> None:
    """InvalidQuotesError unless the index has the levels that a leak-proof split needs."""
    if list(X.index.names) != LEVELS:
        raise InvalidQuotesError(
            f"the index has levels {list(X.index.names)}; needed are {LEVELS}, as preprocess_data returns them: "
            "without them a split cannot know when a label became known"
        )


def _labels(X: pd.DataFrame, y: pd.Series) -> np.ndarray:
    if not y.index.equals(X.index):
        raise InvalidQuotesError(f"X has {len(X)} rows and y has {len(y)}, or their order differs; they must be aligned")
    unknown = sorted(set(y.dropna().unique()) - set(CLASSES))
    if unknown:
        raise InvalidQuotesError(f"labels {unknown}: allowed are {', '.join(CLASSES)}")
    return y.map(_CODES).fillna(UNLABELLED).to_numpy(dtype=np.int8)
