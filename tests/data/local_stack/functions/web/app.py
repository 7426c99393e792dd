"""Shows what the gateway made of a request, or answers whatever the request's body says."""

import json
import time


def handler(event, context):
    if event["rawPath"] != "/answer":
        return {
            "statusCode": 200,
            "headers": {"content-type": "application/json"},
            "body": json.dumps(event),
        }
    wanted = json.loads(event["body"])
    time.sleep(wanted.pop("sleep", 0))
    if "raise" in wanted:
        raise RuntimeError(wanted["raise"])
    return wanted.get("answer")
