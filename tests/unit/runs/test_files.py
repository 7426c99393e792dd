"""The files of a run: their keys, and who reads and writes them."""

import re

import pytest
from paths import ROOT

from b3shared.core.errors import ArtifactCorruptError, ArtifactNotFoundError
from b3shared.params.steps import Step
from b3shared.runs.files import RunFiles, params_key, run_exists


def test_the_keys_of_a_run_stay_as_they_were_stored():
    files = RunFiles(None, "r1")
    assert params_key("r1") == "runs/r1/params.json"
    assert files.step_key(Step.LOAD_DATA) == "runs/r1/steps/load_data.json"
    assert files.step_key(Step.LOAD_DATA, "error") == "runs/r1/steps/load_data.error.json"
    assert files.artifact_prefix(Step.LOAD_DATA, "0123456789abcdef01") == (
        "runs/r1/load_data/0123456789abcdef"
    )


@pytest.mark.parametrize(
    ("typed", "owner"),
    [
        (r"""f?["']runs/""", "runs/files.py"),
        (r"or ALL\}\.|\.all\.|\}\.\{attempt", "runs/state_machine.py"),
    ],
    ids=["keys", "names"],
)
def test_a_key_s_or_a_name_s_format_is_written_in_one_module(typed, owner):
    package = ROOT / "b3shared"
    writers = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(typed, path.read_text(encoding="utf-8"))
    ]
    assert writers == [owner]


def test_a_run_exists_from_the_moment_it_is_created(storage, run):
    assert run_exists(storage, "r1")
    assert not run_exists(storage, "r2")


def test_uploads_of_two_attempts_do_not_overwrite_each_other(storage, run, tmp_path):
    files = RunFiles(storage, "r1")
    made = tmp_path / "made.bin"
    uploads = []
    for content in (b"one", b"two"):
        made.write_bytes(content)
        uploads.append(files.upload(files.artifact_prefix(Step.LOAD_DATA, "f" * 64), [made]))

    assert [storage.read(upload["made.bin"].key) for upload in uploads] == [b"one", b"two"]
    assert all(upload["made.bin"].bytes == 3 for upload in uploads)


def test_a_download_of_an_unknown_or_changed_artifact_is_refused(
    storage, run, finish_until, tmp_path
):
    finish_until(run, Step.LOAD_DATA)
    record = run.record(Step.LOAD_DATA)
    files = RunFiles(storage, "r1")
    with pytest.raises(ArtifactNotFoundError, match=r"made no 'other.bin', only load_data\.bin"):
        files.download(record, tmp_path / "target", ["other.bin"])

    storage.put(record.artifacts["load_data.bin"].key, b"changed")
    with pytest.raises(ArtifactCorruptError):
        files.download(record, tmp_path / "target", None)


def test_a_note_older_than_the_record_is_not_returned(storage, run, finish_until):
    files = RunFiles(storage, "r1")
    finish_until(run, Step.LOAD_DATA)
    record = run.record(Step.LOAD_DATA)
    for at, expected in (("2000-01-01", None), ("9999-01-01", {"at": "9999-01-01"})):
        files.write_note(Step.LOAD_DATA, "error", {"at": at})
        found = files.note_since(Step.LOAD_DATA, "error", record, files.present())
        assert found == expected
