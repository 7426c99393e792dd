"""What a training works on: its windows and their targets."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from b3shared.core.errors import SingleClassError
from b3shared.core.vocabulary import CLASSES
from b3shared.models.lstm.windows import Examples


@dataclass(frozen=True)
class Task:
    """One training: its windows, and what stops it.

    Attributes:
        phase: name in the progress.
        train: windows to train on.
        stop: later windows whose loss decides on the rate and when to stop; None to follow
            ``rates`` instead.
        rates: learning rate of each epoch, where it was decided before.
    """

    phase: str
    train: Examples
    stop: Examples | None = None
    rates: tuple[float, ...] = ()


def check_classes(examples: Examples) -> None:
    """Check that there are two classes at least to train on.

    Raises:
        SingleClassError: There is one.
    """
    classes = np.unique(examples.labels)
    if len(classes) < 2:
        raise SingleClassError(
            f"training needs two classes at least, got {len(examples)} labels "
            f"{CLASSES[classes[0]]!r}"
        )


def targets(examples: Examples, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return label codes and returns of the examples, on a device."""
    labels = torch.from_numpy(examples.labels).to(device)
    returns = torch.from_numpy(examples.returns).to(device)
    return labels, returns
