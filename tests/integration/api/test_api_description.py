"""The API's description is made from its code, is up to date, and is served without a network."""

import json
import re
import subprocess
import sys

import requests
from paths import ROOT

from infra.local import LocalStack

SPEC = json.loads(
    (ROOT / "functions" / "pipeline_api" / "openapi.json").read_text(encoding="utf-8")
)


def test_the_committed_description_is_up_to_date() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "infra.openapi", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_the_page_and_the_description_are_served_and_load_nothing_from_elsewhere(
    served: LocalStack,
) -> None:
    page = requests.get(f"{served.api_url}/swagger", timeout=30)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert not re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=['"]?https?:""", page.text)
    assert "/api/b3/predict/batch" in page.text
    described = requests.get(f"{served.api_url}/swagger/swagger.yml", timeout=30)
    assert json.loads(described.text) == SPEC
