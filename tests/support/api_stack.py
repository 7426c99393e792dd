"""The origin that the test stack allows for its front end, and the stack's bucket."""

import pytest

from b3shared.storage import Storage, open_storage
from infra.local import LocalStack
from infra.local.aws import isolate_from_user

ORIGIN = "https://front.example"


def bucket(stack: LocalStack) -> Storage:
    """Return the stack's bucket.

    Its client is made under the stack's environment; then this process has its own again.
    """
    with pytest.MonkeyPatch.context() as shell:
        for name, value in (isolate_from_user() | {"AWS_ENDPOINT_URL": stack.aws_url}).items():
            shell.setenv(name, value)
        storage = open_storage(f"s3://{stack.outputs['BucketName']}")
        storage.exists("anything")
    return storage
