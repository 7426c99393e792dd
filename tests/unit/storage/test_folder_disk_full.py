"""A folder storage on a full disk fails by name, and keeps what it had."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from small_disk import small_disk

from b3shared.core.errors import DiskFullError
from b3shared.storage import FolderStorage

OLD = b"old"
LARGE = os.urandom(2 << 20)

Write = Callable[[FolderStorage, Path], Any]
WRITES: dict[str, Write] = {
    "create": lambda storage, _file: storage.create("runs/new", LARGE),
    "put": lambda storage, _file: storage.put("runs/old", LARGE),
    "replace": lambda storage, _file: storage.replace("runs/old", LARGE, etag(storage)),
    "upload": lambda storage, file: storage.upload(file, "runs/old"),
}


def etag(storage: FolderStorage) -> str:
    found = storage.read_versioned("runs/old")
    assert found is not None
    return found[1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    return path


def check_unchanged(storage: FolderStorage) -> None:
    """Nothing is half-written: the keys, their content and the files are those before the write."""
    assert storage.list() == ["runs/old"]
    assert storage.read("runs/old") == OLD
    assert [path.name for path in Path(storage.url, "runs").iterdir()] == ["old"]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_that_does_not_fit_fails_by_name_and_changes_nothing(
    write: Write, file: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        storage = FolderStorage(disk / "store")
        storage.put("runs/old", OLD)
        with pytest.raises(DiskFullError, match=r"no space left .* of 1\.0 MiB") as caught:
            write(storage, file)

        assert caught.value.details["folder"] == storage.url
        check_unchanged(storage)
        storage.put("runs/small", b"fits")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_disk_that_is_full_when_the_file_is_flushed_is_named(
    write: Write, number: int, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = FolderStorage(tmp_path / "store")
    storage.put("runs/old", OLD)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", failing(number))
        with pytest.raises(DiskFullError, match="Make room there"):
            write(storage, file)
    check_unchanged(storage)


def test_a_disk_without_room_for_the_storages_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "mkdir", failing(errno.ENOSPC))
    with pytest.raises(DiskFullError) as caught:
        FolderStorage(tmp_path / "store").put("runs/new", b"x")
    assert caught.value.details["folder"] == str(tmp_path)


def test_other_errors_of_a_write_are_raised_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="failing") as caught:
        FolderStorage(tmp_path / "store").put("runs/new", b"x")
    assert caught.value.errno == errno.EIO


def failing(number: int) -> Callable[..., NoReturn]:
    def fail(*_arguments: object, **_options: object) -> NoReturn:
        raise OSError(number, "failing on purpose")

    return fail
