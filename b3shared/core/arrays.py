"""Types of NumPy arrays, named by what they hold. Importing this does not import NumPy."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

type Array = npt.NDArray[Any]

type FloatArray = npt.NDArray[np.floating[Any]]

type IntArray = npt.NDArray[np.integer[Any]]
