"""Counts its calls per counter, one object each."""

import json
import os

import boto3


class TransientError(Exception):
    pass


def handler(event, context):
    s3, bucket = boto3.client("s3"), os.environ["BUCKET"]
    name = event.get("counter") or "uploads"
    prefix = f"counters/{name}/"
    count = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("KeyCount", 0) + 1
    s3.put_object(Bucket=bucket, Key=f"{prefix}{count}", Body=json.dumps(event).encode())
    if count <= event.get("fail_times", 0):
        raise TransientError(f"call {count}")
    return {"count": count}
