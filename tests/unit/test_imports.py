"""Import budgets: the slim functions never load pandas, scikit-learn, matplotlib or boto3."""

import subprocess
import sys

import pytest
from paths import ROOT
from samtranslator.yaml_helper import yaml_parse

HEAVY = {
    "pandas",
    "sklearn",
    "matplotlib",
    "boto3",
    "duckdb",
    "torch",
    "scipy",
    "joblib",
    "onnxruntime",
    "skl2onnx",
    "jinja2",
}


def loaded(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
    )


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("b3shared", set()),
        ("b3shared.services", set()),
        ("b3shared.params.run", set()),
        ("b3shared.pipeline", set()),
        ("b3shared.registry.release", set()),
        ("b3shared.api.control", set()),
        ("b3shared.runs.schedule", set()),
        ("b3shared.runs.failures", set()),
        ("b3shared.dataset.split", set()),
        ("b3shared.models.scorer", {"onnxruntime"}),
        ("b3shared.serving.predictor", {"onnxruntime"}),
        # scikit-learn and skl2onnx import pandas themselves where it is installed; the layer does
        # without
        (
            "b3shared.models.random_forest.model",
            {"sklearn", "scipy", "joblib", "onnxruntime", "skl2onnx", "pandas"},
        ),
        ("b3shared.evaluation.evaluate", {"sklearn", "scipy", "joblib", "matplotlib", "pandas"}),
        ("b3shared.pipeline.steps.train_model", {"onnxruntime"}),
        ("b3shared.pipeline.steps.split_data", set()),
        ("b3shared.features.build", {"pandas", "duckdb"}),
    ],
)
def test_a_module_imports_only_what_its_layer_has(module: str, allowed: set[str]) -> None:
    assert loaded(module) & HEAVY <= allowed


@pytest.mark.parametrize(
    "module",
    [
        "api.control",
        "runs.schedule",
        "runs.failures",
        "core.config",
        "runs.run",
        "registry.release",
    ],
)
def test_the_control_functions_need_no_numpy(module: str) -> None:
    assert "numpy" not in loaded(f"b3shared.{module}")


def test_onnx_runtimes_telemetry_is_off_before_anything_can_import_it() -> None:
    """It starts with the import of ONNX Runtime, whoever imports it first."""
    code = (
        "import os, sys, b3shared;"
        "print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    )
    bare = {"PATH": "/usr/bin:/bin"}
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=bare, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["1", "False"]

    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    assert (
        template["Globals"]["Function"]["Environment"]["Variables"]["ORT_DISABLE_TELEMETRY"] == "1"
    )
    image = (ROOT / "functions" / "train_lstm" / "Dockerfile").read_text(encoding="utf-8")
    assert "ORT_DISABLE_TELEMETRY=1" in image
