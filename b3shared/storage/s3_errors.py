"""Translates boto3's errors into those of this project, and repeats what S3 asks to repeat."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from b3shared.core.errors import B3Error, InvalidParameterError, SourceUnavailableError
from b3shared.storage.base import changed, missing

_RESENDS = 4
"""How often a conditional write is sent again after 409 ConditionalRequestConflict."""


class NotModifiedError(B3Error):
    """S3's answer 304; it never leaves this package."""


@contextmanager
def translated_errors(url: str, bucket: str, key: str) -> Iterator[None]:
    """Raise the project's error in place of boto3's, where there is one.

    Others, such as a missing permission, stay boto3's.

    Args:
        url: of the storage.
        bucket: its bucket.
        key: what the request is about.
    """
    from botocore.exceptions import ClientError

    try:
        yield
    except _unreachable() as error:
        raise SourceUnavailableError(
            f"{url} gave no complete answer about {key!r} ({type(error).__name__})", key=key
        ) from error
    except ClientError as error:
        if translated := _translated(error, url, bucket, key):
            raise translated from error
        raise


def _translated(error: Any, url: str, bucket: str, key: str) -> B3Error | None:
    """Return the project's error for a ClientError; None if there is none."""
    if error.response.get("Error", {}).get("Code") == "NoSuchBucket":
        return InvalidParameterError(f"there is no bucket {bucket!r}", bucket=bucket)

    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if status == 304:
        return NotModifiedError(key)
    if status == 404:
        return missing(url, key)
    if status in (409, 412):
        return changed(url, key)
    if status in (500, 502, 503, 504):
        return SourceUnavailableError(f"{url} answered {status} about {key!r}", key=key)
    return None


def with_resends(write: Callable[[], Any]) -> Any:
    """Return the answer to a conditional write, sent again while S3 asks for that.

    409 ConditionalRequestConflict is no lost race (412 is): another request about the key was under
    way, and may have failed. See "Conditional writes" in the user guide of Amazon S3.
    """
    from botocore.exceptions import ClientError

    for resends in range(_RESENDS):
        try:
            return write()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalRequestConflict":
                raise
            time.sleep(random.uniform(0, 0.1 * 2**resends))  # noqa: S311 - full jitter, no secret
    return write()


def torn_bodies() -> tuple[type[Exception], ...]:
    """Return the errors of reading a body whose connection breaks off."""
    from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError
    from urllib3.exceptions import ProtocolError

    return (IncompleteReadError, ReadTimeoutError, ResponseStreamingError, ProtocolError)


def _unreachable() -> tuple[type[Exception], ...]:
    """Return the errors of requests without a complete answer."""
    from boto3.exceptions import RetriesExceededError
    from botocore.exceptions import ConnectionError, HTTPClientError

    return (*torn_bodies(), ConnectionError, HTTPClientError, RetriesExceededError)
