"""Stage 3: split and train."""

from typing import Any

import numpy as np
import pandas as pd

from b3shared.models.base import Model, TrainingSession, model_class
from b3shared.params import PipelineParams
from b3shared.services.frames import check_index, to_dataset
from b3shared.split import purged_split

Parts = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.Series, pd.Series, pd.Series]


class B3ModelTrainingService:
    """Splits by date without leaks, and trains."""

    def split_data(self, X: pd.DataFrame, y: pd.Series, **params: Any) -> Parts:
        """Train, validation and test parts by date: the newest dates test, those before validate.

        A row whose label reaches into the next part is purged, and ``embargo_days`` sessions stay free.

        Args:
            X: features with the index levels ticker, date and label_end.
            y: labels, aligned with ``X``.
            **params: ``test_size`` and ``val_size`` (fractions of all dates), ``embargo_days``.

        Returns:
            X_train, X_val, X_test, y_train, y_val, y_test.
        """
        check_index(X)
        p = PipelineParams.of(params)
        data = to_dataset(X, y)
        split = purged_split(
            data.date, data.label_end, test_size=p.test_size, val_size=p.val_size, embargo_days=p.embargo_days
        )
        parts = (split.train, split.val, split.test)
        train, val, test = (X.iloc[rows] for rows in parts)
        y_train, y_val, y_test = (y.iloc[rows] for rows in parts)
        return train, val, test, y_train, y_val, y_test

    def train_model(
        self,
        X_train: pd.DataFrame,
        y_train: pd.Series,
        X_val: pd.DataFrame | None = None,
        y_val: pd.Series | None = None,
        **params: Any,
    ) -> Model:
        """Search, train and calibrate.

        Args:
            X_train: features to learn from, with the index levels ticker, date and label_end.
            y_train: their labels.
            X_val: features of later rows, for the calibration; without them the probabilities are only corrected for
                class weights (temperature 1).
            y_val: their labels.
            **params: ``model_type``, ``n_jobs``, ``random_state`` and the model's own parameters.
        """
        p = PipelineParams.of(params)
        X = X_train if X_val is None else pd.concat([X_train, X_val])
        y = y_train if y_val is None else pd.concat([y_train, y_val])
        data = to_dataset(X, y)
        model = model_class(p.model_type)(p)
        model.fit(data, np.arange(len(X_train)), np.arange(len(X_train), len(X)), TrainingSession())
        return model
