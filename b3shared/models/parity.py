"""Checks that an exported model scores as the trained one does."""

import numpy as np

from b3shared.core.arrays import FloatArray
from b3shared.core.errors import ParityError
from b3shared.models.scorer import open_session

TOLERANCE = 1e-5
"""Greatest difference of a probability between the trained model and its export."""


def assert_parity(
    onnx: bytes, X: FloatArray, expected: FloatArray, tolerance: float = TOLERANCE
) -> dict[str, float]:
    """Compare an exported model's raw probabilities of ``X`` with the trained one's.

    Args:
        onnx: the exported model.
        X: its input, float32.
        expected: (rows, 3) raw probabilities of the trained model for the same rows.
        tolerance: greatest difference allowed.

    Returns:
        As :func:`assert_close`.

    Raises:
        ParityError: As :func:`assert_close`.
    """
    session = open_session(onnx)
    (answer,) = session.run(
        ["probabilities"], {session.get_inputs()[0].name: np.ascontiguousarray(X, dtype=np.float32)}
    )
    return assert_close(answer, expected, tolerance)


def assert_close(
    answer: FloatArray,
    expected: FloatArray,
    tolerance: float = TOLERANCE,
    what: str = "probability",
) -> dict[str, float]:
    """Compare the answers of two forms of a model for the same rows.

    Args:
        answer: (rows, columns) of the exported model.
        expected: likewise of the trained one.
        tolerance: greatest difference allowed.
        what: is compared, for the message.

    Returns:
        JSON-able: ``rows``, ``max_difference`` and ``argmax_agreement`` (share of rows with the
        same most probable class).

    Raises:
        ParityError: No rows, unequal shapes, or a difference above the tolerance or NaN.
    """
    if answer.shape != expected.shape or not len(expected):
        raise ParityError(
            "both forms must answer with one shape of at least one row, got "
            f"{answer.shape} and {expected.shape}"
        )

    difference = float(np.abs(np.asarray(answer, dtype=np.float64) - expected).max())
    agreement = float(np.mean(np.argmax(answer, axis=1) == np.argmax(expected, axis=1)))
    if not difference <= tolerance:
        raise ParityError(
            f"the exported model differs by up to {difference:.3g} in {what}, allowed is "
            f"{tolerance:.3g}; "
            f"the most probable class agrees in {agreement:.2%} of {len(expected)} rows",
            max_difference=difference,
            argmax_agreement=agreement,
        )
    return {"rows": len(expected), "max_difference": difference, "argmax_agreement": agreement}
