"""The whole product in two calls."""

import json
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from b3shared.core.arrays import FloatArray
from b3shared.core.config import Settings
from b3shared.core.errors import (
    IncompatibleFeaturesError,
    SourceUnavailableError,
    TooLittleHistoryError,
    UnknownTickerError,
)
from b3shared.core.versions import FEATURES_VERSION
from b3shared.core.vocabulary import CLASSES
from b3shared.features.build import Features, build_features
from b3shared.models.base import Forecast, Progress
from b3shared.models.scorer import Scorer
from b3shared.params.models import DEFAULT_MODEL_TYPE
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline import run_pipeline
from b3shared.pipeline.artifacts import last_of_each
from b3shared.pipeline.serving_snapshot import newest_windows
from b3shared.quotes.loading.universe import are_among
from b3shared.registry.compatibility import learned_from_other_features, universe_of
from b3shared.registry.key import ModelKey
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
from b3shared.runs.run import Run, StepRecord, new_run_id
from b3shared.services.data_loading import B3DataLoadingService
from b3shared.services.given_quotes import named_tickers, tidy, warn_of
from b3shared.services.reasons import why_not_among, why_not_loaded, why_not_usable
from b3shared.serving.predictor import OTHER_FEATURES
from b3shared.serving.windows import longest_gap
from b3shared.storage import Storage, open_storage


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Attributes:
        run_id: its id; ``runs/<run_id>/`` in the storage has everything.
        records: what each step recorded.
        metrics: the evaluation, as in ``metrics.json``.
        model_version: the registered version.
        live: whether it is live now: publishing may have promoted it, and somebody else another
            since.
        decision: of the gate, and why.
    """

    run_id: str
    records: dict[Step, StepRecord]
    metrics: dict[str, Any]
    model_version: str
    live: bool
    decision: str


class B3Model:
    """Train on quotes, evaluate honestly, register, predict.

    Args:
        quotes: Parquet file or folder, or DuckDB file (``path#table``); None is the deployment's
            (else the bundled; and for predictions, else those that the version was made from).
        storage: folder or ``s3://`` address for runs, models and the release; None is the
            deployment's (else ``artifacts`` in the current folder).
    """

    def __init__(self, quotes: str | Path | None = None, storage: str | Path | None = None) -> None:
        settings = Settings.from_environment()
        self.settings = replace(
            settings,
            quotes=str(quotes or settings.quotes),
            storage=str(storage or settings.storage),
        )
        self.storage: Storage = open_storage(self.settings.storage)
        self._chosen = quotes is not None or settings.quotes != Settings.quotes

    def run(
        self,
        *,
        run_id: str | None = None,
        progress: Progress | None = None,
        finished: Callable[[StepRecord, bool], None] | None = None,
        **params: Any,
    ) -> RunResult:
        """Load, preprocess, split, train, evaluate, refit, register, and let the gate decide what goes live.

        Args:
            run_id: a name for the run; the same name with the same parameters resumes it.
            progress: called now and then with a small dict.
            finished: called after each step with its record, and whether it had been done before.
            **params: of :class:`b3shared.params.run.PipelineParams`, nested or flat: ``model_dir``,
                ``n_jobs``, ``test_size``, ``val_size``, ``horizon``, ...

        Raises:
            B3Error: Named by its code; nothing is registered then.
        """
        p = PipelineParams.of(params)
        run = Run.create(self.storage, run_id or new_run_id(), p)
        records = run_pipeline(run, settings=self.settings, progress=progress, finished=finished)
        with tempfile.TemporaryDirectory() as folder:
            path = run.fetch(Step.EVALUATE_MODEL, Path(folder), ["metrics.json"]) / "metrics.json"
            metrics = json.loads(path.read_text(encoding="utf-8"))
        saved = records[Step.SAVE_MODEL].summary
        version = saved["model_version"]
        live = Release(self.storage).state().live.get(ModelKey(p.model_dir, p.model_type))
        return RunResult(run.run_id, records, metrics, version, live == version, saved["decision"])

    def predict(
        self,
        new_data: pd.DataFrame,
        model_dir: str = "models",
        *,
        model_type: str = DEFAULT_MODEL_TYPE,
        model_version: str | None = None,
        tickers: str | Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """Forecast from the newest row of every ticker.

        Args:
            new_data: quotes, such as :meth:`newest_quotes`; the history that the features need (252
                sessions are safe), and, for the feature set v2, the market around: ranks among few
                tickers mean something else than what the model learnt. Tickers and kinds of paper
                that it did not learn among are left out.
            model_dir: namespace of the registry.
            model_type: of the catalogue (:mod:`b3shared.params.models`), or an alias.
            model_version: a version; None is the live one.
            tickers: answer these only, such as ``["PETR4", "VALE3"]`` or ``"PETR4"``.

        Returns:
            One row per ticker (index): action, buy, hold, sell (probabilities), as_of, last_price,
            model_version; for the LSTM also predicted_return and predicted_price with the ends of
            their interval (return_low, return_high, price_low, price_high). Only tickers whose
            newest row has complete features and is liquid, and, for the LSTM, ends a whole window.
            ``attrs["skill"]`` is the verdict of the version's evaluation, None without one.

        Raises:
            NothingLiveError, UnknownModelError: There is no such model.
            IncompatibleFeaturesError: The quotes cannot give the model's features.
            TooLittleHistoryError: No ticker has enough history.
            UnknownTickerError: A ticker that was asked for has no forecast; it says why.

        Warns: UserWarning: The features are of another version than the model learned from; rows of
            the quotes were dropped.
        """
        manifest = self._manifest(model_dir, model_type, model_version)
        kind, version = manifest["model_type"], manifest["version"]
        if learned_from_other_features(manifest, FEATURES_VERSION):
            warnings.warn(f"version {version}: {OTHER_FEATURES}", stacklevel=2)
        with tempfile.TemporaryDirectory() as folder:
            scorer = Scorer.load(
                Registry(self.storage, model_dir).fetch(kind, version, Path(folder))
            )
        given = tidy(new_data)
        warn_of(given.findings, stacklevel=2)
        frame = given.quotes
        newest = _Newest.of(frame, manifest, of_sequences=scorer.takes_sequences)
        forecast, rows = scorer.score(newest.X, newest.volatility), newest.rows
        answer = pd.DataFrame(
            forecast.probabilities, columns=list(CLASSES), index=rows["ticker"].to_numpy(dtype=str)
        )
        answer.insert(0, "action", np.array(CLASSES)[scorer.decide(forecast)])
        answer["as_of"], answer["last_price"] = rows["date"].to_numpy(), rows["close"].to_numpy()
        answer = answer.assign(
            **_expected(forecast, answer["last_price"].to_numpy()), model_version=version
        )
        answer.attrs["skill"] = manifest.get("evaluated", {}).get("skill")
        if tickers is None:
            return answer
        wanted = named_tickers(tickers)
        _refuse({t: newest.why_not(t, frame) for t in wanted if t not in answer.index})
        return answer.loc[wanted]

    def newest_quotes(
        self,
        model_dir: str = "models",
        *,
        model_type: str = DEFAULT_MODEL_TYPE,
        model_version: str | None = None,
        tickers: str | Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """The newest quotes as a version learnt from them: its kinds of paper, its length of history.

        They are those that were chosen, or else those that the version was made from;
        ``frame.attrs["report"]["source"]`` says which.

        Args:
            model_dir: namespace of the registry.
            model_type: of the catalogue (:mod:`b3shared.params.models`), or an alias.
            model_version: a version; None is the live one.
            tickers: that must be among them.

        Raises:
            NothingLiveError, UnknownModelError: There is no such model.
            UnknownTickerError: One of ``tickers`` is not among them; it says why.
            B3Error: See :func:`b3shared.quotes.loading.load.load_quotes`.
        """
        manifest = self._manifest(model_dir, model_type, model_version)
        params: dict[str, Any] = manifest["params"]
        universe = universe_of(params)
        # its tickers are chosen when it predicts: one that is gone since must not keep the others
        # from an answer
        newest = params | {
            "tickers": None,
            "start": None,
            "end": None,
            "instruments": universe.instruments,
        }
        service = B3DataLoadingService(self._quotes_of(manifest))
        try:
            frame = service.load_data(**newest)
        except SourceUnavailableError as error:
            hint = f"version {manifest['version']} was made from them: name the quotes if they are elsewhere now"
            raise (
                error if self._chosen else SourceUnavailableError(f"{error.message}; {hint}")
            ) from error
        loaded, p = set(frame["ticker"]), PipelineParams.of(newest)
        _refuse(
            {
                t: why_not_loaded(t, service.source, p, universe)
                for t in named_tickers(tickers or [])
                if t not in loaded
            }
        )
        return frame

    def _quotes_of(self, manifest: dict[str, Any]) -> str:
        """Where the quotes for a version's predictions are."""
        lineage = manifest.get("lineage", {})
        if self._chosen or "source" not in lineage or Step.LOAD_DATA in lineage.get("given", {}):
            return self.settings.quotes
        return str(lineage["source"])

    def _manifest(self, model_dir: str, model_type: str, version: str | None) -> dict[str, Any]:
        """Of a version, or of the live one."""
        return Registry(self.storage, model_dir).manifest(
            model_type, version or Release(self.storage).live(model_dir, model_type)
        )


@dataclass(frozen=True)
class _Newest:
    """What a version makes of the newest row of every ticker.

    Attributes:
        params: of the version.
        frame: the quotes of those that it learnt among; ``features`` are of its rows.
        X: the version's input for every ticker whose newest row has one.
        rows: of the quotes, and their ``volatility``.
    """

    manifest: dict[str, Any]
    params: PipelineParams
    frame: pd.DataFrame
    features: Features
    X: FloatArray
    volatility: FloatArray
    rows: pd.DataFrame

    @classmethod
    def of(cls, frame: pd.DataFrame, manifest: dict[str, Any], *, of_sequences: bool) -> "_Newest":
        """Make it of clean, sorted quotes."""
        params = PipelineParams.of(manifest["params"])
        universe = universe_of(manifest["params"])  # ranked among those that it learnt among
        frame = frame[are_among(frame, universe.tickers, universe.instruments)].reset_index(
            drop=True
        )
        if frame.empty:
            known = ", ".join(universe.tickers or universe.instruments or ())
            raise UnknownTickerError(f"the model knows {known}; none of them is among the quotes")
        features = build_features(frame, params.features, params.min_turnover, params.max_gap)
        if list(features.names) != manifest["features"]:
            missing = sorted(set(manifest["features"]) - set(features.names))
            raise IncompatibleFeaturesError(
                f"the model needs features that these quotes cannot give: {', '.join(missing)}"
            )
        windows, sessions = newest_windows(features, params.lookback if of_sequences else 1)
        whole = np.isfinite(windows).all(axis=(1, 2)) & (longest_gap(sessions) <= params.max_gap)
        usable = last_of_each(frame["ticker"].to_numpy())[whole]
        if not len(usable):
            before = (
                f", nor {params.lookback - 1} such rows before it without a long gap"
                if of_sequences
                else ""
            )
            raise TooLittleHistoryError(
                f"no ticker's newest row has all {len(features.names)} features and a median turnover above "
                f"R$ {params.min_turnover:,.0f}{before}: about {params.min_history if of_sequences else 252} sessions of "
                f"history are needed; the longest has {frame.groupby('ticker').size().max()}"
            )
        if params.features == "v2" and len(usable) < manifest["cross_section"] / 2:
            raise IncompatibleFeaturesError(
                f"{len(usable)} tickers with complete features: the model learnt ranks among about "
                f"{manifest['cross_section']}; give at least half as many"
            )
        volatility = features.series.panel.rows(features.series.volatility)[usable]
        X = windows[whole] if of_sequences else windows[whole, -1]
        return cls(manifest, params, frame, features, X, volatility, frame.iloc[usable])

    def why_not(self, ticker: str, quotes: pd.DataFrame) -> str:
        """Why a ticker has no row here, though it was asked for; ``quotes`` are all that were given."""
        own = quotes[quotes["ticker"] == ticker]
        if own.empty:
            return f"no quotes of {ticker}"
        if reason := why_not_among(ticker, own, universe_of(self.manifest["params"])):
            return reason
        (at,) = np.flatnonzero(self.frame["ticker"] == ticker)[-1:]
        missing = [
            n
            for n, value in zip(self.features.names, self.features.X[at], strict=True)
            if not np.isfinite(value)
        ]
        series = self.features.series
        turnover = float(series.panel.rows(series.median_turnover())[at])
        since_hole = int(series.panel.position[at]) + 1
        return why_not_usable(ticker, turnover, self.params, missing, len(own), since_hole)


def _expected(forecast: Forecast, price: FloatArray) -> dict[str, FloatArray]:
    """Return and price columns with their intervals; none if the model does not say returns."""
    if forecast.returns is None or forecast.intervals is None:
        return {}
    low, high = forecast.intervals.T
    returns = {"predicted_return": forecast.returns, "return_low": low, "return_high": high}
    return returns | {
        name.replace("return", "price"): price * (1.0 + value) for name, value in returns.items()
    }


def _refuse(reasons: dict[str, str]) -> None:
    """UnknownTickerError if there is a ticker without a forecast, with the reason for each."""
    if reasons:
        raise UnknownTickerError("; ".join(reasons.values()), tickers=list(reasons))
