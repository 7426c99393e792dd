"""Learning curves of a training by epochs, for the report."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from b3shared.evaluation.metrics import to_json

CURVES = ("train_loss", "val_loss", "val_log_loss", "learning_rate", "seconds")
"""Values of an epoch, as the trainer writes them; one that it does not write is left out."""


def learning_curves(training: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the curves by epoch, as JSON types; None for a training without epochs (a forest).

    Args:
        training: the summary that ``Model.fit`` returned: "history", one mapping per epoch, and in
            "chosen" the "best_epoch", whose weights were kept (without it that of the least
            validation loss).

    Returns:
        "epochs" and each of :data:`CURVES`, lists of equal length, and "best_epoch", None where it
        is not known.
    """
    history = training.get("history") or []
    if not history:
        return None
    curves = {
        name: [epoch.get(name) for epoch in history]
        for name in CURVES
        if any(name in epoch for epoch in history)
    }
    epochs = [epoch.get("epoch", number) for number, epoch in enumerate(history, start=1)]
    found: dict[str, Any] = to_json(
        {"epochs": epochs, **curves, "best_epoch": training.get("chosen", {}).get("best_epoch")}
    )
    if found["best_epoch"] is None:
        found["best_epoch"] = _least(epochs, found.get("val_loss", []))

    return found


def _least(epochs: list[int], losses: list[float | None]) -> int | None:
    known = np.array([np.nan if loss is None else loss for loss in losses])
    return None if np.isnan(known).all() else int(epochs[int(np.nanargmin(known))])
