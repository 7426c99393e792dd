"""Types of NumPy arrays."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


FloatArray = npt.NDArray[np.floating[Any]]


IntArray = npt.NDArray[np.integer[Any]]
