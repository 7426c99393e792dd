"""The control functions import the registry, so it needs neither NumPy nor the evaluation."""

import subprocess
import sys
from pkgutil import iter_modules

from paths import ROOT

import b3shared.registry


def test_the_registry_imports_neither_numpy_nor_the_evaluation() -> None:
    modules = [
        f"b3shared.registry.{found.name}" for found in iter_modules(b3shared.registry.__path__)
    ]
    assert "b3shared.registry.manifest" in modules

    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(shown.stdout.split())
    assert set(modules) <= loaded
    assert "numpy" not in loaded
    assert not [name for name in loaded if name.startswith("b3shared.evaluation")]
