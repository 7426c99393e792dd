"""A storage with registered versions, on a folder and on S3."""

import pytest
from moto import mock_aws

from b3shared.registry.key import ModelKey
from b3shared.registry.versions import Registry
from b3shared.storage import FolderStorage, S3Storage

RF = ModelKey("models", "rf")
LSTM = ModelKey("models", "lstm")
WHO = {"who": "maria", "why": "test"}


@pytest.fixture(params=["folder", "s3"])
def storage(request, tmp_path, monkeypatch):
    if request.param == "folder":
        yield FolderStorage(tmp_path / "storage")
        return

    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        storage = S3Storage("b3-test-bucket")
        storage._client.create_bucket(Bucket="b3-test-bucket")
        yield storage


@pytest.fixture
def folder_storage(tmp_path):
    return FolderStorage(tmp_path / "storage")


def register(storage, tmp_path, count=4, namespace="models", model_type="rf"):
    versions = []
    for number in range(count):
        file = tmp_path / "model"
        file.write_text(f"{model_type} {number}")
        versions.append(
            Registry(storage, namespace).register(model_type, [file], {"train_end": "2023-12-28"})
        )
    return versions
