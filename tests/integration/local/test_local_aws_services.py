"""State machine, buckets, schedules and the rest of a deployed template, through boto3."""

import json
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import moto
import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.utils import boto_client
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from waiting import until

from infra.local import LocalStack
from infra.local.moto_patches import (
    MOTO_VERSION,
    share_clients,
    start_executions_one_at_a_time,
)


def run(stack: LocalStack, **given: Any) -> dict[str, Any]:
    """One execution of the state machine, to its end."""
    machine = stack.client("stepfunctions")
    arn = machine.start_execution(
        stateMachineArn=stack.outputs["PipelineArn"], input=json.dumps(given)
    )["executionArn"]
    return finished(stack, arn)


def finished(stack: LocalStack, arn: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        state = stack.client("stepfunctions").describe_execution(executionArn=arn)
        return None if state["status"] == "RUNNING" else dict(state)

    return dict(until(ended, f"the end of {arn}"))


def objects(stack: LocalStack, prefix: str) -> list[dict[str, Any]]:
    s3, bucket = stack.client("s3"), stack.outputs["BucketName"]
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return [
        json.loads(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
        for found in listed
    ]


def eventually(get: Callable[[], Any], wanted: int) -> Any:
    """What ``get`` lists once it lists as much as wanted."""
    return until(lambda: found if len(found := get()) >= wanted else None, f"{wanted} of them")


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex[:8]


def test_moto_is_of_the_version_that_the_patches_were_written_for() -> None:
    assert moto.__version__ == MOTO_VERSION


class TestStateMachine:
    def test_training_is_called_again_while_it_is_partial(
        self, small_stack: LocalStack, name: str
    ) -> None:
        state = run(small_stack, run=name, fail_times=0, rounds=3)
        assert state["status"] == "SUCCEEDED"
        assert json.loads(state["output"])["trained"] == {"status": "complete", "round": 3}

    def test_a_task_is_retried_by_the_name_of_its_exception(
        self, small_stack: LocalStack, name: str
    ) -> None:
        state = run(small_stack, run=name, fail_times=1, rounds=1)
        assert state["status"] == "SUCCEEDED"
        assert json.loads(state["output"])["counted"] == {"count": 2}

    def test_a_task_that_keeps_failing_is_caught_and_named(
        self, small_stack: LocalStack, name: str
    ) -> None:
        state = run(small_stack, run=name, fail_times=9, rounds=1)
        assert (state["status"], state["error"]) == ("FAILED", "TransientError")
        assert json.loads(state["cause"])["errorMessage"] == "call 3"

    def test_substitutions_are_text_so_that_numbers_stay_numbers(
        self, small_stack: LocalStack
    ) -> None:
        arn = small_stack.outputs["PipelineArn"]
        machine = small_stack.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
        count = json.loads(machine["definition"])["States"]["Count"]
        assert count["TimeoutSeconds"] == 20
        assert count["Parameters"]["FunctionName"].endswith(
            ":function:" + small_stack.resources["CounterFunction"]
        )

    def test_unnamed_executions_get_names_of_their_own(
        self, small_stack: LocalStack, name: str
    ) -> None:
        first, second = (
            run(small_stack, run=f"{name}-{n}", fail_times=0, rounds=1) for n in range(2)
        )
        assert first["name"] != second["name"]
        assert "None" not in (first["name"], second["name"])

    def test_a_name_is_taken_once(self, small_stack: LocalStack, name: str) -> None:
        machine, arn = small_stack.client("stepfunctions"), small_stack.outputs["PipelineArn"]
        given = json.dumps({"run": name, "fail_times": 0, "rounds": 1})
        finished(
            small_stack,
            machine.start_execution(stateMachineArn=arn, name=name, input=given)["executionArn"],
        )
        with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
            machine.start_execution(stateMachineArn=arn, name=name, input=given)

    @pytest.mark.parametrize("inputs", [1, 8], ids=["same-input", "other-inputs"])
    def test_simultaneous_starts_of_a_name_start_one_execution(
        self, small_stack: LocalStack, name: str, inputs: int
    ) -> None:
        machine, arn = small_stack.client("stepfunctions"), small_stack.outputs["PipelineArn"]
        gate = threading.Barrier(8)

        def start(number: int) -> str | None:
            given = {"run": f"{name}-{number % inputs}", "fail_times": 0, "rounds": 3}
            gate.wait()
            with suppress(machine.exceptions.ExecutionAlreadyExists):
                started = machine.start_execution(
                    stateMachineArn=arn, name=name, input=json.dumps(given)
                )
                return str(started["executionArn"])
            return None

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(start, range(8)))

        assert len({answer for answer in answers if answer}) == 1
        assert answers.count(None) == inputs - 1
        listed = machine.list_executions(stateMachineArn=arn)["executions"]
        assert [found["name"] for found in listed].count(name) == 1

    def test_executions_are_started_one_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        met = threading.Barrier(2)

        def plain(self: Any) -> bool:
            """Whether another start is under way at the same time."""
            try:
                met.wait(timeout=0.2)
            except threading.BrokenBarrierError:
                return False
            return True

        monkeypatch.setattr(StepFunctionsParserBackend, "start_execution", plain)
        start: Any = StepFunctionsParserBackend
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(lambda _: start.start_execution(None), range(2))) == [True] * 2
            start_executions_one_at_a_time(SimpleNamespace())
            assert list(pool.map(lambda _: start.start_execution(None), range(2))) == [False] * 2

    def test_tasks_use_one_client_per_service(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(boto_client, "boto3", None)  # put back afterwards
        asked: list[str] = []
        share_clients(SimpleNamespace(client=asked.append))  # all of a host that it needs
        boto_client.boto_client_for(region="sa-east-1", service="lambda")
        assert asked == ["lambda"]

    def test_ten_simultaneous_executions_do_not_affect_each_other(
        self, small_stack: LocalStack, name: str
    ) -> None:
        machine, arn = small_stack.client("stepfunctions"), small_stack.outputs["PipelineArn"]
        given = [
            json.dumps({"run": f"{name}-{n}", "fail_times": 0, "rounds": 1}) for n in range(10)
        ]
        started = [
            machine.start_execution(stateMachineArn=arn, input=text)["executionArn"]
            for text in given
        ]
        assert {finished(small_stack, arn)["status"] for arn in started} == {"SUCCEEDED"}


class TestBucket:
    @pytest.fixture
    def bucket(self, small_stack: LocalStack) -> str:
        return small_stack.outputs["BucketName"]

    def test_create_only_writes_win_once(
        self, small_stack: LocalStack, bucket: str, name: str
    ) -> None:
        s3 = small_stack.client("s3")
        s3.put_object(Bucket=bucket, Key=name, Body=b"1", IfNoneMatch="*")
        with pytest.raises(ClientError, match="PreconditionFailed"):
            s3.put_object(Bucket=bucket, Key=name, Body=b"2", IfNoneMatch="*")

    def test_compare_and_swap_refuses_a_stale_tag(
        self, small_stack: LocalStack, bucket: str, name: str
    ) -> None:
        s3 = small_stack.client("s3")
        stale = s3.put_object(Bucket=bucket, Key=name, Body=b"1")["ETag"]
        s3.put_object(Bucket=bucket, Key=name, Body=b"2", IfMatch=stale)
        with pytest.raises(ClientError, match="PreconditionFailed"):
            s3.put_object(Bucket=bucket, Key=name, Body=b"3", IfMatch=stale)
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == b"2"

    def test_the_bucket_has_the_properties_that_the_template_gives_it(
        self, small_stack: LocalStack, bucket: str
    ) -> None:
        s3 = small_stack.client("s3")

        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"

        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]

        assert block == dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"),
            True,
        )

        (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]

        assert (rule["ID"], rule["Filter"]["Prefix"], rule["Expiration"]["Days"]) == (
            "runs",
            "runs/",
            90,
        )
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
        assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}

    def test_a_tls_only_policy_does_not_lock_the_local_bucket(
        self, small_stack: LocalStack, bucket: str, name: str
    ) -> None:
        s3 = small_stack.client("s3")
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
        assert s3.head_object(Bucket=bucket, Key=name)["ContentLength"] == 1

    def test_an_upload_reaches_the_function_that_a_rule_names(
        self, small_stack: LocalStack, bucket: str, name: str
    ) -> None:
        before = len(objects(small_stack, "counters/uploads/"))
        small_stack.client("s3").put_object(Bucket=bucket, Key=f"inbox/{name}", Body=b"x")
        events = eventually(lambda: objects(small_stack, "counters/uploads/"), before + 1)
        assert f"inbox/{name}" in [event["object"]["key"] for event in events]


class TestEvents:
    def test_an_event_starts_the_state_machine_that_a_rule_names(
        self, small_stack: LocalStack, name: str
    ) -> None:
        detail = json.dumps({"run": name, "fail_times": 0, "rounds": 1})
        entry = {"Source": "test.pipeline", "DetailType": "Run", "Detail": detail}
        assert small_stack.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
        (given,) = eventually(lambda: objects(small_stack, f"counters/{name}/"), 1)
        assert given == {"counter": name, "fail_times": 0}

    def test_a_schedules_rule_does_not_answer_to_events(
        self, small_stack: LocalStack, name: str
    ) -> None:
        before = len(objects(small_stack, "counters/rule/"))
        detail = json.dumps({"run": name, "fail_times": 0, "rounds": 1})
        any_event = {"Source": name, "DetailType": "any", "Detail": "{}"}
        answered = {"Source": "test.pipeline", "DetailType": "Run", "Detail": detail}
        small_stack.client("events").put_events(Entries=[any_event, answered])
        eventually(
            lambda: objects(small_stack, f"counters/{name}/"), 1
        )  # the later event has had its effect
        assert len(objects(small_stack, "counters/rule/")) == before

    def test_a_schedule_fired_twice_runs_twice_with_its_own_input(
        self, small_stack: LocalStack
    ) -> None:
        moment = datetime(2026, 11, 1, 9, tzinfo=UTC)
        before = len(objects(small_stack, "counters/schedule/"))
        assert small_stack.fire_schedules("monthly", at=moment) == ["monthly-count"]
        eventually(lambda: objects(small_stack, "counters/schedule/"), before + 1)
        assert small_stack.fire_schedules("monthly", at=moment) == ["monthly-count"]
        given = eventually(lambda: objects(small_stack, "counters/schedule/"), before + 2)
        assert given[-1] == {"counter": "schedule", "note": "2026-11-01T09:00:00Z"}

    def test_scheduled_rules_and_state_machines_are_fired_too(
        self, small_stack: LocalStack
    ) -> None:
        rules, runs = (
            len(objects(small_stack, f"counters/{counter}/")) for counter in ("rule", "scheduled")
        )
        fired = small_stack.fire_schedules()
        assert {"monthly-count", "retrain", small_stack.resources["CounterFunctionWeekly"]} == set(
            fired
        )
        eventually(lambda: objects(small_stack, "counters/rule/"), rules + 1)
        eventually(lambda: objects(small_stack, "counters/scheduled/"), runs + 1)


class TestTemplate:
    def test_conditions_leave_resources_and_outputs_out(self, small_stack: LocalStack) -> None:
        assert "NeverBucket" not in small_stack.resources
        assert "NeverName" not in small_stack.outputs

    def test_layers_and_what_names_them_are_left_out(self, small_stack: LocalStack) -> None:
        assert "CommonLayer" not in small_stack.resources
        assert "Layer" not in small_stack.outputs

    def test_the_apis_address_is_the_local_one(self, small_stack: LocalStack) -> None:
        assert small_stack.outputs["ApiUrl"] == small_stack.api_url + "/"

    def test_names_are_the_same_after_every_start(self, small_stack: LocalStack) -> None:
        assert small_stack.outputs["BucketName"] == "local-databucket-0c129e44d7f3"

    def test_alarms_dashboards_log_groups_and_topics_exist(self, small_stack: LocalStack) -> None:
        (alarm,) = small_stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
        assert alarm["Dimensions"] == [
            {"Name": "StateMachineArn", "Value": small_stack.outputs["PipelineArn"]}
        ]
        assert small_stack.client("cloudwatch").list_dashboards()["DashboardEntries"]
        (group,) = small_stack.client("logs").describe_log_groups()["logGroups"]
        assert group["retentionInDays"] == 30
        assert [t["TopicArn"] for t in small_stack.client("sns").list_topics()["Topics"]] == [
            small_stack.resources["Alerts"]
        ]

    def test_an_image_function_has_the_package_type_image(self, small_stack: LocalStack) -> None:
        name = small_stack.resources["TrainFunction"]
        assert (
            small_stack.client("lambda").get_function_configuration(FunctionName=name)[
                "PackageType"
            ]
            == "Image"
        )
