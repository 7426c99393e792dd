"""Converts between DataFrames and the training table that the models read."""

from collections.abc import Mapping
from dataclasses import fields

import numpy as np
import pandas as pd

from b3shared.core.arrays import IntArray
from b3shared.core.errors import InvalidQuotesError
from b3shared.core.vocabulary import CLASSES, UNLABELLED
from b3shared.dataset.table import Dataset
from b3shared.params.models import model_spec

LEVELS = ["ticker", "date", "label_end"]
"""Levels of the index of features and labels, as a split without leaks needs them."""
ROW = ["ticker", "date"]
"""Levels that name a row."""

NEEDED_BY_SEQUENCES = ("session", "close", "volatility", "future_return")
"""Columns of ``df_processed`` that make windows and returns; see ``ModelSpec.takes_sequences``."""

_FACTS = [
    f.name
    for f in fields(Dataset)
    if f.name not in ("X", "feature_names", "ticker", "date", "label_end", "label")
]
_CODES = {name: code for code, name in enumerate(CLASSES)}
Part = tuple[pd.DataFrame, pd.Series]


def to_frames(data: Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return features, and all other columns, as frames with the same index.

    The class name is the column ``target``, NaN where it is unknown.
    """
    index = pd.MultiIndex.from_arrays(
        [data.ticker, data.date.astype("datetime64[s]"), data.label_end.astype("datetime64[s]")],
        names=LEVELS,
    )
    X = pd.DataFrame(np.asarray(data.X), index=index, columns=list(data.feature_names))
    facts = pd.DataFrame({name: getattr(data, name) for name in _FACTS}, index=index)
    facts["target"] = pd.Series(np.array([*CLASSES, None], dtype=object)[data.label], index=index)
    return X, facts


def to_dataset(
    X: pd.DataFrame, y: pd.Series | None = None, df: pd.DataFrame | None = None
) -> Dataset:
    """Build the training table from features ``X``, labels ``y`` and other columns of ``df``.

    Rows of ``df`` are found by ticker and date; columns that are not given are NaN (or unknown).

    Raises:
        InvalidQuotesError: ``X`` has no index of ticker, date and label_end, is not numeric, or
            ``y`` is not aligned; or ``df`` is not what ``preprocess_data`` returned.
    """
    check_index(X)
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in X.dtypes):
        text = [str(c) for c, kind in X.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
        raise InvalidQuotesError(f"features must be numbers; {', '.join(text)} is not")

    label = np.full(len(X), UNLABELLED, dtype=np.int8)
    if y is not None:
        label = _labels(X, y)
    facts = _facts(X, df)
    codes = {"session": np.int32, "known_label": np.int8, "rule": np.int8}
    unknown = {"session": 0, "known_label": UNLABELLED, "rule": _CODES["hold"]}
    return Dataset(
        X=X.to_numpy(dtype=np.float32),
        feature_names=tuple(map(str, X.columns)),
        ticker=X.index.get_level_values("ticker").to_numpy(dtype=str),
        date=X.index.get_level_values("date").to_numpy().astype("datetime64[D]"),
        label=label,
        label_end=X.index.get_level_values("label_end").to_numpy().astype("datetime64[D]"),
        **{
            name: facts[name].fillna(unknown[name]).to_numpy(dtype=codes[name])
            if name in codes
            else facts[name].to_numpy(dtype=np.float64)
            for name in _FACTS
        },
    )


def to_table(
    parts: Mapping[str, Part],
    model_type: str,
    df: pd.DataFrame | None = None,
    history: pd.DataFrame | None = None,
) -> tuple[Dataset, dict[str, IntArray]]:
    """Build one sorted training table from several parts, and return the rows of each part.

    Args:
        parts: name -> features and labels.
        model_type: of the model that is to read it.
        df: the second result of ``preprocess_data``.
        history: features of further rows, that windows may reach back over; rows of the parts are
            taken from the parts.

    Raises:
        InvalidQuotesError: As :func:`to_dataset`; ``df`` lacks what the model needs; a row occurs
            twice; ``history`` lacks features.
    """
    for features, labels in parts.values():
        check_index(features)
        check_aligned(features, labels)
    X, y = (pd.concat(frames) for frames in zip(*parts.values(), strict=True))

    ends = np.cumsum([0, *(len(features) for features, _ in parts.values())])
    if history is not None:
        rest = _others(history, X)
        X = pd.concat([X, rest])
        y = pd.concat([y, pd.Series(None, rest.index, dtype=object)])
    if (twice := _rows(X).duplicated()).any():
        ticker, date = _rows(X)[twice][0]
        raise InvalidQuotesError(
            f"{twice.sum()} rows occur twice among the parts, such as {ticker} of {date:%Y-%m-%d}"
        )
    if model_spec(model_type).takes_sequences:
        check_needed(X, df, model_type)
    data = to_dataset(X, y, df)
    order = np.lexsort([data.date, data.ticker])
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    rows: dict[str, IntArray] = {name: place[ends[n] : ends[n + 1]] for n, name in enumerate(parts)}
    return data.take(order), rows


def check_needed(X: pd.DataFrame, df: pd.DataFrame | None, model_type: str) -> None:
    """InvalidQuotesError unless ``df`` has what the model type needs of each row of ``X``."""
    needed = NEEDED_BY_SEQUENCES
    if df is None:
        raise InvalidQuotesError(
            f"a model of type {model_type} needs {', '.join(needed)} of each row beside "
            "its features: give df_processed, the second result of preprocess_data"
        )

    facts = _facts(X, df)
    if (unknown := facts[list(needed)].isna()).to_numpy().any():
        column = unknown.any().idxmax()
        ticker, date, _ = X.index[int(unknown[column].to_numpy().argmax())]
        raise InvalidQuotesError(
            f"df_processed has no {column} of {int(unknown[column].sum())} of the {len(X)} rows, "
            f"such as {ticker} of {date:%Y-%m-%d}; a model of type {model_type} needs "
            f"{', '.join(needed)} of each",
            column=column,
        )


def check_index(X: pd.DataFrame | pd.Series) -> None:
    """InvalidQuotesError unless the index has the levels that a leak-proof split needs."""
    if not isinstance(X, pd.DataFrame | pd.Series):
        raise InvalidQuotesError(
            f"X and y must be as preprocess_data returns them, got {type(X).__name__}"
        )
    if list(X.index.names) != LEVELS:
        raise InvalidQuotesError(
            f"the index has levels {list(X.index.names)}; needed are {LEVELS}, "
            "as preprocess_data returns them: without them a split cannot know when a label "
            "became known"
        )


def check_aligned(X: pd.DataFrame, y: pd.Series) -> None:
    """InvalidQuotesError unless features and labels are of the same rows in the same order."""
    check_index(y)
    if not y.index.equals(X.index):
        raise InvalidQuotesError(
            f"X has {len(X)} rows and y has {len(y)}, or their order differs; they must be aligned"
        )


def _rows(frame: pd.DataFrame | pd.Series) -> pd.MultiIndex:
    """Ticker and date of each row."""
    return pd.MultiIndex.from_arrays(
        [frame.index.get_level_values(level) for level in ROW], names=ROW
    )


def _facts(X: pd.DataFrame, df: pd.DataFrame | None) -> pd.DataFrame:
    """Return the other columns of ``df`` for the rows of ``X``, NaN where unknown."""
    if df is None:
        return pd.DataFrame(np.nan, index=range(len(X)), columns=_FACTS)
    if missing := [name for name in _FACTS if name not in df.columns]:
        raise InvalidQuotesError(
            f"df_processed lacks {', '.join(missing)}; give the second result of preprocess_data",
            missing=missing,
        )

    check_index(df)
    known = df[_FACTS].set_axis(_rows(df))
    if known.index.has_duplicates:
        raise InvalidQuotesError(
            f"df_processed has {known.index.duplicated().sum()} rows twice; one per ticker and date"
        )
    return known.reindex(_rows(X)).reset_index(drop=True)


def _others(history: pd.DataFrame, X: pd.DataFrame) -> pd.DataFrame:
    """The complete rows of ``history`` that are not among ``X``, with the features of ``X``."""
    check_index(history)
    if missing := [str(name) for name in X.columns if name not in history.columns]:
        raise InvalidQuotesError(
            f"history lacks features {', '.join(missing)}, which the parts have", missing=missing
        )
    rest = history.loc[~_rows(history).isin(_rows(X)), X.columns]
    return rest[np.isfinite(rest.to_numpy(dtype=np.float64)).all(axis=1)]


def _labels(X: pd.DataFrame, y: pd.Series) -> np.ndarray:
    check_aligned(X, y)
    unknown = sorted(set(y.dropna().unique()) - set(CLASSES))
    if unknown:
        raise InvalidQuotesError(f"labels {unknown}: allowed are {', '.join(CLASSES)}")
    return y.map(_CODES).fillna(UNLABELLED).to_numpy(dtype=np.int8)
