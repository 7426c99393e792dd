"""Stage 2: features and labels."""

from typing import Any

import pandas as pd

from b3shared.core.errors import InvalidParameterError
from b3shared.core.versions import FEATURES_VERSION
from b3shared.core.vocabulary import UNLABELLED
from b3shared.features.training_table import preprocess
from b3shared.params.run import PipelineParams
from b3shared.quotes.findings import findings_report
from b3shared.services.frames import to_frames
from b3shared.services.given_quotes import tidy, warn_of

MADE_WITH = ("features", "label", "horizon", "label_width", "signal_lag", "max_gap", "min_turnover")
"""Parameters that features and labels were made with: a model of them must know the same."""


class B3ModelPreprocessingService:
    """Makes features and labels of quotes."""

    def preprocess_data(
        self, df: pd.DataFrame, **params: Any
    ) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
        """Return features, all other columns, and labels.

        Args:
            df: quotes; at least ticker, date and close, and what the feature set needs. Ticker and
                date may be in the index; capitals in the names do not matter. Without
                ``split_factor`` splits are looked for in the prices.
            **params: parameters of :class:`b3shared.params.run.PipelineParams`, such as
            ``features``, ``label``, ``horizon``.

        Returns:
            ``X`` (labelled rows, float32 features), ``df`` (all rows, the newest unlabelled ones
            too: prices, volatility, label, outcome; ``df.attrs["report"]`` counts what was left
            out, with examples, ``df.attrs["params"]`` says what they were made with) and ``y``
            ("buy", "hold" or "sell", aligned with ``X``). The index of each has the levels ticker,
            date and label_end.

        Raises:
            B3Error: See :func:`b3shared.features.training_table.preprocess` and
                :func:`b3shared.services.given_quotes.tidy`.

        Warns:
            UserWarning: Rows were dropped, or splits changed.
        """
        p = PipelineParams.from_values(params)
        given = tidy(df)
        warn_of(given.findings, stacklevel=2)

        made = preprocess(given.quotes, p)
        X, facts = to_frames(made.data)
        labelled = made.data.label != UNLABELLED
        report = made.report | findings_report(given.findings)
        facts.attrs |= {
            "report": report,
            "params": p.model_dump(mode="json", include=set(MADE_WITH)),
        }
        for part in (X, facts):
            part.attrs |= {"features_version": FEATURES_VERSION, "lineage": _lineage(df)}
        return X[labelled], facts, facts.loc[labelled, "target"].astype(str)


def _lineage(df: pd.DataFrame) -> dict[str, str]:
    """Return where the quotes come from, as far as it is known, for a version's manifest."""
    report = df.attrs.get("report", {})
    return {
        name: report[name] for name in ("source", "first_session", "last_session") if name in report
    }


def params_with(df: pd.DataFrame | None, given: dict[str, Any]) -> PipelineParams:
    """Return the parameters of ``preprocess_data``, joined with those given now.

    Raises:
        InvalidParameterError: Unknown or out of bounds, or another value than the data were made
            with.
    """
    made: dict[str, Any] = {} if df is None else df.attrs.get("params", {})
    p = PipelineParams.from_values(made | given)
    for name, value in made.items():
        if (now := getattr(p, name)) != value:
            raise InvalidParameterError(
                f"{name} = {now!r}: the data were made with {value!r}; "
                "leave it out, or call preprocess_data with it",
                parameters=[name],
            )
    return p
