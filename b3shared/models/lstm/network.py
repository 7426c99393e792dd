"""The multi-task network and what it is trained to do well. torch from here on: only training imports this."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.tempdir import temporary_cache
from b3shared.core.vocabulary import CLASSES
from b3shared.params.lstm import LSTMParams

with temporary_cache(
    "TORCHINDUCTOR_CACHE_DIR"
):  # the optimizer would import it, and it makes a folder
    import torch._dynamo

CLIP = 5.0
"""Scaled features lie within plus and minus this, some 74 spreads from the centre."""


class MultiTaskLSTM(nn.Module):
    """Scaler, LSTM, dropout on the last state, and two heads: the action, and the return in units of volatility.

    The scaler is asinh((x - median) / spread): nearly linear where most values lie, so that a
    rule's threshold near the centre can be seen, and logarithmic far away, so that a wild value
    cannot saturate the state.

    Args:
        n_features: columns of a window.
        units: size of the LSTM's state.
        dropout: share of the last state that training leaves out.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, n_features: int, units: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(n_features))
        self.lstm = nn.LSTM(n_features, units, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.action = nn.Linear(units, len(CLASSES))
        self.returns = nn.Linear(units, 1)

    def scale_by(self, center: FloatArray, spread: FloatArray) -> None:
        """Set the scaler: (features,) medians and spreads of the rows that it is trained on, and of no others."""
        self.center.copy_(torch.from_numpy(center))
        self.spread.copy_(torch.from_numpy(spread))

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Score windows.

        Args:
            windows: (batch, lookback, features) float32, unscaled.

        Returns:
            (batch, 3) logits in the order of :data:`b3shared.core.vocabulary.CLASSES`, and (batch,)
            returns in units.
        """
        return self.answer(torch.asinh(self.distance(windows)))

    def distance(self, windows: Tensor) -> Tensor:
        """How many spreads each value is from the centre."""
        return (windows - self.center) / self.spread

    def answer(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """What :meth:`forward` says of windows that are scaled, but for the clipping."""
        _, (state, _) = self.lstm(scaled.clamp(-CLIP, CLIP))
        last = self.dropout(state[-1])
        return self.action(last), self.returns(last).squeeze(-1)


def focal_loss(logits: Tensor, labels: Tensor, gamma: float, weights: Tensor) -> Tensor:
    """(batch,) weight x (1 - p) ** gamma x -log p, with p the probability of the true class (Lin et al. 2017).

    The class weight is outside the focusing term: a row that is surely right loses little, whatever
    its class weighs.

    Args:
        logits: (batch, classes).
        labels: (batch,) int64.
        gamma: 0 is cross-entropy.
        weights: (classes,).
    """
    log_p = functional.log_softmax(logits, dim=1).gather(1, labels[:, None]).squeeze(1)
    loss = -log_p * weights[labels]
    if gamma:
        loss = loss * (-torch.expm1(log_p)).clamp_min(1e-7) ** gamma  # at p = 1 a root has no slope
    return loss


def return_loss(answer: Tensor, happened: Tensor, kind: str) -> Tensor:
    """(batch,) squared error, or Huber's: half of it within one unit, linear beyond, so that jumps do not rule."""
    loss = functional.huber_loss if kind == "huber" else functional.mse_loss
    return loss(answer, happened, reduction="none")


@dataclass(frozen=True)
class ClassBalance:
    """How much more often a row of each class is drawn, and how much more it counts in the action's loss.

    Attributes:
        rates: (3,) float64 draws of a row, relative to a row drawn at random; 0 for an absent
            class.
        weights: (3,) float64 weight in the loss, 1 on the average draw; likewise.
    """

    rates: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, labels: IntArray, params: LSTMParams) -> Self:
        """Of training labels, (rows,) codes, as ``oversample`` and ``use_class_weights`` say.

        Weights are in inverse proportion to how often a class is *drawn*: both together do not
            count a class twice.
        """
        counts = np.bincount(labels, minlength=len(CLASSES)).astype(np.float64)
        present = counts > 0
        power = {False: 0.0, "sqrt": 0.5, True: 1.0}[params.oversample]
        rates = np.where(present, np.maximum(counts, 1) ** -power, 0.0)
        rates *= counts.sum() / (rates @ counts)
        drawn = rates * counts
        even = np.where(present, drawn.sum() / (present.sum() * np.where(present, drawn, 1)), 0.0)
        return cls(rates, even if params.use_class_weights else present.astype(np.float64))

    @property
    def total(self) -> FloatArray:
        """(3,) what a row of each class counts in all."""
        product: FloatArray = self.rates * self.weights
        return product


@dataclass(frozen=True)
class Objective:
    """The loss of a row for each task, before they are weighed against each other.

    Attributes:
        gamma: of the focal loss.
        kind: of the return's loss.
        action_weights: (3,) weight of a row of each class in the action's loss.
        return_weights: (3,) likewise in the return's.
    """

    gamma: float
    kind: str
    action_weights: Tensor
    return_weights: Tensor

    @classmethod
    def of_draws(cls, params: LSTMParams, balance: ClassBalance, device: torch.device) -> Self:
        """For rows that are drawn as ``balance`` says.

        The return's loss undoes the oversampling: nothing corrects that head's answer afterwards,
        as the prior does the probabilities.
        """
        undo = np.divide(1.0, balance.rates, out=np.zeros(len(CLASSES)), where=balance.rates > 0)
        return cls._of(params, balance.weights, undo, device)

    @classmethod
    def of_rows(cls, params: LSTMParams, balance: ClassBalance, device: torch.device) -> Self:
        """For rows as they come: its mean over new rows is what :meth:`of_draws` has as mean over draws."""
        return cls._of(params, balance.total, np.ones(len(CLASSES)), device)

    @classmethod
    def _of(
        cls, params: LSTMParams, action: FloatArray, returns: FloatArray, device: torch.device
    ) -> Self:
        action_weights, return_weights = (
            torch.tensor(w, dtype=torch.float32, device=device) for w in (action, returns)
        )
        return cls(params.focal_loss_gamma, params.loss_return, action_weights, return_weights)

    def __call__(self, logits: Tensor, answer: Tensor, labels: Tensor, happened: Tensor) -> Tensor:
        """(2,) sums over the batch: action, return."""
        action = focal_loss(logits, labels, self.gamma, self.action_weights).sum()
        returns = (return_loss(answer, happened, self.kind) * self.return_weights[labels]).sum()
        return torch.stack([action, returns])
