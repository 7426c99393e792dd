"""Honest evaluation of a model beside what costs nothing: figures with intervals, baselines, backtest, pictures, report.

``from b3shared.evaluation.evaluate import evaluate`` is all of it. The names here are resolved on first use: the metrics
need NumPy only, the pictures bring matplotlib, the linear baseline scikit-learn.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Evaluation": "evaluate",
    "skill_verdict": "verdict",
    "plot_action_samples_by_ticker": "plots",
    "plot_confusion_matrix": "plots",
    "plot_coverage_by_month": "return_plots",
    "plot_equity": "plots",
    "plot_feature_importance": "plots",
    "plot_ic_by_month": "plots",
    "plot_price_with_signals": "plots",
    "plot_reliability": "plots",
    "plot_return_calibration": "return_plots",
    "plot_training_curves": "return_plots",
    "png": "plots",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'b3shared.evaluation' has no attribute {name!r}")
    return getattr(import_module(f"b3shared.evaluation.{_PUBLIC[name]}"), name)
