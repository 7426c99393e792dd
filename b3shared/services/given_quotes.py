"""Brings a caller's DataFrame of quotes into the schema, and reports what was dropped."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from b3shared.core.errors import InvalidParameterError, InvalidQuotesError, NoQuotesError
from b3shared.quotes.corporate_actions.splits import Splits
from b3shared.quotes.findings import Finding
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.loading.report import describe_dropped
from b3shared.quotes.schema import ABSENT, ALIASES, DEFAULTS, QUOTE_TYPES, REQUIRED

_TOLD = ("split_without_trace", "detected_split")
"""Findings beside dropped rows that a caller is warned of: they change returns."""
LOADED = "report"
"""Attribute of the frames that ``load_data`` returns."""


@dataclass(frozen=True)
class GivenQuotes:
    """Clean quotes of a caller.

    Attributes:
        quotes: rows in the schema of :mod:`b3shared.quotes.schema`, sorted by ticker and date, one
            a day.
        findings: what is odd about them, and what was dropped.
    """

    quotes: pd.DataFrame
    findings: list[Finding]


def tidy(df: object) -> GivenQuotes:
    """Bring quotes given as a DataFrame into the schema, and clean them.

    Dates become days: a moment with a time zone is of the day that it names in its own zone. Of
    several rows for one ticker and day the one with the most volume stays. Without a column
    ``dividend`` dividends are not known, nor in the holes of one that has zeros or no value; in one
    of payments alone a hole is none.

    Args:
        df: a DataFrame. Ticker and date may be columns or levels of the index; capitals in names do
            not matter.

    Raises:
        NoQuotesError: No row, or none that is a quote.
        InvalidQuotesError: It is no DataFrame, lacks a needed column, has one twice, or one holds
            what is not a number or a date.
    """
    named = _named(df)
    if named.empty:
        raise NoQuotesError("the quotes have no rows")
    frame = pd.DataFrame({name: _column(named, name, kind) for name, kind in QUOTE_TYPES.items()})
    frame = frame.sort_values(
        "volume", kind="stable", na_position="first"
    )  # of twins the last one stays
    frame = frame.sort_values(["ticker", "date"], kind="stable", ignore_index=True)

    corrected: list[Finding] = []
    if LOADED not in named.attrs:  # a load has looked at the splits already
        frame, corrected = Splits.in_frame(frame, listed="split_factor" in named.columns).applied(
            frame
        )
    frame, findings = clean(frame)
    if frame.empty:
        raise NoQuotesError(f"no row is a quote: {describe_dropped(findings)}")
    return GivenQuotes(frame, [f for f in corrected if f.rows] + findings)


def warn_of(findings: Sequence[Finding], stacklevel: int) -> None:
    """Warn of rows that were dropped and of splits that were changed, with an example of each."""
    if any(f.action == "dropped" for f in findings):
        rows = sum(f.rows for f in findings if f.action == "dropped")
        warnings.warn(
            f"{rows} rows of the quotes were dropped: {describe_dropped(findings)}",
            stacklevel=stacklevel + 1,
        )
    for found in findings:
        if found.kind in _TOLD:
            warnings.warn(
                f"{found.rows} {found.kind}: {found.examples[0]}", stacklevel=stacklevel + 1
            )


def named_tickers(tickers: str | Iterable[str]) -> list[str]:
    """Tickers in capitals, each once; a text names one, or several with commas between them.

    Raises:
        InvalidParameterError: They are no texts.
    """
    try:
        given = tickers.split(",") if isinstance(tickers, str) else list(tickers)
        return list(dict.fromkeys(ticker.strip().upper() for ticker in given))
    except (TypeError, AttributeError) as error:
        raise InvalidParameterError(
            f"tickers must be a list of tickers such as ['PETR4'], got {tickers!r}",
            parameters=["tickers"],
        ) from error


def _named(df: object) -> pd.DataFrame:
    """Return the schema's columns that a frame has, also from the levels of its index."""
    if not isinstance(df, pd.DataFrame):
        raise InvalidQuotesError(
            f"quotes must be a pandas DataFrame with {', '.join(REQUIRED)}, got {_hint(df)}"
        )
    if df.columns.nlevels > 1:
        raise InvalidQuotesError(
            f"quotes must have one row per ticker and day, got "
            f"columns of {df.columns.nlevels} levels ({', '.join(map(str, df.columns.names))}); "
            "df.stack(level=...) and reset_index() make rows of them"
        )

    columns: dict[str, pd.Series] = {}
    for at, name in enumerate(df.columns):
        meant = _schema_name(name)
        if meant in columns:
            raise InvalidQuotesError(
                f"quotes must have one column {meant}, got two: {', '.join(map(str, df.columns))}"
            )
        if meant in QUOTE_TYPES:
            columns[meant] = df.iloc[:, at].reset_index(drop=True)
    for name, level in _levels(df.index).items():
        columns.setdefault(name, level)
    if missing := [c for c in REQUIRED if c not in columns]:
        raise InvalidQuotesError(
            f"quotes lack {', '.join(missing)}; needed are {', '.join(REQUIRED)}, "
            f"got {', '.join(map(str, df.columns))}",
            missing=missing,
        )
    named = pd.DataFrame(columns)
    named.attrs = df.attrs
    return named


def _levels(index: pd.Index) -> dict[str, pd.Series]:
    """Return the levels of an index that are columns of the schema.

    An index of dates without a name is the date.
    """
    levels = {
        _schema_name(name): index.get_level_values(at)
        for at, name in enumerate(index.names)
        if name is not None
    }
    if not levels and isinstance(index, pd.DatetimeIndex):
        levels = {"date": index}

    return {
        name: pd.Series(level, index=range(len(index)))
        for name, level in levels.items()
        if name in QUOTE_TYPES
    }


def _schema_name(name: object) -> str:
    lower = str(name).strip().lower()
    return ALIASES.get(lower, lower)


def _hint(value: object) -> str:
    """What was given instead of a DataFrame, and what to do with it."""
    if isinstance(value, str | Path):
        return (
            f"the path {str(value)!r}; "
            f"B3DataLoadingService({str(value)!r}).load_data() reads quotes from a file"
        )
    if hasattr(value, "to_pandas"):
        return f"{type(value).__module__}.{type(value).__name__}; call its to_pandas()"

    return (
        f"{type(value).__name__}; pandas.DataFrame(...) makes one"
        if isinstance(value, dict | list)
        else repr(value)[:80]
    )


def _column(named: pd.DataFrame, name: str, kind: str) -> pd.Series:
    """A column of the schema; what stands for it where the frame has none."""
    numeric = kind in ("DOUBLE", "BIGINT")
    if name not in named.columns:
        if not numeric:
            return pd.Series(None, index=named.index, dtype=object)
        return pd.Series(float(ABSENT.get(name, "nan")), index=named.index, dtype=float)

    values = named[name]
    try:
        if name == "date":
            return _days(values)
        if not numeric:
            return values.astype("str")
        found = pd.to_numeric(values).astype("float64")
    except (ValueError, TypeError) as error:
        allowed = "numbers are" if numeric else "dates YYYY-MM-DD are"
        raise InvalidQuotesError(
            f"column {name}: {str(error).splitlines()[0]}; {allowed} allowed", column=name
        ) from error
    if name not in DEFAULTS:
        return found.where(np.isfinite(found))
    kept = name == "dividend" and (LOADED in named.attrs or _says_none(found))
    return found if kept else found.fillna(float(DEFAULTS[name]))


def _says_none(dividend: pd.Series) -> bool:
    """Return whether a hole among dividends means that they are not known, as a load writes it.

    A column with zeros says "none" by them, and one of holes alone says nothing. In a column of
    holes and payments a hole stands for none.
    """
    return bool((dividend == 0.0).any() or dividend.isna().all())


def _days(values: pd.Series) -> pd.Series:
    """Dates as days, each in the time zone that it is given in."""
    if is_numeric_dtype(values):
        raise TypeError(f"{values.iloc[0]!r} is a number")

    try:
        moments = pd.to_datetime(values, format="ISO8601")
    except ValueError as error:
        if "utc=True" not in str(error):
            raise
        moments = pd.to_datetime(
            values.map(_without_zone)
        )  # of several zones: summer time begins and ends
    if moments.dt.tz is not None:
        moments = moments.dt.tz_localize(None)
    return moments.dt.normalize().astype("datetime64[s]")


def _without_zone(value: Any) -> Any:
    return pd.Timestamp(value).tz_localize(None)
