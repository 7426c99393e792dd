"""Runs windows through the network, a batch at a time in one buffer."""

from collections.abc import Callable

import torch
from torch import Tensor

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.models.lstm.network import MultiTaskLSTM
from b3shared.models.lstm.windows import Windows

INFERENCE_BATCH = 1024
"""Windows that are scored at once: they fit the processor's caches."""


class Batches:
    """Gathers windows into one buffer: each call overwrites the batch returned before.

    Args:
        windows: of the table.
        size: windows of the largest batch.
        device: where the batches are wanted.
    """

    def __init__(self, windows: Windows, size: int, device: torch.device) -> None:
        self._windows = windows
        self._device = device
        self._buffer = torch.empty(windows.lookback * size * windows.X.shape[1])

    def __call__(self, rows: IntArray) -> Tensor:
        """Return (len(rows), lookback, features) float32, whose memory has time first."""
        shape = (self._windows.lookback, len(rows), self._windows.X.shape[1])
        batch = self._buffer[: shape[0] * shape[1] * shape[2]].view(shape)
        self._windows.gather(rows, batch.numpy())
        return batch.to(self._device).transpose(0, 1)


def outputs(
    network: MultiTaskLSTM,
    windows: Windows,
    rows: IntArray,
    between: Callable[[], None] = lambda: None,
) -> tuple[Tensor, Tensor]:
    """Return (rows, 3) logits and (rows,) returns in units, without dropout, on its device.

    Args:
        network: it is left in evaluation mode.
        windows: of the table.
        rows: newest row of each window.
        between: called before every batch; it may raise to stop.
    """
    device = network.center.device
    batches = Batches(windows, min(INFERENCE_BATCH, max(1, len(rows))), device)
    logits = torch.empty(len(rows), network.action.out_features, device=device)
    returns = torch.empty(len(rows), device=device)

    network.eval()
    with torch.inference_mode():
        for at in range(0, len(rows), INFERENCE_BATCH):
            between()
            part = slice(at, at + INFERENCE_BATCH)
            logits[part], returns[part] = network(batches(rows[part]))
    return logits, returns


def raw_forecast(
    network: MultiTaskLSTM,
    windows: Windows,
    rows: IntArray,
    between: Callable[[], None] = lambda: None,
) -> tuple[FloatArray, FloatArray]:
    """Return (rows, 3) float64 uncalibrated probabilities and (rows,) float64 returns in units.

    Arguments as of :func:`outputs`.
    """
    logits, returns = outputs(network, windows, rows, between)
    return torch.softmax(logits, dim=1).double().cpu().numpy(), returns.double().cpu().numpy()
