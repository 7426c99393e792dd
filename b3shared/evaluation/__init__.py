"""Evaluates a model beside baselines: metrics with intervals, backtest, pictures, report.

``from b3shared.evaluation.evaluate import evaluate`` does all of it. The names here are imported on
first use: the metrics need NumPy only, the pictures matplotlib, the linear baseline scikit-learn.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Evaluation": "evaluate",
    "skill_verdict": "verdict",
    "plot_action_samples_by_ticker": "report.signal_plots",
    "plot_confusion_matrix": "report.plots",
    "plot_coverage_by_month": "report.return_plots",
    "plot_equity": "report.plots",
    "plot_feature_importance": "report.plots",
    "plot_ic_by_month": "report.plots",
    "plot_price_with_signals": "report.signal_plots",
    "plot_reliability": "report.plots",
    "plot_return_calibration": "report.return_plots",
    "plot_training_curves": "report.return_plots",
    "png": "report.plots",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'b3shared.evaluation' has no attribute {name!r}")
    return getattr(import_module(f"b3shared.evaluation.{_PUBLIC[name]}"), name)
