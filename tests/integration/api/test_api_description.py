"""The API's description is made from its code, holds every route and every error, and is served offline."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from infra.local import LocalStack

ROOT = Path(__file__).resolve().parents[3]
SPEC = json.loads((ROOT / "functions" / "pipeline_api" / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = [(path, method, operation) for path, methods in SPEC["paths"].items() for method, operation in methods.items()]


def test_the_committed_description_is_what_the_code_says() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "infra.openapi", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_every_route_of_both_functions_is_described() -> None:
    decorated = re.compile(r'^@app\.(get|post)\(\s*"([^"]+)"(.*)$', re.MULTILINE)
    for function in ("predict", "pipeline_api"):
        source = (ROOT / "functions" / function / "app.py").read_text(encoding="utf-8")
        for method, path, rest in decorated.findall(source):
            if "include_in_schema=False" not in rest:
                assert method in SPEC["paths"][re.sub(r"<(\w+)>", r"{\1}", path)]


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=lambda value: str(value)[:40])
def test_every_operation_documents_its_errors_in_the_one_form(path: str, method: str, operation: dict) -> None:
    for status in ("404", "409", "422", "429", "500", "503", "507"):
        schema = operation["responses"][status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Error"}, (path, method, status)


def test_every_reference_leads_somewhere() -> None:
    names = re.findall(r"#/components/schemas/(\w+)", json.dumps(SPEC))
    assert names
    assert set(names) <= set(SPEC["components"]["schemas"])


def test_the_page_and_the_description_are_served_and_load_nothing_from_elsewhere(served: LocalStack) -> None:
    page = requests.get(f"{served.api_url}/swagger", timeout=30)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert not re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=['"]?https?:""", page.text)
    assert "/api/b3/predict/batch" in page.text
    described = requests.get(f"{served.api_url}/swagger/swagger.yml", timeout=30)
    assert json.loads(described.text) == SPEC
