"""The files of a run in a storage: their keys, and how they are read and written.

``runs/<run_id>/params.json`` is created once and is the run's lock.
``runs/<run_id>/steps/<step>.json`` is a step's record, written after its artifacts.
``runs/<run_id>/steps/<step>.error.json`` and ``.progress.json`` are of an attempt since then.
"""

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from b3shared.core.errors import ArtifactCorruptError, ArtifactNotFoundError
from b3shared.core.serialization import from_json, to_json
from b3shared.params.steps import Step
from b3shared.runs.records import Artifact, Records, StepRecord
from b3shared.storage import Storage

Note = Literal["error", "progress"]
NOTES: tuple[Note, ...] = ("error", "progress")
"""What an attempt leaves behind besides its record."""


def run_prefix(run_id: str) -> str:
    """Return where the files of a run are."""
    return f"runs/{run_id}"


def params_key(run_id: str) -> str:
    """Return the key of a run's parameters."""
    return f"{run_prefix(run_id)}/params.json"


def run_exists(storage: Storage, run_id: str) -> bool:
    """Whether there is a run of this id."""
    return storage.exists(params_key(run_id))


def list_runs(storage: Storage) -> list[str]:
    """Return the ids of all runs, sorted."""
    return [name for name in storage.folders(run_prefix("")) if run_exists(storage, name)]


class RunFiles:
    """Reads and writes the files of one run.

    Args:
        storage: where it is.
        run_id: whose.
    """

    def __init__(self, storage: Storage, run_id: str) -> None:
        self.storage = storage
        self.run_id = run_id
        self.prefix = run_prefix(run_id)

    def step_key(self, step: Step, note: Note | None = None) -> str:
        """Return the key of a step's record, or of a note of its newest attempt."""
        suffix = f".{note}" if note else ""
        return f"{self.prefix}/steps/{step}{suffix}.json"

    def artifact_prefix(self, step: Step, input_hash: str) -> str:
        """Return where the artifacts go that a step makes of an input."""
        return f"{self.prefix}/{step}/{input_hash[:16]}"

    def present(self) -> set[str]:
        """Return the keys of the records and notes that exist."""
        return set(self.storage.list(f"{self.prefix}/steps/"))

    def record(self, step: Step) -> StepRecord | None:
        """Return what the last success of a step wrote, or None."""
        key = self.step_key(step)
        found = self.storage.read_versioned(key)
        try:
            return StepRecord.model_validate_json(found[0]) if found else None
        except ValidationError as error:
            raise ArtifactCorruptError(
                f"{key!r} is not a step's record: {error}", key=key
            ) from error

    def records(self, steps: Iterable[Step]) -> Records:
        """Return the records that exist of some steps."""
        return {step: record for step in steps if (record := self.record(step))}

    def write_record(self, record: StepRecord) -> None:
        """Store a record, then remove the notes of its attempt."""
        self.storage.put(self.step_key(record.step), to_json(record.model_dump(mode="json")))
        for note in NOTES:
            self.storage.delete(self.step_key(record.step, note))

    def write_note(self, step: Step, note: Note, document: dict[str, Any]) -> None:
        """Store a note, with its time under ``at``; InvalidParameterError if it is not JSON."""
        self.storage.put(self.step_key(step, note), to_json(document))

    def note_since(
        self, step: Step, note: Note, record: StepRecord | None, present: set[str]
    ) -> dict[str, Any] | None:
        """Return a note if it is newer than the step's record, or None.

        A step killed between writing its record and removing its notes leaves them behind.

        Args:
            step: whose.
            note: which.
            record: of the step, if any.
            present: the keys that exist.
        """
        key = self.step_key(step, note)
        found = self.storage.read_versioned(key) if key in present else None
        if found is None:
            return None
        document: dict[str, Any] = from_json(found[0], key)
        return document if record is None or document["at"] > record.finished_at else None

    def upload(self, prefix: str, files: Iterable[Path]) -> dict[str, Artifact]:
        """Store artifacts in a new folder under a prefix; return them by file name.

        The folder is the attempt's own: two attempts at the same step cannot overwrite what the
        other's record names.
        """
        folder = f"{prefix}/{secrets.token_hex(4)}"
        stored = {}
        for file in files:
            key = f"{folder}/{file.name}"
            digest = self.storage.upload(file, key)
            stored[file.name] = Artifact(key=key, sha256=digest, bytes=file.stat().st_size)
        return stored

    def download(self, record: StepRecord, target: Path, names: list[str] | None) -> None:
        """Write a step's artifacts (or only ``names``) into a folder, every hash checked.

        Raises:
            ArtifactNotFoundError: There is no artifact of that name, or it is gone.
            ArtifactCorruptError: A hash differs.
        """
        target.mkdir(parents=True, exist_ok=True)
        for name in record.artifacts if names is None else names:
            if name not in record.artifacts:
                made = ", ".join(sorted(record.artifacts))
                raise ArtifactNotFoundError(f"{record.step} made no {name!r}, only {made}")
            artifact = record.artifacts[name]
            self.storage.download(artifact.key, target / name, artifact.sha256)
