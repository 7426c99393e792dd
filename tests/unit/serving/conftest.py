"""A served store and a server that follows it, of a test's own."""

from live_world import serving, world
from predictor_world import tiny

__all__ = ["serving", "tiny", "world"]
