"""Types of NumPy arrays."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""An array of any dtype."""

FloatArray = npt.NDArray[np.floating[Any]]
"""An array of floating-point numbers of any precision."""

IntArray = npt.NDArray[np.integer[Any]]
"""An array of integers of any size."""
