"""The states of torch's random generators, which a training keeps to itself."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Give the training torch's generators; afterwards they are the caller's again."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the states of the CPU's generator and, on a GPU, of the device's."""
    cuda = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"cpu": torch.get_rng_state(), **cuda}


def set_random(stored: dict[str, Tensor], device: torch.device) -> None:
    """Set the generators to what :func:`random_state` returned."""
    torch.set_rng_state(stored["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(stored["cuda"], device)
