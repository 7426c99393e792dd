"""Stage 3: split and train."""

from typing import Any

import numpy as np
import pandas as pd

from b3shared.dataset.split import purged_split
from b3shared.models.base import Model, TrainingSession, model_class
from b3shared.params.run import PipelineParams
from b3shared.services.frames import Part, check_aligned, check_index, to_dataset, to_table
from b3shared.services.preprocessing import params_with

Parts = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.Series, pd.Series, pd.Series]


class B3ModelTrainingService:
    """Splits by date without leaks, and trains."""

    def split_data(self, X: pd.DataFrame, y: pd.Series, **params: Any) -> Parts:
        """Split by date into train, validation and test parts, the newest dates for the test.

        A row whose label reaches into the next part is purged, and ``embargo_days`` sessions stay
        free.

        Args:
            X: features with the index levels ticker, date and label_end.
            y: labels, aligned with ``X``.
            **params: ``test_size`` and ``val_size`` (fractions of all dates), ``embargo_days``.

        Returns:
            X_train, X_val, X_test, y_train, y_val, y_test.
        """
        check_index(X)
        check_aligned(X, y)
        p = PipelineParams.from_values(params)
        data = to_dataset(X, y)
        split = purged_split(
            data.date,
            data.label_end,
            test_size=p.test_size,
            val_size=p.val_size,
            embargo_days=p.embargo_days,
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
        df_processed: pd.DataFrame | None = None,
        *,
        history: pd.DataFrame | None = None,
        **params: Any,
    ) -> Model:
        """Search, train and calibrate.

        ``train_model(X_train, y_train, X_val, y_val)``, or for a model that takes sequences
        ``train_model(X_train, y_train, X_val, y_val, df, history=X, model_type=...)`` with what
        ``preprocess_data`` returned.

        Args:
            X_train: features to learn from, with the index levels ticker, date and label_end.
            y_train: their labels.
            X_val: features of later rows, for the calibration; without them the probabilities are
                only corrected for class weights (temperature 1). The LSTM cannot do without: it
                stops early by them.
            y_val: their labels.
            df_processed: the second result of ``preprocess_data``; the LSTM learns returns from it,
                in units of its volatility, and makes windows by its sessions.
            history: the first result of ``preprocess_data``: windows may then reach back over rows
                that the split left out (purged, embargoed). Without it, they are made of the parts'
                rows only, and the first ``lookback`` rows after such a gap have none. Only what
                lies before a row is ever in its window.
            **params: ``model_type``, ``n_jobs``, ``random_state`` and the model's own parameters;
                what ``df_processed`` was made with need not be stated again.

        Raises:
            InvalidQuotesError: The frames are not those of ``preprocess_data``, or the model needs
                ``df_processed``.
            InvalidParameterError: See :func:`b3shared.services.preprocessing.params_with`.
            B3Error: What the model raises.
        """
        p = params_with(df_processed, params)
        parts: dict[str, Part] = {"train": (X_train, y_train)}
        if X_val is not None and y_val is not None:
            parts["val"] = (X_val, y_val)
        data, rows = to_table(parts, p.model_type, df_processed, history)
        model = model_class(p.model_type)(p)
        model.fit(
            data, rows["train"], rows.get("val", np.array([], dtype=np.int64)), TrainingSession()
        )
        return model
