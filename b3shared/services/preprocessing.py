"""Stage 2: features and labels."""

from typing import Any

import pandas as pd

from b3shared.dataset import UNLABELLED
from b3shared.errors import InvalidParameterError, InvalidQuotesError, NoQuotesError
from b3shared.params import PipelineParams
from b3shared.preprocess import preprocess
from b3shared.quotes.quality import clean
from b3shared.quotes.schema import DEFAULTS, QUOTE_TYPES, REQUIRED
from b3shared.services.frames import to_frames
from b3shared.versions import FEATURES_VERSION

MADE_WITH = ("features", "label", "horizon", "label_width", "signal_lag", "min_turnover")
"""Parameters that features and labels were made with: a model of them must know the same."""


class B3ModelPreprocessingService:
    """Makes features and labels of quotes."""

    def preprocess_data(self, df: pd.DataFrame, **params: Any) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
        """Features, everything else, and labels.

        Args:
            df: quotes; at least ticker, date and close, and what the feature set needs.
            **params: parameters of :class:`b3shared.params.PipelineParams`, such as ``features``, ``label``, ``horizon``.

        Returns:
            ``X`` (labelled rows, float32 features), ``df`` (all rows, the newest unlabelled ones too: prices, volatility,
            label, outcome; ``df.attrs["report"]`` counts what was left out, ``df.attrs["params"]`` says what they were
            made with) and ``y`` ("buy", "hold" or "sell", aligned with ``X``). The index of each has the levels ticker,
            date and label_end.

        Raises:
            B3Error: See :func:`b3shared.preprocess.preprocess`.
        """
        p = PipelineParams.of(params)
        made = preprocess(tidy(df), p)
        X, facts = to_frames(made.data)
        labelled = made.data.label != UNLABELLED
        facts.attrs |= {"report": made.report, "params": p.model_dump(mode="json", include=set(MADE_WITH))}
        for part in (X, facts):
            part.attrs |= {"features_version": FEATURES_VERSION, "lineage": _lineage(df)}
        return X[labelled], facts, facts.loc[labelled, "target"].astype(str)


def _lineage(df: pd.DataFrame) -> dict[str, str]:
    """Where the quotes come from, as far as they say, for a version's manifest."""
    report = df.attrs.get("report", {})
    return {name: report[name] for name in ("source", "first_session", "last_session") if name in report}


def params_with(df: pd.DataFrame | None, given: dict[str, Any]) -> PipelineParams:
    """Parameters for data of ``preprocess_data``: what that was called with, and what is given now.

    Raises:
        InvalidParameterError: Unknown or out of bounds, or another value than the data were made with.
    """
    made: dict[str, Any] = {} if df is None else df.attrs.get("params", {})
    p = PipelineParams.of(made | given)
    for name, value in made.items():
        if (now := getattr(p, name)) != value:
            raise InvalidParameterError(
                f"{name} = {now!r}: the data were made with {value!r}; leave it out, or call preprocess_data with it",
                parameters=[name],
            )
    return p


def tidy(df: pd.DataFrame) -> pd.DataFrame:
    """Quotes given as a DataFrame, in the schema, clean, sorted.

    Raises:
        NoQuotesError: No row, or none that is a quote.
        InvalidQuotesError: A needed column is missing, or holds what is not a number or a date.
    """
    if missing := [c for c in REQUIRED if c not in df.columns]:
        raise InvalidQuotesError(f"quotes lack {', '.join(missing)}; needed are {', '.join(REQUIRED)}", missing=missing)
    if df.empty:
        raise NoQuotesError("the quotes have no rows")
    columns = {name: _column(df, name, kind) for name, kind in QUOTE_TYPES.items()}
    frame = pd.DataFrame(columns).sort_values(["ticker", "date"], kind="stable", ignore_index=True)
    frame, findings = clean(frame)
    if frame.empty:
        raise NoQuotesError("no row is a quote: " + ", ".join(f"{f.rows} {f.kind}" for f in findings))
    return frame


def _column(df: pd.DataFrame, name: str, kind: str) -> pd.Series:
    numeric = kind in ("DOUBLE", "BIGINT")
    if name not in df.columns:
        return pd.Series(
            float(DEFAULTS.get(name, "nan")) if numeric else None, index=df.index, dtype=None if not numeric else float
        )
    values = df[name]
    try:
        if name == "date":
            return pd.to_datetime(values, format="ISO8601").astype("datetime64[s]")
        if not numeric:
            return values.astype("str")
        found = pd.to_numeric(values).astype("float64")
        return found.fillna(float(DEFAULTS[name])) if name in DEFAULTS else found
    except (ValueError, TypeError) as error:
        raise InvalidQuotesError(
            f"column {name}: {error}; {'numbers are' if numeric else 'dates YYYY-MM-DD are'} allowed", column=name
        ) from error
