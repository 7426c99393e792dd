"""Offers the stages of the product as service classes, and all of them as :class:`B3Model`.

The names are those of the reference project. Resolved on first use: a stage imports only what it
needs.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "B3DataLoadingService": "data_loading",
    "B3ModelPreprocessingService": "preprocessing",
    "B3ModelTrainingService": "training",
    "B3ModelEvaluationService": "evaluation",
    "B3ModelSavingService": "saving",
    "B3IngestionService": "ingestion",
    "B3Model": "b3_model",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'b3shared.services' has no attribute {name!r}")
    return getattr(import_module(f"b3shared.services.{_HOMES[name]}"), name)
