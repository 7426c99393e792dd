"""Permutation importance of a window's features.

Breiman (2001); Fisher, Rudin and Dominici (2019).
"""

from collections.abc import Callable

import numpy as np
import torch

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.models.calibration import Calibration
from b3shared.models.lstm.batches import INFERENCE_BATCH, Batches
from b3shared.models.lstm.network import MultiTaskLSTM
from b3shared.models.lstm.windows import Examples

SAMPLE = 2048
"""Windows that are scored at most, once for every feature."""


def permutation_importance(
    network: MultiTaskLSTM,
    examples: Examples,
    calibration: Calibration,
    seed: int,
    between: Callable[[], None] = lambda: None,
) -> FloatArray:
    """Measure how the log loss grows when a feature's course is that of another window.

    Args:
        network: trained; it is left in evaluation mode.
        examples: windows that it was not trained on.
        calibration: the probabilities that count are the calibrated ones.
        seed: of the sample and of the permutation, which all features share.
        between: called before every pass; it may raise to stop.

    Returns:
        (features,) float64, non-negative, summing to 1; all equal if no feature helps.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(examples))[:SAMPLE]
    other = np.roll(chosen, 1)  # a cycle: no window keeps its own
    features = examples.windows.X.shape[1]
    device = network.center.device
    batches, others = (
        Batches(examples.windows, min(INFERENCE_BATCH, len(chosen)), device) for _ in range(2)
    )
    loss = np.zeros(features + 1)  # the last is with every feature in place
    network.eval()
    with torch.inference_mode():
        for at in range(0, len(chosen), INFERENCE_BATCH):
            part = slice(at, at + INFERENCE_BATCH)
            windows = batches(examples.rows[chosen[part]])
            strange = others(examples.rows[other[part]])
            labels = examples.labels[chosen[part]]
            for feature in range(features):
                between()
                own = windows[..., feature].clone()
                windows[..., feature] = strange[..., feature]
                loss[feature] += _log_loss(network, windows, labels, calibration)
                windows[..., feature] = own
            loss[features] += _log_loss(network, windows, labels, calibration)

    gain: FloatArray = np.maximum(loss[:-1] - loss[-1], 0.0)
    return gain / gain.sum() if gain.sum() > 0 else np.full(features, 1 / features)


def _log_loss(
    network: MultiTaskLSTM, windows: torch.Tensor, labels: IntArray, calibration: Calibration
) -> float:
    """Sum the log loss over the windows."""
    probabilities = calibration.apply(torch.softmax(network(windows)[0], dim=1).cpu().numpy())
    return -float(np.log(probabilities[np.arange(len(labels)), labels]).sum())
