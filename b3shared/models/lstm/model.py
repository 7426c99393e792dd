"""The LSTM: two tasks at once, stopped and calibrated on separate validation dates."""

import json
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.errors import IncompatibleFeaturesError, TooLittleHistoryError
from b3shared.core.vocabulary import CLASSES
from b3shared.dataset.table import Dataset
from b3shared.models.base import Forecast, Model, TrainingSession, trained_on
from b3shared.models.calibration import Calibration
from b3shared.models.conformal import ReturnScale
from b3shared.models.lstm.batches import raw_forecast
from b3shared.models.lstm.export import (
    assert_network_parity,
    assert_served_parity,
    export_network,
    spread,
)
from b3shared.models.lstm.importance import permutation_importance
from b3shared.models.lstm.network import MultiTaskLSTM, training_device
from b3shared.models.lstm.task import Task, check_classes
from b3shared.models.lstm.training import Training
from b3shared.models.lstm.windows import (
    Examples,
    Windows,
    center_and_spread,
    complete,
    stop_and_calibrate,
)
from b3shared.params.lstm import LSTMParams
from b3shared.params.run import PipelineParams


class LSTMModel(Model):
    """A network that forecasts class and return; see :class:`b3shared.params.lstm.LSTMParams`.

    It trains on a GPU where there is one. A row takes part if a complete window of its ticker ends
    in it.

    Attributes:
        network: trained, on its device.
        scale: from its returns in units of volatility to fractions, with intervals.
        chosen: units, learning rate, epochs trained and the best of them.
        gains: (features,) float64 permutation importance.
    """

    network: MultiTaskLSTM
    scale: ReturnScale
    chosen: dict[str, Any]
    gains: FloatArray

    def __init__(self, params: PipelineParams) -> None:
        super().__init__(params)
        self.lstm = params.own(LSTMParams)
        self.lookback = params.lookback
        self.max_gap = params.max_gap

    @property
    def base_rates(self) -> FloatArray:
        """(3,) float64 class shares of the training rows."""
        return np.array(self.calibration.shares)

    def covers(self, data: Dataset, rows: IntArray) -> Array:
        """(rows,) bool: which of the rows end a complete window."""
        return complete(data, rows, self.lookback, self.max_gap)

    def fit(
        self, data: Dataset, train: IntArray, val: IntArray, session: TrainingSession
    ) -> dict[str, Any]:
        """Train on ``train``, stop by the earlier dates of ``val``, calibrate on the later ones.

        Args:
            data: the table.
            train: indices of labelled rows to learn from; those without a complete window are left
                out, here and in ``val``.
            val: indices of later labelled rows.
            session: told once an epoch; holds the work of a training that is interrupted.

        Returns:
            JSON-able summary: chosen, history, temperature, interval, rows, class counts,
            parameters, device, slices, seconds.

        Raises:
            Unfinished: The session's time is up; call again with the same arguments.
            TooManySlicesError: It was up more often than ``max_slices`` allows.
            SupersededError: Another attempt at the same training has taken over.
            SingleClassError: ``train`` has fewer than two classes.
            TooLittleHistoryError: No complete window, or too few later dates to calibrate.
            InvalidQuotesError: A feature is not finite, or a row has no outcome.
            InvalidParameterError: The learning rate is so great that the training diverges.
        """
        started = time.perf_counter()
        learn, later = (
            self._examples(data, rows, part)
            for rows, part in ((train, "training"), (val, "validation"))
        )

        stop, calibrate = stop_and_calibrate(data, later, self.params.horizon)
        # before hours of training: are there enough rows for an interval of this level?
        self._scale_of(data, calibrate, np.zeros(len(calibrate)))

        training = self._trained(data, Task("train", learn, stop), session)
        session.progress({"phase": "calibrate", "windows": len(calibrate)})
        raw, scaled = raw_forecast(self.network, calibrate.windows, calibrate.rows, training.pause)
        self.calibration = training.prior.fit(raw, calibrate.labels)

        self.scale = self._scale_of(data, calibrate, scaled)
        session.progress({"phase": "importance", "features": len(self.feature_names)})
        self.gains = permutation_importance(
            self.network, calibrate, self.calibration, self.params.random_state, training.pause
        )

        self.chosen = {
            "units": self.lstm.units,
            "learning_rate": self.lstm.learning_rate,
            "epochs": training.state.epoch,
            "best_epoch": training.state.best_epoch,
        }
        rows = {
            "train": len(learn),
            "stop": len(stop),
            "calibrate": len(calibrate),
            "purged": len(later) - len(stop) - len(calibrate),
            "without_window": len(train) + len(val) - len(learn) - len(later),
        }
        self._summarise(training, rows, trained_on(data, train), started)
        return self.summary

    def refit(self, data: Dataset, rows: IntArray, session: TrainingSession) -> Self:
        """Train a new network on ``rows``: as many epochs as were best, at the same rates.

        Temperature, interval and importance are carried; the class shares are those of ``rows``.

        Raises:
            As :meth:`fit`, which must have been called before.
        """
        started = time.perf_counter()
        again = type(self)(self.params)
        again.lookback, again.max_gap = self.lookback, self.max_gap
        again.chosen, again.scale, again.gains = self.chosen, self.scale, self.gains

        rates = tuple(
            epoch["learning_rate"] for epoch in self.summary["history"][: self.chosen["best_epoch"]]
        )
        learn = again._examples(data, rows, "training")

        training = again._trained(data, Task("refit", learn, rates=rates), session)
        again.calibration = self.calibration.with_priors_of(training.prior)
        counted = {"train": len(learn), "without_window": len(rows) - len(learn)}
        again._summarise(training, counted, trained_on(data, rows), started)
        return again

    def forecast(self, data: Dataset, rows: IntArray) -> Forecast:
        """Return calibrated probabilities, and returns with their intervals.

        Raises:
            IncompatibleFeaturesError: The table's features are not those of the training.
            TooLittleHistoryError: A row has no complete window.
        """
        if data.feature_names != self.feature_names:
            raise IncompatibleFeaturesError(
                f"features must be those of the training, {', '.join(self.feature_names)}, got "
                f"{', '.join(data.feature_names)}"
            )
        if (short := np.count_nonzero(~self.covers(data, rows))) > 0:
            raise TooLittleHistoryError(
                f"{short} of the {len(rows)} rows end no window of {self.lookback} rows, one at "
                f"most {self.max_gap} sessions after the other; leave them out",
                rows=short,
                needed=self.lookback,
            )

        raw, scaled = raw_forecast(self.network, Windows(data.X, self.lookback), rows)
        volatility = data.volatility[rows]
        returns = self.scale.returns(scaled, volatility)
        return Forecast(
            self.calibration.apply(raw), returns, self.scale.intervals(returns, volatility)
        )

    def importance(self) -> dict[str, float]:
        """Return the permutation importance on the later validation dates."""
        return dict(zip(self.feature_names, self.gains.tolist(), strict=True))

    def save(self, folder: Path, data: Dataset, check: IntArray) -> list[Path]:
        """Write the network's state, ``model.onnx`` and ``model.json``; see :meth:`Model.save`.

        Parity is checked on windows that end in the rows ``check``, first of the network's
        outputs, then of the scorer's forecast. Nothing is written if it fails.
        """
        covered = check[self.covers(data, check)]
        onnx = export_network(self.network, self.lookback)

        parity, X = assert_network_parity(
            onnx, self.network, Windows(data.X, self.lookback), covered
        )
        metadata = self._metadata(
            chosen=self.chosen,
            lookback=self.lookback,
            max_gap=self.max_gap,
            return_scale=self.scale.to_json(),
            torch_version=torch.__version__,
            parity=parity,
        )
        text = json.dumps(metadata, indent=1, allow_nan=False)

        rows = spread(covered)
        assert_served_parity(
            onnx, json.loads(text), X, data.volatility[rows], self.forecast(data, rows)
        )

        native, paths = self._write_served(folder, onnx, text)
        torch.save(
            {name: tensor.cpu() for name, tensor in self.network.state_dict().items()}, native
        )
        return paths

    @classmethod
    def load(cls, folder: Path, params: PipelineParams) -> Self:
        """Read what :meth:`save` wrote; no code in the file is run.

        Raises:
            ArtifactNotFoundError: The file of the network or ``model.json`` is not there.
        """
        native, metadata = cls._read_metadata(folder, params)
        model = cls(params)
        model.lookback, model.max_gap = metadata["lookback"], metadata["max_gap"]
        model.chosen, model.summary = metadata["chosen"], metadata["summary"]

        model.feature_names = tuple(metadata["feature_names"])
        network = MultiTaskLSTM(len(model.feature_names), model.chosen["units"], model.lstm.dropout)
        network.load_state_dict(torch.load(native, weights_only=True, map_location="cpu"))
        model.network = network.to(training_device()).eval()
        model.calibration = Calibration.from_json(metadata["calibration"])
        model.scale = ReturnScale.from_json(metadata["return_scale"])

        model.medians = np.array(metadata["medians"])
        model.gains = np.array([metadata["importance"][name] for name in model.feature_names])
        return model

    def _examples(self, data: Dataset, rows: IntArray, part: str) -> Examples:
        return Examples.from_part(
            data, rows, part, self.lookback, self.max_gap, self.params.horizon
        )

    def _scale_of(self, data: Dataset, examples: Examples, scaled: FloatArray) -> ReturnScale:
        rows, params = examples.rows, self.params
        return ReturnScale.fit(
            scaled,
            data.volatility[rows],
            data.future_return[rows],
            horizon=params.horizon,
            level=params.interval_level,
        )

    def _trained(self, data: Dataset, task: Task, session: TrainingSession) -> Training:
        """Train a new network on the task, and set all that follows from its windows."""
        learn = task.train
        check_classes(learn)
        units = self.chosen["units"] if task.rates else self.lstm.units

        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.params.random_state)
            network = MultiTaskLSTM(len(data.feature_names), units, self.lstm.dropout)
        network.scale_by(*center_and_spread(data.X, learn.windows.rows_of(learn.rows)))
        self.network = network.to(training_device())

        training = Training(self.network, task, self.params, session)
        training.run()
        self.network.eval()
        self.feature_names = data.feature_names

        self.medians = np.array(
            [np.median(data.X[learn.rows, n]) for n in range(len(data.feature_names))], np.float64
        )
        return training

    def _summarise(
        self, training: Training, rows: dict[str, int], trained: dict[str, Any], started: float
    ) -> None:
        counts = np.bincount(training.task.train.labels, minlength=len(CLASSES)).tolist()

        self.summary = {
            "chosen": self.chosen,
            "history": training.state.history,
            "rows": rows,
            **trained,
            "temperature": self.calibration.temperature,
            "interval": self.scale.to_json(),
            "class_counts": dict(zip(CLASSES, counts, strict=True)),
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "device": self.network.center.device.type,
            "slices": training.state.slices,
            "seconds": round(time.perf_counter() - started, 3),
        }
