"""Stage 4: evaluate."""

from pathlib import Path
from typing import Any

import pandas as pd

from b3shared.dataset.market import Market
from b3shared.evaluation.evaluate import Evaluation, evaluate
from b3shared.models.base import Model
from b3shared.services.frames import to_table


class B3ModelEvaluationService:
    """Compares a model with the baselines, with intervals, pictures and a report."""

    def evaluate_model(
        self,
        model: Model,
        X_train: pd.DataFrame,
        X_val: pd.DataFrame,
        X_test: pd.DataFrame,
        y_train: pd.Series,
        y_val: pd.Series,
        y_test: pd.Series,
        df_processed: pd.DataFrame,
        *,
        history: pd.DataFrame | None = None,
        market: Market | None = None,
        folder: str | Path | None = None,
    ) -> Evaluation:
        """Evaluate on the test part; the baselines are fitted on the train part.

        ``evaluate_model(model, *parts, df)`` with the six ``parts`` of ``split_data``.

        Args:
            model: a trained model.
            X_train: features of the train part.
            X_val: features of the validation part.
            X_test: features of the test part.
            y_train: labels of the train part.
            y_val: labels of the validation part.
            y_test: labels of the test part.
            df_processed: the second result of ``preprocess_data``, for prices and outcomes.
            history: as in :meth:`b3shared.services.training.B3ModelTrainingService.train_model`;
                rows that a model of sequences has no window for are left out.
            market: CDI, Ibovespa and sectors of the period, from
                :meth:`b3shared.services.data_loading.B3DataLoadingService.load_market`.
            folder: where to write metrics.json, report.html and the pictures; None writes nothing.
        """
        frames = {"train": (X_train, y_train), "val": (X_val, y_val), "test": (X_test, y_test)}
        data, parts = to_table(frames, model.model_type, df_processed, history)
        parts = {name: rows[model.covers(data, rows)] for name, rows in parts.items()}
        forecasts = {name: model.forecast(data, rows) for name, rows in parts.items()}

        context: dict[str, Any] = {"source": "notebook"}
        found = evaluate(
            data,
            parts,
            forecasts,
            model.base_rates,
            model.params,
            model.importance(),
            training=getattr(model, "summary", None),
            context=context,
            market=market,
        )
        if folder is not None:
            found.save(Path(folder))
        return found
