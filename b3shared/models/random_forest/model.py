"""The Random Forest: searched on purged folds, bounded in size, calibrated on the validation part."""

import json
import time
from pathlib import Path
from typing import Any, Self

import joblib
import numpy as np
import sklearn
from sklearn.ensemble import RandomForestClassifier

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.errors import (
    IncompatibleFeaturesError,
    InvalidQuotesError,
    ModelTooLargeError,
    SingleClassError,
    TooLittleHistoryError,
)
from b3shared.core.vocabulary import CLASSES, UNLABELLED
from b3shared.dataset.split import purged_folds
from b3shared.dataset.table import Dataset
from b3shared.models.base import (
    Forecast,
    Model,
    Progress,
    TrainingSession,
    trained_on,
    without_clock,
)
from b3shared.models.calibration import Calibration
from b3shared.models.parity import TOLERANCE, assert_close, assert_parity
from b3shared.models.random_forest.export import export_forest, threshold_probes
from b3shared.models.random_forest.search import raw_probabilities, search_forest
from b3shared.models.scorer import Scorer, check_finite
from b3shared.models.threads import threads
from b3shared.params.random_forest import RandomForestParams
from b3shared.params.run import PipelineParams


class RandomForestModel(Model):
    """A ``RandomForestClassifier`` with calibrated probabilities; see :class:`b3shared.params.random_forest.RandomForestParams`.

    All parallelism is by threads inside the forest (``params.rf.n_jobs``), see
    :mod:`b3shared.models.threads`.

    Attributes (after :meth:`fit`, :meth:`refit` or :meth:`load`): estimator: the fitted forest.
        calibration: from its raw to calibrated probabilities. chosen: the parameters that the
        search chose. feature_names: columns it was trained on. medians: (features,) float64, of the
        training rows; what "feature absent" means to an explanation by occlusion. summary:
        JSON-able record of the training.
    """

    estimator: RandomForestClassifier
    calibration: Calibration
    chosen: dict[str, Any]
    feature_names: tuple[str, ...]
    medians: FloatArray
    summary: dict[str, Any]

    def __init__(self, params: PipelineParams) -> None:
        super().__init__(params)
        self.rf = params.own(RandomForestParams)

    @property
    def base_rates(self) -> FloatArray:
        """(3,) float64 class shares of the training rows, for :func:`b3shared.models.decision.decide`."""
        return np.array(self.calibration.shares)

    def fit(
        self, data: Dataset, train: IntArray, val: IntArray, session: TrainingSession
    ) -> dict[str, Any]:
        """Search on purged folds of ``train``, train on all of it, find the temperature on ``val``.

        Args:
            data: the table.
            train: indices of labelled rows to learn from.
            val: indices of later labelled rows.
            session: told after every forest of the search, and before the last one; a forest is not
                interrupted.

        Returns:
            JSON-able summary: chosen parameters, search table, nodes, temperature, rows, class
            counts, seconds.

        Raises:
            SingleClassError: ``train`` has fewer than two classes.
            TooLittleHistoryError: Too few rows for a single split of a tree, or too few dates for
                the folds.
            InvalidQuotesError: A feature is not finite, or a row has no label.
            ModelTooLargeError: More nodes than ``params.rf.max_total_nodes``.
        """
        started = time.perf_counter()
        X, y = self._learnable(data, train)
        self.chosen, table = self._search(X, y, data, train, session.progress)
        session.progress({"phase": "train", "rows": len(y), **self.chosen})
        self._grow(X, y, data.feature_names)
        del X
        raw = raw_probabilities(self.estimator, _features(data, val))
        self.calibration = self.calibration.fit(raw, _labels(data, val))
        self.summary |= {
            "search": table,
            "rows": {"train": len(train), "val": len(val)},
            **trained_on(data, train),
            "temperature": self.calibration.temperature,
            "seconds": round(time.perf_counter() - started, 3),
        }
        return self.summary

    def refit(self, data: Dataset, rows: IntArray, session: TrainingSession) -> Self:
        """The chosen parameters trained again on ``rows``; the temperature is carried, the class shares are theirs.

        Raises:
            As :meth:`fit`, which must have been called before.
        """
        started = time.perf_counter()
        again = type(self)(self.params)
        again.chosen = self.chosen
        X, y = again._learnable(data, rows)
        session.progress({"phase": "refit", "rows": len(y), **self.chosen})
        again._grow(X, y, data.feature_names)
        again.calibration = self.calibration.with_priors_of(again.calibration)
        again.summary |= {
            "rows": {"train": len(rows)},
            **trained_on(data, rows),
            "temperature": again.calibration.temperature,
            "seconds": round(time.perf_counter() - started, 3),
        }
        return again

    def forecast(self, data: Dataset, rows: IntArray) -> Forecast:
        """Calibrated probabilities, three columns even if a class was absent in training; no returns.

        Raises:
            IncompatibleFeaturesError: The table's features are not those of the training.
            InvalidQuotesError: A feature is not finite.
        """
        if data.feature_names != self.feature_names:
            raise IncompatibleFeaturesError(
                f"features {', '.join(data.feature_names)}: the forest was trained on {', '.join(self.feature_names)}"
            )
        return Forecast(
            self.calibration.apply(raw_probabilities(self.estimator, _features(data, rows)))
        )

    def importance(self) -> dict[str, float]:
        """Mean decrease of impurity of each feature (Breiman 2001); all equal if no tree has a split."""
        gain = self.estimator.feature_importances_
        weight = gain / gain.sum() if gain.sum() > 0 else np.full(len(gain), 1 / len(gain))
        return dict(zip(self.feature_names, weight.tolist(), strict=True))

    def save(self, folder: Path, data: Dataset, check: IntArray) -> list[Path]:
        """Write the joblib file (``params.model_file``), ``model.onnx`` and ``model.json``; see :class:`Model`.

        Parity is checked on the rows ``check`` and on rows that lie on the forest's thresholds,
        first for the raw probabilities, then for those that the scorer serves. Nothing is written
        if it fails.
        """
        onnx = export_forest(self.estimator, len(self.feature_names))
        X = np.asarray(data.X[check], dtype=np.float32)
        if len(X):
            X = np.concatenate([X, threshold_probes(self.estimator, X)])
        raw = raw_probabilities(self.estimator, X)
        metadata = self._metadata() | {"parity": assert_parity(onnx, X, raw)}
        text = json.dumps(metadata, indent=1, allow_nan=False)
        served = Scorer(onnx, json.loads(text)).score(X).probabilities
        # a temperature below 1 magnifies float32 rounding by as much
        assert_close(
            served, self.calibration.apply(raw), TOLERANCE / min(1.0, self.calibration.temperature)
        )
        native, paths = self._write_served(folder, onnx, text)
        joblib.dump(self.estimator, native, compress=3)
        return paths

    @classmethod
    def load(cls, folder: Path, params: PipelineParams) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            ArtifactNotFoundError: The joblib file or ``model.json`` is not there.
        """
        native, metadata = cls._read_metadata(folder, params)
        model = cls(params)
        # Unpickling runs code: the file is our own, and the caller has compared it with the hash
        # recorded at saving.
        model.estimator = joblib.load(native).set_params(n_jobs=model.rf.n_jobs)
        model.calibration = Calibration.from_json(metadata["calibration"])
        model.chosen = metadata["chosen"]
        model.feature_names = tuple(metadata["feature_names"])
        model.medians = np.array(metadata["medians"])
        model.summary = metadata["summary"]
        return model

    def _learnable(self, data: Dataset, rows: IntArray) -> tuple[FloatArray, IntArray]:
        """Features and labels to train on, checked."""
        y = _labels(data, rows)
        rf = self.rf
        needed = int(np.ceil(2 * min(rf.min_samples_leaf) / rf.max_samples))
        if len(y) < needed:
            raise TooLittleHistoryError(
                f"{len(y)} training rows: no tree can split with min_samples_leaf {min(rf.min_samples_leaf)} and "
                f"max_samples {rf.max_samples}; at least {needed} are needed",
                rows=len(y),
                needed=needed,
            )
        classes = np.unique(y)
        if len(classes) < 2:
            raise SingleClassError(
                f"all {len(y)} training labels are {CLASSES[classes[0]]!r}: at least two classes are needed"
            )
        return _features(data, rows), y

    def _forest(self, **chosen: Any) -> RandomForestClassifier:
        rf = self.rf
        return RandomForestClassifier(
            n_estimators=rf.n_estimators,
            max_samples=rf.max_samples,
            class_weight=rf.class_weight,
            n_jobs=rf.n_jobs,
            random_state=self.params.random_state,
            **chosen,
        )

    def _search(
        self, X: FloatArray, y: IntArray, data: Dataset, train: IntArray, progress: Progress
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The best candidate and the table of all tried, best first; no search if there is only one."""
        rf = self.rf
        names = ("max_depth", "min_samples_leaf", "max_features")
        space = {name: list(dict.fromkeys(getattr(rf, name))) for name in names}
        if all(len(values) == 1 for values in space.values()):
            return {name: values[0] for name, values in space.items()}, []
        embargo = self.params.embargo_days
        folds = purged_folds(
            data.date[train], data.label_end[train], n_splits=rf.cv_folds, embargo_days=embargo
        )
        return search_forest(
            self._forest(),
            space,
            X,
            y,
            folds,
            n_iter=rf.n_iter,
            random_state=self.params.random_state,
            priors=self._priors(y),
            progress=progress,
        )

    def _grow(self, X: FloatArray, y: IntArray, feature_names: tuple[str, ...]) -> None:
        """Train the chosen parameters and set all that follows from the training rows."""
        with threads():
            self.estimator = self._forest(**self.chosen).fit(X, y)
        nodes, limit = (
            sum(tree.tree_.node_count for tree in self.estimator.estimators_),
            self.rf.max_total_nodes,
        )
        if nodes > limit:
            raise ModelTooLargeError(
                f"the forest has {nodes} nodes, max_total_nodes allows {limit}: lower n_estimators "
                f"({self.rf.n_estimators}) or max_depth ({self.chosen['max_depth']}), or raise min_samples_leaf "
                f"({self.chosen['min_samples_leaf']})",
                nodes=nodes,
                limit=limit,
            )
        self.calibration = self._priors(y)
        self.feature_names = feature_names
        self.medians = np.array([np.median(column) for column in X.T], dtype=np.float64)
        counts = np.bincount(y, minlength=len(CLASSES)).tolist()
        self.summary = {
            "chosen": self.chosen,
            "nodes": nodes,
            "class_counts": dict(zip(CLASSES, counts, strict=True)),
        }

    def _priors(self, y: IntArray) -> Calibration:
        return Calibration.of_labels(y, balanced=self.rf.class_weight is not None)

    def _metadata(self) -> dict[str, Any]:
        return {
            "model_type": self.model_type,
            "feature_names": list(self.feature_names),
            "classes": list(CLASSES),
            "base_rates": self.base_rates.tolist(),
            "calibration": self.calibration.to_json(),
            "decision": self.params.decision,
            "chosen": self.chosen,
            "importance": self.importance(),
            "medians": self.medians.tolist(),
            "summary": without_clock(self.summary),
            "params": self.params.model_dump(mode="json"),
            "sklearn_version": sklearn.__version__,
        }


def _features(data: Dataset, rows: IntArray) -> FloatArray:
    X = np.ascontiguousarray(data.X[rows], dtype=np.float32)
    check_finite(X, data.feature_names)
    return X


def _labels(data: Dataset, rows: IntArray) -> IntArray:
    y = data.label[rows]
    if (missing := np.count_nonzero(y == UNLABELLED)) > 0:
        raise InvalidQuotesError(
            f"{missing} of the {len(y)} rows have no label yet; leave them out"
        )
    return y
