"""Export to ONNX, and the proof that the export answers as the trained model does."""

import numpy as np

from b3shared.core.arrays import FloatArray
from b3shared.core.errors import ParityError
from b3shared.models.scorer import open_session

TOLERANCE = 1e-5
"""Greatest difference of a probability between the trained model and its export."""


def assert_parity(
    onnx: bytes, X: FloatArray, expected: FloatArray, tolerance: float = TOLERANCE
) -> dict[str, float]:
    """Score ``X`` with an exported model and compare its raw probabilities with those of the trained one.

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
    """Compare what two forms of a model say of the same rows.

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
            f"shapes {answer.shape} and {expected.shape}: equal ones with at least one row are needed"
        )
    difference = float(np.abs(np.asarray(answer, dtype=np.float64) - expected).max())
    agreement = float(np.mean(np.argmax(answer, axis=1) == np.argmax(expected, axis=1)))
    if not difference <= tolerance:
        raise ParityError(
            f"the exported model differs by up to {difference:.3g} in {what}, {tolerance:.3g} is allowed; "
            f"the most probable class agrees in {agreement:.2%} of {len(expected)} rows",
            max_difference=difference,
            argmax_agreement=agreement,
        )
    return {"rows": len(expected), "max_difference": difference, "argmax_agreement": agreement}
