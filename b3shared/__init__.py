"""B3 Asset Predict: honest daily forecasts for the Brazilian exchange.

``from b3shared import B3Model`` is the whole product on a laptop; :mod:`b3shared.services` has its
stages one by one. Names are resolved on first use, so that importing the package costs nothing and
the slim ``predict`` function never pays for pandas or scikit-learn.
"""

import os
from importlib import import_module
from typing import Any

# Unless this is set before ONNX Runtime is imported, it tells its maker which machine and program
# it runs on, and keeps files in HOME to that end. Every import of it comes after this line.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_PUBLIC = {
    "B3Model": "b3shared.services",
    "B3DataLoadingService": "b3shared.services",
    "B3ModelPreprocessingService": "b3shared.services",
    "B3ModelTrainingService": "b3shared.services",
    "B3ModelEvaluationService": "b3shared.services",
    "B3ModelSavingService": "b3shared.services",
    "PipelineParams": "b3shared.params.run",
    "B3Error": "b3shared.core.errors",
}
__all__ = list(_PUBLIC)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'b3shared' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
