"""Does what its event asks: answers, waits, fails or crashes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3


class CustomError(Exception):
    pass


def handler(event, context):
    return globals()["do_" + event["do"]](event, context)


def do_echo(event, context):
    return {"event": event, "greeting": os.environ["GREETING"], "pid": os.getpid()}


def do_environment(event, context):
    return {"variables": dict(os.environ), "cwd": os.getcwd(), "path": sys.path}


def do_context(event, context):
    return {
        "function_name": context.function_name,
        "memory": context.memory_limit_in_mb,
        "remaining_ms": context.get_remaining_time_in_millis(),
        "arn": context.invoked_function_arn,
        "version": context.function_version,
        "request_id": context.aws_request_id,
    }


def do_raise(event, context):
    print("about to raise")
    raise CustomError("as asked")


def do_meet(event, context):
    """Ends when as many calls as asked for are at work at once."""
    folder = Path(event["folder"])
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < event["parties"]:
        time.sleep(0.01)
    return "met"


def do_hang_with_child(event, context):
    subprocess.Popen(["sleep", "300"])
    time.sleep(300)


def do_exit(event, context):
    os._exit(event["status"])


def do_kill(event, context):
    os.kill(os.getpid(), signal.SIGKILL)


def do_allocate(event, context):
    held = [bytearray(b"x" * (1 << 20)) for _ in range(event["megabytes"])]
    time.sleep(event.get("seconds", 300))
    return len(held)


def do_allocate_in_child(event, context):
    program = f"import time; held = b'x' * ({event['megabytes']} << 20); time.sleep(300)"
    return subprocess.run([sys.executable, "-c", program]).returncode


def do_answer(event, context):
    return "x" * event["size"]


def do_write(event, context):
    path = Path(os.environ["TMPDIR"]) / "scratch"
    path.write_text("x")
    return str(path)


def do_secret(event, context):
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["TOKEN_ARN"])
    return json.loads(secret["SecretString"])


def do_fail_until(event, context):
    """Leaves one object per attempt and fails until there are enough."""
    s3 = boto3.client("s3")
    prefix = f"attempts/{event['name']}/"
    done = s3.list_objects_v2(Bucket=os.environ["BUCKET"], Prefix=prefix).get("KeyCount", 0)
    s3.put_object(Bucket=os.environ["BUCKET"], Key=f"{prefix}{done}", Body=b"")
    if done + 1 < event["attempts"]:
        raise CustomError("not yet")
