"""Runs the complete product in two calls: run and predict."""

import json
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.config import Settings
from b3shared.core.errors import (
    IncompatibleFeaturesError,
    SourceUnavailableError,
    TooLittleHistoryError,
    UnknownTickerError,
)
from b3shared.core.versions import FEATURES_VERSION
from b3shared.core.vocabulary import CLASSES
from b3shared.evaluation.files import METRICS_FILE
from b3shared.models.base import Forecast, Progress
from b3shared.params.models import DEFAULT_MODEL_TYPE
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline import run_pipeline
from b3shared.pipeline.serving_snapshot import build_snapshot
from b3shared.quotes.loading.universe import in_universe
from b3shared.registry.compatibility import learned_from_other_features, universe_of
from b3shared.registry.key import ModelKey
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
from b3shared.runs.run import Run, StepRecord, new_run_id
from b3shared.services.data_loading import B3DataLoadingService
from b3shared.services.given_quotes import named_tickers, tidy, warn_of
from b3shared.services.reasons import refusal, why_not_loaded
from b3shared.serving.predictor import OTHER_FEATURES
from b3shared.serving.scoring import Scores, score_tickers
from b3shared.serving.snapshot import Snapshot
from b3shared.serving.version import Version
from b3shared.storage import Storage, open_storage


@dataclass(frozen=True)
class RunResult:
    """The result of a run.

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
        """Run all steps from the quotes to a registered version, which the gate may make live.

        Args:
            run_id: a name for the run; the same name with the same parameters resumes it.
            progress: called now and then with a small dict.
            finished: called after each step with its record, and whether it had been done before.
            **params: of :class:`b3shared.params.run.PipelineParams`, nested or flat: ``model_dir``,
                ``n_jobs``, ``test_size``, ``val_size``, ``horizon``, ...

        Raises:
            B3Error: Named by its code; nothing is registered then.
        """
        p = PipelineParams.from_values(params)
        run = Run.create(self.storage, run_id or new_run_id(), p)
        records = run_pipeline(run, settings=self.settings, progress=progress, finished=finished)
        with tempfile.TemporaryDirectory() as folder:
            path = run.fetch(Step.EVALUATE_MODEL, Path(folder), [METRICS_FILE]) / METRICS_FILE
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
                tickers mean something else than those of the training. Tickers and kinds of paper
                that it did not learn among are left out.
            model_dir: namespace of the registry.
            model_type: of the catalogue (:mod:`b3shared.params.models`), or an alias.
            model_version: a version; None is the live one.
            tickers: answer these only, such as ``["PETR4", "VALE3"]`` or ``"PETR4"``.

        Returns:
            One row per ticker (index): action, buy, hold, sell (probabilities), as_of, last_price,
            dividends_known_until (NaT where none is; returns and features leave later dividends
            out), model_version; for the LSTM also predicted_return and predicted_price with the
            ends of their interval (return_low, return_high, price_low, price_high). Only tickers
            whose newest row has complete features and is liquid, and, for the LSTM, ends a whole
            window.
            ``attrs["skill"]`` is the verdict of the version's evaluation, None without one.

        Raises:
            NothingLiveError, UnknownModelError: There is no such model.
            IncompatibleFeaturesError: The quotes cannot give the model's features.
            UnknownTickerError, TooLittleHistoryError: A ticker that was asked for, or else every
                ticker, has no forecast; the error is the one that the HTTP API gives
                (:func:`b3shared.services.reasons.refusal` for several).

        Warns: UserWarning: The features are of another version than the model learned from; rows of
            the quotes were dropped.
        """
        manifest = self._manifest(model_dir, model_type, model_version)
        name = manifest["version"]
        if learned_from_other_features(manifest, FEATURES_VERSION):
            warnings.warn(f"version {name}: {OTHER_FEATURES}", stacklevel=2)
        with tempfile.TemporaryDirectory() as folder:
            registry = Registry(self.storage, model_dir)
            version = Version.load(registry, manifest["model_type"], name, Path(folder))

        given = tidy(new_data)
        warn_of(given.findings, stacklevel=2)
        snapshot = _snapshot_of(given.quotes, version)
        wanted = named_tickers([] if tickers is None else tickers)
        scores = score_tickers(
            snapshot, version, dict.fromkeys([*snapshot.ticker.tolist(), *wanted])
        )
        refused = {t: scores.refused[t] for t in wanted if t in scores.refused}
        forecast = scores.forecast
        if forecast is None:
            raise refusal(refused) if refused else _why_none(snapshot, scores)
        _check_cross_section(version, len(scores.rows))
        if refused:
            raise refusal(refused)

        answer = _table(snapshot, version, scores.rows, forecast, scores.actions)
        return answer if tickers is None else answer.loc[wanted]

    def newest_quotes(
        self,
        model_dir: str = "models",
        *,
        model_type: str = DEFAULT_MODEL_TYPE,
        model_version: str | None = None,
        tickers: str | Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """Return the newest quotes that a version needs to predict.

        They are those that were chosen, or else those that the version was made from;
        ``frame.attrs["report"]["source"]`` says which.

        Args:
            model_dir: namespace of the registry.
            model_type: of the catalogue (:mod:`b3shared.params.models`), or an alias.
            model_version: a version; None is the live one.
            tickers: that must be among them.

        Raises:
            NothingLiveError, UnknownModelError: There is no such model.
            UnknownTickerError, TooLittleHistoryError: One of ``tickers`` is not among them.
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
            hint = (
                f"version {manifest['version']} was made from them: "
                "name the quotes if they are elsewhere now"
            )
            raise (
                error if self._chosen else SourceUnavailableError(f"{error.message}; {hint}")
            ) from error
        loaded = set(frame["ticker"])
        p = PipelineParams.from_values(newest)
        left_out = {
            t: why_not_loaded(t, service.source, p, manifest)
            for t in named_tickers(tickers or [])
            if t not in loaded
        }
        if left_out:
            raise refusal(left_out)
        return frame

    def _quotes_of(self, manifest: dict[str, Any]) -> str:
        """Return where the quotes for a version's predictions are."""
        lineage = manifest.get("lineage", {})
        if self._chosen or "source" not in lineage or Step.LOAD_DATA in lineage.get("given", {}):
            return self.settings.quotes
        return str(lineage["source"])

    def _manifest(self, model_dir: str, model_type: str, version: str | None) -> dict[str, Any]:
        """Return the manifest of a version, or of the live one."""
        return Registry(self.storage, model_dir).manifest(
            model_type, version or Release(self.storage).live(model_dir, model_type)
        )


def _snapshot_of(quotes: pd.DataFrame, version: Version) -> Snapshot:
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


def _why_none(snapshot: Snapshot, scores: Scores) -> TooLittleHistoryError:
    """Build the error for quotes without a single forecast; the longest history tells why."""
    trained_on = [
        row
        for row, ticker in enumerate(snapshot.ticker.tolist())
        if isinstance(scores.refused[ticker], TooLittleHistoryError)
    ]
    longest = max(trained_on or range(len(snapshot.ticker)), key=lambda row: snapshot.sessions[row])
    reason = scores.refused[str(snapshot.ticker[longest])]
    return TooLittleHistoryError(
        f"no ticker of the quotes has a forecast: {reason.message}", **reason.details
    )


def _check_cross_section(version: Version, count: int) -> None:
    """Raise IncompatibleFeaturesError if far fewer tickers are ranked than in the training."""
    usual = version.manifest["cross_section"]
    if version.params.features == "v2" and count < usual / 2:
        raise IncompatibleFeaturesError(
            f"{count} tickers with complete features: the model was trained on ranks among about "
            f"{usual}; give at least half as many"
        )


def _table(
    snapshot: Snapshot, version: Version, rows: list[int], forecast: Forecast, actions: IntArray
) -> pd.DataFrame:
    """Lay out forecasts as the answer of :meth:`B3Model.predict`."""
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
