"""Imports matplotlib for the pictures, without leaving anything in HOME.

While it is imported, matplotlib makes a folder for settings in HOME and writes a list of the
machine's fonts there, and fontconfig, which it asks for them, may write another. Here both go to a
temporary folder. So no user's ``matplotlibrc`` changes the pictures, unless ``MPLCONFIGDIR`` names
it.
"""

from b3shared.core.tempdir import temporary_cache

with temporary_cache("MPLCONFIGDIR", "XDG_CACHE_HOME"):
    from matplotlib.axes import Axes
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

__all__ = ["AutoDateLocator", "Axes", "ConciseDateFormatter", "Figure", "MaxNLocator"]
