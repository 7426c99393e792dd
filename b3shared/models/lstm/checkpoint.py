"""Turns the state of a training into the bytes of a checkpoint, and back."""

import hashlib
import io
import json
import math
import pickle
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from b3shared.core.arrays import Array, FloatArray

_CHUNK = 16_384


@dataclass
class TrainingState:
    """The state that a training needs to go on, besides its arguments.

    Attributes:
        slices: calls that have worked on it, this one included.
        epoch: finished epochs.
        batch: steps done in the running epoch.
        totals: (2,) float64 sums of the running epoch's losses: action, return.
        seconds: duration of the running epoch so far.
        history: a record per finished epoch.
        best_loss: least validation loss.
        best_epoch: finished epochs when it was found.
        best: the network's state then, a copy of its own.
        finished: no epoch follows.
        network: state of the module; likewise ``optimizer``, ``scheduler`` and the random
            generators'.
    """

    slices: int = 0
    epoch: int = 0
    batch: int = 0
    totals: Tensor = field(default_factory=lambda: torch.zeros(2, dtype=torch.float64))
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    finished: bool = False
    network: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)
    random: dict[str, Tensor] = field(default_factory=dict)

    def to_bytes(self, fingerprint: str) -> bytes:
        """Return the state and the fingerprint of its training, for :meth:`from_bytes`."""
        stored = {f.name: getattr(self, f.name) for f in fields(self)}
        buffer = io.BytesIO()
        torch.save({"fingerprint": fingerprint, **stored}, buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes | None, fingerprint: str, device: torch.device) -> Self | None:
        """Read what :meth:`to_bytes` returned; None without data, or if of another training.

        Reading runs no code (``weights_only``). The random generators' states stay on the CPU,
        where torch wants them.
        """
        if not data:
            return None

        try:
            stored = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
            if stored.pop("fingerprint") != fingerprint:
                return None
            state = cls(**stored)
        except (
            RuntimeError,
            EOFError,
            pickle.UnpicklingError,
            TypeError,
            KeyError,
            AttributeError,
        ):
            return None
        state.totals = state.totals.to(device)
        return state


def fingerprint(about: dict[str, Any], X: FloatArray, *columns: Array) -> str:
    """Hash all that decides a training's course: parameters, data, and torch's version.

    Args:
        about: JSON-able facts.
        X: (rows, features) all features; a memory map is read in pieces.
        columns: further arrays.
    """
    digest = hashlib.sha256(
        json.dumps({"torch": torch.__version__, **about}, sort_keys=True).encode()
    )
    for array in columns:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    for at in range(0, len(X), _CHUNK):
        digest.update(np.ascontiguousarray(X[at : at + _CHUNK]).data)
    return digest.hexdigest()


def deep_copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy a module's state: the tensors of ``state_dict`` are the live ones."""
    return {name: tensor.detach().clone() for name, tensor in state.items()}
