"""An S3 bucket as a storage."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, override
from uuid import uuid4

from b3shared.core.errors import (
    ArtifactNotFoundError,
    ConflictError,
    InvalidParameterError,
)
from b3shared.storage.base import (
    Keys,
    Storage,
    check_folder,
    check_prefix,
    checked,
    is_key,
    missing,
)
from b3shared.storage.s3_errors import (
    NotModifiedError,
    torn_bodies,
    translated_errors,
    with_resends,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Timeouts:
    """How long a storage waits for S3.

    Attributes:
        connect: seconds to establish a connection.
        read: seconds without data within an answer.
        attempts: how often a request is made, the first time included.
    """

    connect: float
    read: float
    attempts: int


PATIENT = Timeouts(connect=5, read=60, attempts=5)
"""For the pipeline: a step lasts minutes, and losing it costs more than waiting."""
IMPATIENT = Timeouts(connect=0.5, read=2, attempts=1)
"""For predict: its caller waits, and the model in memory can serve a while longer."""


class S3Storage(Storage):
    """A bucket, or a prefix in one.

    boto3 finds the endpoint (``AWS_ENDPOINT_URL``), the region and the credentials. Every method
    raises SourceUnavailableError if S3 cannot be reached, or breaks off its answer.
    """

    def __init__(self, bucket: str, prefix: str = "", timeouts: Timeouts = PATIENT) -> None:
        if not _BUCKET.fullmatch(bucket):
            raise InvalidParameterError(
                f"bucket must be 3 to 63 characters of a-z, 0-9, '.' and '-', got {bucket!r}"
            )
        self._bucket = bucket
        self._timeouts = timeouts
        self._prefix = f"{checked(prefix.strip('/'))}/" if prefix.strip("/") else ""

    @property
    @override
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @override
    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        try:
            return self._get(key)
        except ArtifactNotFoundError:
            return None

    @override
    def read_if_changed(self, key: str, etag: str) -> tuple[bytes, str] | None:
        try:
            return self._get(key, IfNoneMatch=etag)
        except NotModifiedError:
            return None

    @override
    def create(self, key: str, data: bytes) -> str:
        return self._put_if(key, data, IfNoneMatch="*")

    @override
    def replace(self, key: str, data: bytes, etag: str) -> str:
        try:
            return self._put_if(key, data, IfMatch=etag)
        except ArtifactNotFoundError as error:
            raise ConflictError(
                f"{key!r} in {self.url} was deleted by another writer", key=key
            ) from error

    @override
    def put(self, key: str, data: bytes) -> str:
        with self._translated(key):
            answer = self._client.put_object(Bucket=self._bucket, Key=self._key(key), Body=data)
        return self._etag(key, answer)

    @override
    def exists(self, key: str) -> bool:
        return self._head(key) is not None

    @override
    def list(self, prefix: str = "") -> Keys:
        check_prefix(prefix)
        start = len(self._prefix)
        keys = [
            item["Key"][start:] for page in self._pages(prefix) for item in page.get("Contents", [])
        ]
        return sorted(key for key in keys if is_key(key))

    @override
    def folders(self, prefix: str = "") -> Keys:
        check_folder(prefix)
        pages = self._pages(prefix, Delimiter="/")
        paths = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]
        names = [path.rstrip("/").rpartition("/")[2] for path in paths]
        return sorted(name for name in names if is_key(name))

    @override
    def delete(self, key: str) -> None:
        with self._translated(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(key))

    @override
    def sha256(self, key: str) -> str:
        digest = hashlib.sha256()
        with self._translated(key):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key(key))
            for chunk in answer["Body"].iter_chunks(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    def _send(self, path: Path, key: str) -> None:
        # upload_file would hide S3's error in another.
        with self._translated(key), path.open("rb") as file:
            self._client.upload_fileobj(file, self._bucket, self._key(key))

    def _receive(self, key: str, path: Path) -> None:
        from boto3.s3.transfer import TransferConfig

        config = TransferConfig(num_download_attempts=self._timeouts.attempts)
        with self._translated(key):
            self._client.download_file(self._bucket, self._key(key), str(path), Config=config)

    @cached_property
    def _client(self) -> "S3Client":
        # Imported and made on first use: a process that only uses folders never pays for it. A
        # session of its own, because boto3's default one must not be shared between threads that
        # are making clients.
        from boto3.session import Session
        from botocore.config import Config

        config = Config(
            retries={"mode": "standard", "total_max_attempts": self._timeouts.attempts},
            connect_timeout=self._timeouts.connect,
            read_timeout=self._timeouts.read,
        )
        return Session().client("s3", config=config)

    def _key(self, key: str) -> str:
        return self._prefix + checked(key)

    def _get(self, key: str, **condition: Any) -> tuple[bytes, str]:
        """Return content and etag, and read a body that breaks off again.

        boto3 repeats a request, but not the reading of its body.
        """
        with self._translated(key):
            for left in reversed(range(self._timeouts.attempts)):
                answer = self._client.get_object(
                    Bucket=self._bucket, Key=self._key(key), **condition
                )
                try:
                    return answer["Body"].read(), answer["ETag"]
                except torn_bodies():
                    if not left:
                        raise
        raise AssertionError("the last attempt returns or raises")

    def _head(self, key: str) -> Any:
        try:
            with self._translated(key):
                return self._client.head_object(Bucket=self._bucket, Key=self._key(key))
        except ArtifactNotFoundError:
            return None

    def _put_if(self, key: str, data: bytes, **condition: Any) -> str:
        # When the answer to a successful write is lost, boto3 sends it again and then loses against
        # itself. The token, new for every write, tells that from a race that another writer won.
        token = uuid4().hex
        write: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": self._key(key),
            "Body": data,
            "Metadata": {"write": token},
        }

        try:
            with self._translated(key):
                answer = with_resends(lambda: self._client.put_object(**write, **condition))
            return self._etag(key, answer)
        except ConflictError:
            head = self._head(key)
            if head is None or head["Metadata"].get("write") != token:
                raise
            return str(head["ETag"])

    def _etag(self, key: str, answer: Any) -> str:
        """Return the etag of a write; a service that leaves it out is asked for it."""
        if "ETag" in answer:
            return str(answer["ETag"])
        head = self._head(key)
        if head is None:
            raise missing(self.url, key)
        return str(head["ETag"])

    def _pages(self, prefix: str, **more: Any) -> "Iterator[Any]":
        with self._translated(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            yield from pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix, **more)

    def _translated(self, key: str) -> AbstractContextManager[None]:
        return translated_errors(self.url, self._bucket, key)
