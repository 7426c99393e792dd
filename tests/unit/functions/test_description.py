"""The API's description: routes in order, examples that work, errors and answers as described."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from control_api import check_strictly
from control_function import ControlFunction
from fake_machine import FakeMachine
from paths import ROOT
from predict_function import PredictFunction
from run_fixtures import work_in
from served_store import register_tiny, serve, tiny_snapshot

from b3shared.api import responses
from b3shared.api.control import Limits
from b3shared.api.errors import HTTP_STATUS
from b3shared.api.schemas import BatchAnswer, Error, PredictAnswer
from b3shared.registry.promotion import promote
from b3shared.storage import FolderStorage

FUNCTIONS = ROOT / "functions"
SPEC = json.loads((FUNCTIONS / "pipeline_api" / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = [
    pytest.param(path, method, operation, id=f"{method} {path}")
    for path, methods in SPEC["paths"].items()
    for method, operation in methods.items()
]
UNLISTED = {"/swagger", "/swagger/swagger.yml"}


def examples_of(part: dict[str, Any]) -> dict[str, Any]:
    """Name -> example of a request's body or of an answer."""
    return part.get("content", {}).get("application/json", {}).get("examples", {})


BODIES = [
    pytest.param(path, operation, example["value"], id=f"{path} {name}")
    for path, methods in SPEC["paths"].items()
    for operation in methods.values()
    for name, example in examples_of(operation.get("requestBody", {})).items()
]


@pytest.fixture(scope="module")
def predict(tmp_path_factory: pytest.TempPathFactory) -> PredictFunction:
    """Four tickers, a live version of each type."""
    folder = tmp_path_factory.mktemp("predict")
    store = FolderStorage(folder / "store")
    serve(store, tiny_snapshot(), folder / "snapshot")
    promote(store, "models", "rf", register_tiny(store, folder / "one", 1), who="test", why="test")
    network = register_tiny(store, folder / "two", 2, "lstm", lookback=4)
    promote(store, "models", "lstm", network, who="test", why="test")
    return PredictFunction(folder / "store")


@pytest.fixture
def control(tmp_path: Path) -> ControlFunction:
    """Two versions of the forest, the second live; no run yet."""
    store = FolderStorage(tmp_path / "store")
    serve(store, tiny_snapshot(), tmp_path / "snapshot")

    for seed in (1, 2):
        promote(
            store,
            "models",
            "rf",
            register_tiny(store, tmp_path / str(seed), seed),
            who="test",
            why="test",
        )
    return ControlFunction(tmp_path / "store")


def ask(
    path: str, body: Any, predict: PredictFunction, control: ControlFunction
) -> tuple[int, dict[str, Any]]:
    """POST to the function that has the path; return status and body."""
    if "predict" in path:
        answer = predict.call("POST", path, body)
        return answer.status, answer.body
    return control.call("POST", path.replace("{model_type}", "rf"), body)


@pytest.mark.parametrize(("path", "operation", "body"), BODIES)
def test_every_example_is_answered_as_described(
    path: str,
    operation: dict[str, Any],
    body: Any,
    predict: PredictFunction,
    control: ControlFunction,
) -> None:
    status, answer = ask(path, body, predict, control)

    assert str(status) in operation["responses"]
    if status >= 300:
        # a step of no run, a version that only its example names: told so, and nothing is started
        # or changed
        assert (path.rsplit("/", 1)[-1], answer["code"]) in {
            *(
                (step, "STEP_NOT_READY")
                for step in ("preprocess-data", "split-data", "train-model")
            ),
            *((step, "STEP_NOT_READY") for step in ("evaluate-model", "save-model")),
            ("promote", "UNKNOWN_MODEL"),
        }
        assert control.machine.inputs == {}


CONTROL_ROUTES = [
    pytest.param(method.upper(), path, operation, id=f"{method} {path}")
    for path, methods in SPEC["paths"].items()
    for method, operation in methods.items()
    if operation["tags"] != ["predictions"]
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> ControlFunction:
    """A run whose steps are done, one that failed, and two versions that were live."""
    folder = tmp_path_factory.mktemp("finished")
    store = FolderStorage(folder / "store")
    serve(store, tiny_snapshot(), folder / "snapshot")
    for seed in (1, 2):
        version = register_tiny(store, folder / str(seed), seed)
        promote(store, "models", "rf", version, who="test", why="test")
    control = ControlFunction(folder / "store")
    control.app.machine = FakeMachine(work_in(store, folder))
    control.post("complete-pipeline", {"run_id": "failed", "input_key": "inputs/none.parquet"})
    control.post("complete-pipeline", {"run_id": "done"})
    return control


@pytest.mark.parametrize(("method", "path", "operation"), CONTROL_ROUTES)
def test_every_success_of_the_control_has_the_fields_that_are_described(
    method: str, path: str, operation: dict[str, Any], finished: ControlFunction
) -> None:
    finished.app.limits = Limits(wait_seconds=5)
    body = {"run_id": "done"} if "runs" in operation["tags"] and method == "POST" else None
    if path.endswith("promote"):
        listed = finished.call("GET", "/api/b3/models")[1]["models"]["rf"]["versions"]
        body = {"model_version": listed[0]["version"]}
    status, answer = finished.call(method, path.replace("{model_type}", "rf"), body)

    schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    assert status == (202 if path.endswith("complete-pipeline") else 200)
    check_strictly(getattr(responses, schema["$ref"].rsplit("/", 1)[-1]), answer)


def test_a_failed_run_s_status_has_the_fields_that_are_described(
    finished: ControlFunction,
) -> None:
    status, answer = finished.call("GET", "/api/b3/pipeline-status", query={"run_id": "failed"})
    assert status == 200
    check_strictly(responses.StatusAnswer, answer)
    assert answer["steps"]["load_data"]["error"]["code"] == "ARTIFACT_NOT_FOUND"
    assert answer["pipeline_state"]["training_status"] == "failed"


@pytest.mark.parametrize("route", ["load-data", "complete-pipeline"])
def test_an_answer_before_the_end_has_the_fields_that_are_described(
    control: ControlFunction, route: str
) -> None:
    status, answer = control.post(route, {"run_id": "slow"})
    operation = SPEC["paths"][f"/api/b3/{route}"]["post"]
    schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    assert status == 202
    check_strictly(getattr(responses, schema["$ref"].rsplit("/", 1)[-1]), answer)


def test_every_control_answer_is_described_field_by_field() -> None:
    for name in ("StatusAnswer", "SaveModelAnswer", "ModelsAnswer", "RegisteredVersion"):
        described = SPEC["components"]["schemas"][name]
        assert described["properties"].keys() == {
            field.alias or name for name, field in getattr(responses, name).model_fields.items()
        }


def test_every_post_that_takes_a_body_has_an_example_that_is_filled_in() -> None:
    for path, methods in SPEC["paths"].items():
        if "requestBody" in methods.get("post", {}):
            assert examples_of(methods["post"]["requestBody"]), path


def test_routes_that_start_or_change_something_ask_for_confirmation() -> None:
    asked = {
        path for path, methods in SPEC["paths"].items() if "x-confirm" in methods.get("post", {})
    }
    posts = {path for path, methods in SPEC["paths"].items() if "post" in methods}
    assert posts - asked == {
        "/api/b3/predict",
        "/predict",
        "/api/b3/predict/batch",
        "/predict/batch",
    }


@pytest.mark.skipif(
    shutil.which("node") is None, reason="there is no node on this machine to run the page's script"
)
def test_the_page_s_script_sends_a_change_only_after_confirmation() -> None:
    requests = [
        ("POST", "http://127.0.0.1:5000/api/b3/complete-pipeline"),
        ("POST", "https://api.example/stage/api/b3/models/rf/promote?x=1"),
        ("POST", "/api/b3/models/lstm/rollback"),
        ("POST", "/api/b3/predict"),
        ("POST", "/api/b3/predict/batch"),
        ("GET", "/api/b3/models/rf"),
        ("GET", "/api/b3/pipeline-status?run_id=a"),
    ]
    script = (FUNCTIONS / "pipeline_api" / "confirm.js").read_text(encoding="utf-8")
    script += f"""
    const spec = {json.dumps(SPEC)};
    const asked = [];
    const confirm = (answer) => confirming(spec, (q) => {{ asked.push(q); return answer; }});
    const sent = (answer) => {json.dumps(requests)}.map(([method, url]) => {{
      try {{
        return confirm(answer)({{method, url}}).url === url;
      }} catch (error) {{
        return error.message;
      }}
    }});
    console.log(JSON.stringify([sent(true), sent(false), asked.length]));
    """
    ran = subprocess.run(
        ["node", "-"], input=script, capture_output=True, text=True, check=True, timeout=60
    )
    confirmed, refused, questions = json.loads(ran.stdout)

    assert confirmed == [True] * 7
    assert refused == ["not sent: it was not confirmed"] * 3 + [True] * 4
    assert questions == 6


def test_predictions_come_first_and_the_steps_in_their_order() -> None:
    paths = [path.rsplit("/", 1)[-1] for path in SPEC["paths"]]

    assert [tag["name"] for tag in SPEC["tags"]] == ["predictions", "runs", "versions", "health"]
    assert paths[:2] == ["predict", "predict"]
    steps = [
        "load-data",
        "preprocess-data",
        "split-data",
        "train-model",
        "evaluate-model",
        "save-model",
    ]
    assert [path for path in paths if path in steps] == steps


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_operation_says_what_it_does_and_has_its_errors_in_the_one_form(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    assert not re.match("GET|POST", operation["summary"])
    assert operation["description"]
    assert {"404", "422", "500"} <= operation["responses"].keys()

    for status, response in operation["responses"].items():
        if status >= "400":
            assert response["content"]["application/json"]["schema"] == {
                "$ref": "#/components/schemas/Error"
            }
            examples = examples_of(response)
            assert examples
            for code, example in examples.items():
                assert Error.model_validate(example["value"], strict=True).code == code
                assert HTTP_STATUS.get(code, int(status)) == int(status)


def test_the_examples_of_predictions_have_the_fields_of_their_models() -> None:
    forest, network = examples_of(
        SPEC["paths"]["/api/b3/predict"]["post"]["responses"]["200"]
    ).values()
    (some,) = examples_of(
        SPEC["paths"]["/api/b3/predict/batch"]["post"]["responses"]["200"]
    ).values()
    assert PredictAnswer.model_validate(forest["value"]).model_dump() == forest["value"]
    assert PredictAnswer.model_validate(network["value"]).predicted_price is not None
    assert BatchAnswer.model_validate(some["value"]).model_dump() == some["value"]


def test_the_examples_of_errors_are_what_is_answered(
    predict: PredictFunction, control: ControlFunction, tmp_path: Path
) -> None:
    told = {
        code: example["value"]
        for methods in SPEC["paths"].values()
        for operation in methods.values()
        for response in operation["responses"].values()
        for code, example in examples_of(response).items()
        if code.isupper()
    }
    asked = {
        "UNKNOWN_TICKER": predict.call("POST", "/predict", {"ticker": "PETR"}).body,
        "BODY_TOO_LARGE": predict.call("POST", "/predict", " " * 100_001).body,
        "INVALID_PARAMETER": predict.call("POST", "/predict", "ticker=PETR4").body,
        "NOTHING_LIVE": PredictFunction(tmp_path / "empty")
        .call("POST", "/predict", {"ticker": "PETR4"})
        .body,
        "UNKNOWN_ROUTE": control.call("GET", "/api/b3/forecast")[1],
        "UNKNOWN_RUN": control.call("GET", "/api/b3/pipeline-status", query={"run_id": "nope"})[1],
    }
    control.post("load-data", {"run_id": "mine"})
    asked["STEP_NOT_READY"] = control.post("train-model", {"run_id": "mine"})[1]
    asked["CONFLICT"] = control.post("complete-pipeline", {"run_id": "mine", "horizon": 5})[1]

    for code, answer in asked.items():
        answer.pop("details", None)
        assert told[code] == answer


def test_every_route_of_both_functions_is_described() -> None:
    decorated = re.compile(r'^@app\.(get|post)\(\s*"([^"]+)"', re.MULTILINE)
    for function in ("predict", "pipeline_api"):
        source = (FUNCTIONS / function / "app.py").read_text(encoding="utf-8")
        for method, path in decorated.findall(source):
            assert path in UNLISTED or method in SPEC["paths"][re.sub(r"<(\w+)>", r"{\1}", path)]


def test_every_reference_names_a_schema_that_exists() -> None:
    names = re.findall(r"#/components/schemas/(\w+)", json.dumps(SPEC))
    assert names
    assert set(names) <= set(SPEC["components"]["schemas"])


def test_request_fields_with_a_default_have_no_default_keyword() -> None:
    for name, schema in SPEC["components"]["schemas"].items():
        if name.endswith("Request"):
            assert not [
                field for field, described in schema["properties"].items() if "default" in described
            ], name
    assert SPEC["components"]["schemas"]["PredictRequest"]["required"] == ["ticker"]


def test_the_security_of_every_route_is_described() -> None:
    schemes = SPEC["components"]["securitySchemes"]
    for path, methods in SPEC["paths"].items():
        for operation in methods.values():
            needs = [name for need in operation["security"] for name in need]
            assert set(needs) <= schemes.keys()
            assert ({} in operation["security"] or not operation["security"]) == (
                "Iam" not in needs
            ), path
