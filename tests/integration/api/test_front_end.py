"""The calls of the reference's front end, CORS, and the curl examples of the README."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import requests
from api_stack import ORIGIN, bucket
from paths import ROOT

from b3shared.api.schemas import PredictAnswer
from b3shared.serving.live import Live
from infra.local import LocalStack


@pytest.mark.parametrize("base", ["", "/api/b3"])
def test_the_front_end_of_the_reference_gets_assets_and_a_prediction(
    served: LocalStack, base: str
) -> None:
    page = requests.get(
        f"{served.api_url}{base}/assets?page=1&page_size=10&search=PETR", timeout=30
    ).json()

    unclassified = {"sector": None, "subsector": None, "segment": None}
    assert page["assets"] == [{"ticker": "PETR4", "company": "PETROBRAS"} | unclassified]
    assert page["pagination"] == {
        "page": 1,
        "page_size": 10,
        "total_count": 1,
        "total_pages": 1,
        "has_next": False,
        "has_prev": False,
    }
    answer = requests.post(f"{served.api_url}{base}/predict", json={"ticker": "PETR4"}, timeout=30)
    assert answer.status_code == 200
    assert answer.json()["predictions"][0] in ("buy", "hold", "sell")
    PredictAnswer.model_validate(answer.json())


def test_cors_allows_the_configured_origin_only(served: LocalStack) -> None:
    ask = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    allowed = requests.options(
        f"{served.api_url}/api/b3/predict", headers={"Origin": ORIGIN, **ask}, timeout=30
    )

    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in allowed.headers["access-control-allow-methods"]
    other = requests.options(
        f"{served.api_url}/api/b3/predict",
        headers={"Origin": "https://evil.example", **ask},
        timeout=30,
    )
    assert "access-control-allow-origin" not in other.headers
    answer = requests.post(
        f"{served.api_url}/api/b3/predict",
        json={"ticker": "PETR4"},
        headers={"Origin": ORIGIN},
        timeout=30,
    )
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("path", ["/nothing", "/api/b3/nothing", "/predict/nothing", "/"])
def test_an_unknown_route_is_answered_in_the_form_of_every_error(
    served: LocalStack, path: str
) -> None:
    answer = requests.get(f"{served.api_url}{path}", timeout=30)
    assert answer.status_code == 404
    assert answer.json() == {
        "status": "error",
        "code": "UNKNOWN_ROUTE",
        "message": f"GET {path}: there is no such route",
    }


def test_the_answer_over_http_equals_that_of_the_registered_model(served: LocalStack) -> None:
    answer = requests.post(
        f"{served.api_url}/api/b3/predict", json={"ticker": "VALE3"}, timeout=30
    ).json()
    live = Live(bucket(served))
    live.refresh()
    version = live.version("rf", answer["model_version"])
    snapshot = live.snapshot
    row = snapshot.ticker.tolist().index("VALE3")
    expected = version.scorer.score(snapshot.windows[version.windows][row, -1][None]).probabilities
    np.testing.assert_allclose(answer["prediction_probabilities"], expected, atol=1e-9)


@pytest.mark.parametrize("readme", ["README.md"])
def test_the_curl_examples_of_the_readme_work_in_order(served: LocalStack, readme: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    text = (ROOT / readme).read_text(encoding="utf-8")
    lines = [
        line
        for block in re.findall(r"^```bash\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]
    commands = [line for line in lines if line.startswith("curl ")]

    assert len(commands) >= 9
    for command in commands:
        local = command.replace("localhost:5000", served.api_url.removeprefix("http://")).replace(
            "curl ", "curl -sS ", 1
        )
        said = subprocess.run(["bash", "-c", local], capture_output=True, text=True, timeout=300)
        assert said.returncode == 0, (command, said.stderr)
        body = json.loads(said.stdout)
        assert body.get("status", "success") == "success", (command, body)
