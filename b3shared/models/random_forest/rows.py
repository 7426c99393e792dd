"""The forest's inputs: rows of the table, checked."""

import numpy as np

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.errors import InvalidQuotesError
from b3shared.core.vocabulary import UNLABELLED
from b3shared.dataset.table import Dataset
from b3shared.models.scorer import check_finite


def features_of(data: Dataset, rows: IntArray) -> FloatArray:
    """Return (rows, features) float32; InvalidQuotesError if one is not finite."""
    X = np.ascontiguousarray(data.X[rows], dtype=np.float32)
    check_finite(X, data.feature_names)
    return X


def labels_of(data: Dataset, rows: IntArray) -> IntArray:
    """Return (rows,) label codes; InvalidQuotesError if a row has none."""
    y = data.label[rows]
    if (missing := np.count_nonzero(y == UNLABELLED)) > 0:
        raise InvalidQuotesError(
            f"{missing} of the {len(y)} rows have no label yet; leave them out"
        )
    return y
