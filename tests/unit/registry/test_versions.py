"""Model versions are immutable, hashed, and complete or absent."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from b3shared.core.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    ConflictError,
    InvalidParameterError,
    UnknownModelError,
)
from b3shared.registry.versions import Registry
from b3shared.storage import FolderStorage


@pytest.fixture
def storage(tmp_path):
    return FolderStorage(tmp_path / "storage")


@pytest.fixture
def registry(storage):
    return Registry(storage, "models")


@pytest.fixture
def files(tmp_path):
    """Make local files of the given contents."""

    def files(**contents):
        folder = tmp_path / "local"
        folder.mkdir(exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return [folder / name for name in contents]

    return files


def test_a_version_is_named_after_its_last_date_and_its_content(registry, files):
    version = registry.register("rf", files(a=b"1", b=b"2"), {"train_end": "2023-12-28"})
    day, _, digest = version.partition("-")
    assert (day, len(digest)) == ("20231228", 8)
    assert registry.register("rf", files(a=b"1", b=b"3"), {"train_end": "2023-12-28"}) != version
    assert registry.register("rf", files(a=b"1", c=b"2"), {"train_end": "2023-12-28"}) != version
    assert (
        registry.register("rf", files(a=b"1", b=b"2"), {"train_end": "2023-12-29"})
        == f"20231229-{digest}"
    )


def test_the_manifest_keeps_the_given_fields_and_adds_the_stored_files(registry, files):
    version = registry.register(
        "random_forest",
        files(model=b"12345"),
        {"train_end": date(2023, 12, 28), "metrics": {"mcc": 0.1}},
    )
    manifest = registry.manifest("rf", version)

    assert manifest.pop("created_at").startswith("20")
    assert manifest == {
        "version": version,
        "model_type": "rf",
        "namespace": "models",
        "train_end": "2023-12-28",
        "metrics": {"mcc": 0.1},
        "files": {"model": {"sha256": hashlib.sha256(b"12345").hexdigest(), "bytes": 5}},
    }


def test_registering_the_same_content_again_is_the_same_version_and_changes_nothing(
    registry, files
):
    version = registry.register("rf", files(model=b"1"), {"train_end": "2023-12-28", "by": "first"})
    before = registry.manifest("rf", version)
    assert (
        registry.register("rf", files(model=b"1"), {"train_end": "2023-12-28", "by": "second"})
        == version
    )
    assert registry.manifest("rf", version) == before


def test_other_content_never_takes_the_place_of_a_version(registry, files, storage):
    version = registry.register("rf", files(model=b"1"), {"train_end": "2023-12-28"})
    key = f"models/models/rf/{version}/manifest.json"
    storage.put(
        key, storage.read(key).replace(hashlib.sha256(b"1").hexdigest().encode(), b"0" * 64)
    )  # as a collision would
    with pytest.raises(ConflictError, match=version):
        registry.register("rf", files(model=b"1"), {"train_end": "2023-12-28"})


def test_racing_registrations_of_one_model_agree_and_store_it_once(registry, files):
    local, gate = files(model=b"1"), threading.Barrier(8)

    def register(number):
        gate.wait()
        return registry.register("rf", local, {"train_end": "2023-12-28", "by": number})

    with ThreadPoolExecutor(8) as pool:
        versions = set(pool.map(register, range(8)))
    assert len(versions) == 1
    assert len(registry.versions("rf")) == 1


def test_versions_come_newest_first(registry, files):
    old = registry.register("rf", files(model=b"1"), {"train_end": "2022-12-28"})
    new = registry.register("rf", files(model=b"2"), {"train_end": "2023-12-28"})
    retrained = registry.register("rf", files(model=b"3"), {"train_end": "2022-12-28"})
    assert [m["version"] for m in registry.versions("rf")] == [new, retrained, old]
    assert registry.versions("lstm") == []


def test_a_version_whose_manifest_was_never_written_does_not_exist(registry, files):
    class Killed(BaseException):
        pass

    class DiesBeforeTheManifest(FolderStorage):
        def create(self, key, data):
            raise Killed(key)

    with pytest.raises(Killed, match="manifest"):
        Registry(DiesBeforeTheManifest(registry.storage.url), "models").register(
            "rf", files(model=b"1"), {"train_end": "2023-12-28"}
        )
    assert len(registry.storage.list()) == 1
    assert registry.versions("rf") == []
    assert registry.types() == []
    version = registry.register("rf", files(model=b"1"), {"train_end": "2023-12-28"})
    assert [m["version"] for m in registry.versions("rf")] == [version]


def test_types_and_namespaces_are_kept_apart(registry, storage, files):
    version = registry.register("lstm_mtl", files(model=b"1"), {"train_end": "2023-12-28"})
    registry.register("rf", files(model=b"2"), {"train_end": "2023-12-28"})
    assert registry.types() == ["lstm", "rf"]
    other = Registry(storage, "team-b")
    assert other.types() == []
    with pytest.raises(UnknownModelError):
        other.manifest("lstm", version)


def test_an_unknown_version_is_refused_naming_the_known_ones(registry, files, tmp_path):
    version = registry.register("rf", files(model=b"1"), {"train_end": "2023-12-28"})
    for unknown in ("20200101-00000000", "../rf", "", version + "\n"):
        with pytest.raises(UnknownModelError, match=f"known are {version}") as caught:
            registry.manifest("rf", unknown)
        assert caught.value.details["known"] == [version]
        with pytest.raises(UnknownModelError):
            registry.fetch("rf", unknown, tmp_path / "out")
    with pytest.raises(UnknownModelError, match="known are none"):
        registry.manifest("lstm", version)


def test_fetch_brings_every_file_and_the_manifest(registry, files, tmp_path):
    version = registry.register("rf", files(model=b"1", card=b"2"), {"train_end": "2023-12-28"})
    folder = registry.fetch("random_forest", version, tmp_path / "out")
    assert folder == tmp_path / "out" / version
    assert {p.name for p in folder.iterdir()} == {"model", "card", "manifest.json"}
    assert (folder / "model").read_bytes() == b"1"


@pytest.mark.parametrize("damage", ["change", "delete"])
def test_a_damaged_version_is_refused_and_never_looks_complete(
    registry, files, storage, tmp_path, damage
):
    version = registry.register("rf", files(model=b"1"), {"train_end": "2023-12-28"})
    key = f"models/models/rf/{version}/model"
    storage.put(key, b"tampered") if damage == "change" else storage.delete(key)
    with pytest.raises(ArtifactCorruptError, match="model"):
        registry.fetch("rf", version, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.json"))


@pytest.mark.parametrize(
    ("manifest", "word"),
    [
        ({}, "train_end must be an ISO date"),
        ({"train_end": "28/12/2023"}, "28/12/2023"),
        ({"train_end": "2023-12-28", "loss": float("inf")}, "not JSON"),
        ({"train_end": "2023-12-28", "when": date(2020, 1, 1)}, "not JSON"),
    ],
)
def test_a_manifest_that_cannot_be_kept_is_refused_before_anything_is_written(
    registry, files, storage, manifest, word
):
    with pytest.raises(InvalidParameterError, match=word):
        registry.register("rf", files(model=b"1"), manifest)
    assert storage.list() == []


def test_files_that_cannot_be_kept_are_refused_before_anything_is_written(
    registry, files, storage, tmp_path
):
    local = files(model=b"1", other=b"2")
    (tmp_path / "manifest.json").write_text("{}")
    for unfit, error in (
        ([], InvalidParameterError),
        ([*local, tmp_path / "elsewhere" / "model"], InvalidParameterError),
        ([*local, tmp_path / "manifest.json"], InvalidParameterError),
        ([*local, tmp_path / "absent"], ArtifactNotFoundError),
    ):
        with pytest.raises(error):
            registry.register("rf", unfit, {"train_end": "2023-12-28"})
    assert storage.list() == []


def test_an_unknown_type_or_a_malformed_namespace_is_refused(registry, storage, files):
    with pytest.raises(
        InvalidParameterError, match="must be one of rf, random_forest, lstm, lstm_mtl"
    ):
        registry.register("svm", files(model=b"1"), {"train_end": "2023-12-28"})
    for namespace in ("", "UP", "a/b", "a" * 33, "a\n"):
        with pytest.raises(InvalidParameterError, match="model_dir"):
            Registry(storage, namespace)
