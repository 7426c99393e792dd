"""A network that was trained on a planted signal."""

from planted_lstm import planted

__all__ = ["planted"]
