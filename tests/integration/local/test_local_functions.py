"""Invocations through the emulator's Lambda API: what works, and how each failure is reported."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from processes import descendants
from waiting import until

from infra.local import LocalStack, LocalStackError
from infra.local.worker import RESPONSE_LIMIT

Failure = Callable[..., tuple[str, str]]


def test_a_function_gets_its_event_and_the_templates_variables(small_stack: LocalStack) -> None:
    answer = small_stack.invoke("BehaveFunction", {"do": "echo", "n": [1, None, "ção"]})
    assert answer["event"] == {"do": "echo", "n": [1, None, "ção"]}
    assert answer["greeting"] == "olá"


def test_a_warm_worker_is_used_again(small_stack: LocalStack) -> None:
    assert len({small_stack.invoke("BehaveFunction", {"do": "echo"})["pid"] for _ in range(5)}) == 1


def test_concurrent_calls_run_in_workers_of_their_own(
    small_stack: LocalStack, tmp_path: Path
) -> None:
    def call(_: int) -> object:
        return small_stack.invoke(
            "BehaveFunction", {"do": "meet", "folder": str(tmp_path), "parties": 3}
        )

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(call, range(3))) == ["met"] * 3
    assert (
        len([child for child in descendants(small_stack.pid) if child.folder.name == "behave"]) >= 3
    )


def test_functions_see_lambdas_environment_and_nothing_of_the_users_account(
    small_stack: LocalStack,
) -> None:
    answer = small_stack.invoke("BehaveFunction", {"do": "environment"})
    variables = answer["variables"]

    assert (
        variables["AWS_LAMBDA_FUNCTION_NAME"] == small_stack.resources["BehaveFunction"]
    )  # reserved, whatever the template says
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128"
    assert variables["AWS_ENDPOINT_URL"] == small_stack.aws_url
    assert variables["AWS_REGION"] == "sa-east-1"
    assert variables["BUCKET"] == small_stack.outputs["BucketName"]
    assert variables["EXTRA"] == "from the machine"
    assert variables["AWS_ACCESS_KEY_ID"] == variables["AWS_SECRET_ACCESS_KEY"] == "local"
    assert "AWS_PROFILE" not in variables
    assert not {"users-own", "users-secret"} & set(variables.values())
    assert answer["cwd"].endswith("functions/behave")

    root = str(Path(answer["cwd"]).parents[1])

    assert answer["cwd"] in answer["path"]
    assert root in answer["path"]


def test_the_context_has_the_fields_of_lambdas(small_stack: LocalStack) -> None:
    context = small_stack.invoke("BehaveFunction", {"do": "context"})
    assert context["function_name"] == small_stack.resources["BehaveFunction"]
    assert context["memory"] == "128"
    assert 1000 < context["remaining_ms"] <= 2000
    function = small_stack.resources["BehaveFunction"]
    assert context["arn"] == f"arn:aws:lambda:sa-east-1:123456789012:function:{function}"
    assert len(context["request_id"]) == 36


def test_an_exception_is_reported_with_its_class_and_its_output_is_logged(
    small_stack: LocalStack, failure: Failure
) -> None:
    assert failure(do="raise") == ("CustomError", "as asked")
    assert "about to raise" in small_stack.logs("BehaveFunction")
    with pytest.raises(LocalStackError, match=r"(?s)CustomError: as asked.*about to raise"):
        small_stack.invoke("BehaveFunction", {"do": "raise"})


def test_a_timeout_is_reported_as_lambda_does_and_ends_the_workers_children(
    small_stack: LocalStack, failure: Failure
) -> None:
    kind, message = failure(do="hang_with_child")
    assert kind == "Sandbox.Timedout"
    assert message.startswith("RequestId: ")
    assert message.endswith(" Error: Task timed out after 2.00 seconds")
    until(
        lambda: "sleep" not in [child.name for child in descendants(small_stack.pid)],
        "the end of the child",
    )


@pytest.mark.parametrize(
    ("event", "how"),
    [({"do": "exit", "status": 3}, "exit status 3"), ({"do": "kill"}, "signal: killed")],
    ids=["exit", "kill"],
)
def test_a_crash_is_reported_as_lambda_does(
    small_stack: LocalStack, failure: Failure, event: dict[str, object], how: str
) -> None:
    kind, message = failure(**event)
    assert kind == "Runtime.ExitError"
    assert message.endswith(f" Error: Runtime exited with error: {how}")
    assert (
        small_stack.invoke("BehaveFunction", {"do": "echo"})["greeting"] == "olá"
    )  # the next call gets a new worker


@pytest.mark.parametrize("do", ["allocate", "allocate_in_child"])
def test_a_function_that_exceeds_its_memory_is_killed(
    small_stack: LocalStack, failure: Failure, do: str
) -> None:
    kind, message = failure(do=do, megabytes=200)
    assert (kind, message.split("Error: ")[1]) == (
        "Runtime.ExitError",
        "Runtime exited with error: signal: killed",
    )
    assert "Runtime.OutOfMemory" in small_stack.logs("BehaveFunction", 4)


def test_a_function_within_its_memory_is_left_alone(small_stack: LocalStack) -> None:
    assert (
        small_stack.invoke("BehaveFunction", {"do": "allocate", "megabytes": 40, "seconds": 1})
        == 40
    )


def test_an_answer_above_lambdas_limit_is_an_error(
    small_stack: LocalStack, failure: Failure
) -> None:
    kind, message = failure(do="answer", size=RESPONSE_LIMIT)  # and two quotes
    assert kind == "Function.ResponseSizeTooLarge"
    assert "6291556 bytes" in message


def test_an_answer_just_within_lambdas_limit_is_delivered(small_stack: LocalStack) -> None:
    assert (
        len(small_stack.invoke("BehaveFunction", {"do": "answer", "size": RESPONSE_LIMIT - 2}))
        == RESPONSE_LIMIT - 2
    )


def test_import_errors_and_missing_handlers_are_named(failure: Failure) -> None:
    kind, message = failure("BrokenImportFunction")
    assert kind == "Runtime.ImportModuleError"
    assert "No module named 'there_is_no_such_module'" in message
    assert failure("MissingHandlerFunction") == (
        "Runtime.HandlerNotFound",
        "Handler 'nowhere' missing on module 'app'",
    )


def test_a_body_that_is_not_json_is_refused(small_stack: LocalStack) -> None:
    with pytest.raises(ClientError, match="InvalidRequestContentException"):
        small_stack.client("lambda").invoke(
            FunctionName=small_stack.resources["BehaveFunction"], Payload=b"{not json"
        )


def test_an_unknown_function_is_not_found(small_stack: LocalStack) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        small_stack.client("lambda").invoke(FunctionName="nobody", Payload=b"{}")


@pytest.mark.parametrize(
    ("attempts", "made"), [(1, 1), (3, 3), (9, 3)], ids=["at-once", "third-time", "given-up"]
)
def test_an_asynchronous_call_answers_at_once_and_is_tried_three_times(
    small_stack: LocalStack, attempts: int, made: int
) -> None:
    s3, bucket, name = (
        small_stack.client("s3"),
        small_stack.outputs["BucketName"],
        f"until-{attempts}",
    )

    def send(name: str, attempts: int) -> None:
        event = json.dumps({"do": "fail_until", "name": name, "attempts": attempts})
        answer = small_stack.client("lambda").invoke(
            FunctionName=small_stack.resources["BehaveFunction"],
            InvocationType="Event",
            Payload=event,
        )
        assert answer["StatusCode"] == 202
        assert answer["Payload"].read() == b""

    def count() -> int:
        return int(s3.list_objects_v2(Bucket=bucket, Prefix=f"attempts/{name}/")["KeyCount"])

    def given_up() -> int:
        return small_stack.logs("BehaveFunction", 10_000).count(
            "invocation given up after 3 attempts"
        )

    before = given_up()
    send(name, attempts)
    until(lambda: count() == made, f"attempt {made}")
    send(f"{name}-after", 9)
    until(lambda: given_up() > before + (attempts > made), "the end of a later call's retries")
    assert count() == made


def test_temporary_files_belong_to_one_worker_and_are_removed_with_it(
    small_stack: LocalStack, failure: Failure
) -> None:
    scratch = Path(small_stack.invoke("BehaveFunction", {"do": "write"}))
    assert scratch.exists()
    for _ in range(20):  # ends one idle worker at a time, in the end the one that wrote
        failure(do="kill")
        if not scratch.exists():
            break
    assert not scratch.parent.exists()


def test_an_image_function_runs_the_dockerfiles_command_from_its_folder(
    small_stack: LocalStack,
) -> None:
    assert small_stack.invoke("TrainFunction", {"checkpoint": "image", "rounds": 1}) == {
        "status": "complete",
        "round": 1,
    }


def test_an_alias_leads_to_a_published_version(small_stack: LocalStack) -> None:
    name = small_stack.resources["WebFunction"]
    event = json.dumps({"rawPath": "/assets"})
    answer = small_stack.client("lambda").invoke(FunctionName=name, Qualifier="live", Payload=event)
    assert answer["ExecutedVersion"] == "1"
    assert json.loads(answer["Payload"].read())["statusCode"] == 200


def test_functions_can_read_their_secrets(small_stack: LocalStack) -> None:
    assert small_stack.invoke("BehaveFunction", {"do": "secret"}) == {"token": "secret"}
