"""Forecasts between data frames: the snapshot of given quotes, and the table of the answer."""

import numpy as np
import pandas as pd

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.errors import IncompatibleFeaturesError, UnknownTickerError
from b3shared.core.vocabulary import CLASSES
from b3shared.models.base import Forecast
from b3shared.pipeline.serving_snapshot import build_snapshot
from b3shared.quotes.loading.universe import in_universe
from b3shared.registry.compatibility import universe_of
from b3shared.serving.snapshot import Snapshot
from b3shared.serving.version import Version


def snapshot_from_quotes(quotes: pd.DataFrame, version: Version) -> Snapshot:
    """Make the snapshot that a version predicts from.

    Args:
        quotes: clean and sorted.
        version: that is to predict.

    Raises:
        UnknownTickerError: None of the quotes is of those that the version was trained on.
        IncompatibleFeaturesError: The quotes cannot give the version's features.
        InvalidQuotesError: They cannot give its feature set at all.
    """
    universe = universe_of(version.manifest["params"])
    if not in_universe(quotes, universe.tickers, universe.instruments).any():
        known = ", ".join(universe.tickers or universe.instruments or ())
        raise UnknownTickerError(f"the model knows {known}; none of them is among the quotes")

    lookback = version.params.lookback if version.scorer.takes_sequences else 1
    snapshot = build_snapshot(quotes, lookback, {universe}, [version.params.features])
    given = snapshot.names[version.windows]
    if given != version.scorer.feature_names:
        missing = sorted(set(version.scorer.feature_names) - set(given))
        raise IncompatibleFeaturesError(
            f"the model needs features that these quotes cannot give: {', '.join(missing)}",
            missing=missing,
        )
    return snapshot


def check_cross_section(version: Version, count: int) -> None:
    """Raise IncompatibleFeaturesError if far fewer tickers are ranked than in the training."""
    usual = version.manifest["cross_section"]
    if version.params.features == "v2" and count < usual / 2:
        raise IncompatibleFeaturesError(
            f"{count} tickers with complete features: the model was trained on ranks among about "
            f"{usual}; give at least half as many"
        )


def forecast_table(
    snapshot: Snapshot, version: Version, rows: list[int], forecast: Forecast, actions: IntArray
) -> pd.DataFrame:
    """Return forecasts as the table of :meth:`b3shared.services.b3_model.B3Model.predict`.

    Args:
        snapshot: of the quotes.
        version: that made the forecasts.
        rows: of the snapshot, one per forecast.
        forecast: of these rows.
        actions: (rows,) int64 codes into :data:`b3shared.core.vocabulary.CLASSES`.
    """
    price = snapshot.close[rows]
    answer = pd.DataFrame(
        forecast.probabilities, columns=list(CLASSES), index=snapshot.ticker[rows]
    )
    answer.insert(0, "action", np.array(CLASSES)[actions])
    answer["as_of"] = snapshot.date[rows]
    answer["last_price"] = price
    until = snapshot.dividends_until
    answer["dividends_known_until"] = pd.NaT if until is None else until[rows]
    answer = answer.assign(**_expected(forecast, price), model_version=version.name)
    answer.attrs["skill"] = version.manifest.get("evaluated", {}).get("skill")

    return answer


def _expected(forecast: Forecast, price: FloatArray) -> dict[str, FloatArray]:
    """Build the return and price columns; none if the model predicts no returns."""
    if forecast.returns is None or forecast.intervals is None:
        return {}
    low, high = forecast.intervals.T
    returns = {"predicted_return": forecast.returns, "return_low": low, "return_high": high}
    return returns | {
        name.replace("return", "price"): price * (1.0 + value) for name, value in returns.items()
    }
