"""boto3 clients of the emulator: fixed region, account and credentials, never the user's own."""

import functools
import os
import threading
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

REGION = "sa-east-1"
ACCOUNT = "123456789012"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}

# boto3 sessions are not thread-safe while they make a client; the clients are.
_lock = threading.Lock()


@functools.cache
def session() -> boto3.Session:
    """Return a session that reads nothing of the user's AWS configuration."""
    nothing = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.Session(
        botocore_session=botocore.session.Session(session_vars=nothing), region_name=REGION
    )


@functools.cache
def _client(service: Any, endpoint: str, read_timeout: float) -> Any:
    config = Config(
        proxies={},
        read_timeout=read_timeout,
        connect_timeout=10,
        retries={"total_max_attempts": 1},
        max_pool_connections=50,
        s3={"addressing_style": "path"},
    )

    return session().client(
        service,
        endpoint_url=endpoint,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=config,
    )


def client(service: str, endpoint: str, read_timeout: float = 900.0) -> Any:
    """Return the boto3 client of a service at an emulator's endpoint, made once.

    Args:
        service: boto3's name of the service.
        endpoint: The emulator's address, such as ``http://127.0.0.1:41231``.
        read_timeout: Seconds to wait for an answer; a synchronous invocation may take Lambda's 15
            minutes.
    """
    with _lock:
        return _client(service, endpoint, read_timeout)


def isolate_from_user(environ: dict[str, str] | None = None) -> dict[str, str]:
    """Return an environment with the emulator's AWS settings in place of the user's.

    Args:
        environ: The environment to start from; this process's own by default.
    """
    kept = {
        k: v
        for k, v in (os.environ if environ is None else environ).items()
        if not k.upper().startswith("AWS_")
    }

    return (
        kept
        | CREDENTIALS
        | {
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": _without_proxy(kept),
            "no_proxy": _without_proxy(kept),
        }
    )


def _without_proxy(environ: dict[str, str]) -> str:
    hosts = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    return ",".join(["127.0.0.1", "localhost", *filter(None, hosts.split(","))])
