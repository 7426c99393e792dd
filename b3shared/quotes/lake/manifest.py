"""The manifest of a lake: ``manifest.json``, which names the lake's files for all readers.

Files are immutable, and the manifest is one object that is changed by one compare-and-swap: a
change of many years commits together or not at all, and uncommitted files are never read.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from b3shared.core.errors import ArtifactCorruptError
from b3shared.core.serialization import from_json, to_json, utc_now
from b3shared.storage import Storage

KEY = "manifest.json"
SCHEMA = 1

DETECTED = ("actions", "renames", "coverage", "findings")
"""Names and folders of the files that are made from the quotes and the announcements."""

_YEAR_FILE = re.compile(r"year=(?P<year>[12]\d{3})/.+\.parquet")
_OWN_FILE = re.compile(
    r"(?:year=[12]\d{3}|actions|renames|coverage|findings)/(?P<sequence>\d{6,})-[0-9a-f]{16}\.parquet"
)


@dataclass(frozen=True)
class LakeFile:
    """One file of a lake.

    Attributes:
        key: relative to the lake's prefix.
        sha256: of its content; None for a file that a user put there before the lake had a
            manifest.
        rows: how many; None as above.
        first: ISO date of its first session; None as above, or where no row has a date.
        last: of its last one.
    """

    key: str
    sha256: str | None = None
    rows: int | None = None
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True)
class Manifest:
    """The files of a lake at one moment.

    Attributes:
        years: year -> its files; one after a write, perhaps more where a user put them there.
        actions: the corporate actions, all revisions of them; None if nobody looked for them.
        renames: the tickers that went on under another one; None as above.
        coverage: the days for which the dividends of each ticker are known; None as above.
        findings: what a person should look at; None as above.
        detected_from: hash of what these were made from (:func:`detection_hash`). If it differs
            from that of the current quotes, they are out of date, and hold until the next
            detection; None as above.
        sequence: number of changes so far.
        superseded: keys that the manifest before named and this one does not; kept for readers that
            still follow it.
        changed_at: when, ISO 8601 in UTC.
        etag: of the stored object; None for a lake without one, which consists of the files in its
            folders.
    """

    years: Mapping[int, tuple[LakeFile, ...]] = field(default_factory=dict)
    actions: LakeFile | None = None
    renames: LakeFile | None = None
    coverage: LakeFile | None = None
    findings: LakeFile | None = None
    detected_from: str | None = None
    sequence: int = 0
    superseded: tuple[str, ...] = ()
    changed_at: str | None = None
    etag: str | None = None

    def keys(self) -> set[str]:
        """Return every key that it names."""
        found = {file.key for files in self.years.values() for file in files}
        return found | {file.key for file in self.detected() if file}

    def detected(self) -> tuple[LakeFile | None, ...]:
        """Return the files that were made from the quotes, in the order of :data:`DETECTED`."""
        return tuple(getattr(self, name) for name in DETECTED)

    def content(self) -> str | None:
        """Return a hash of the content of all its files; None if the hash of one is unknown."""
        files = [file for files in self.years.values() for file in files]
        files += [file for file in self.detected() if file]
        if not all(file.sha256 for file in files):
            return None
        return hashlib.sha256(to_json([[file.key, file.sha256] for file in files])).hexdigest()

    def successor(
        self,
        years: Mapping[int, tuple[LakeFile, ...]],
        detected: Sequence[LakeFile | None],
        detected_from: str | None,
    ) -> "Manifest":
        """Return the manifest after a change; the same one if nothing differs.

        Args:
            years: year -> its files.
            detected: in the order of :data:`DETECTED`.
            detected_from: see :class:`Manifest`.
        """
        years = dict(sorted(years.items()))
        files: dict[str, Any] = dict(zip(DETECTED, detected, strict=True))
        after = replace(self, years=years, detected_from=detected_from, **files)
        if after == self:
            return self
        superseded = tuple(sorted(self.keys() - after.keys()))
        return replace(
            after, sequence=self.sequence + 1, superseded=superseded, changed_at=utc_now()
        )


def detection_hash(years: Mapping[int, tuple[LakeFile, ...]], rules: str) -> str:
    """Return a hash of the quotes and the rules that actions and renames are detected from."""
    quotes = {
        str(year): [file.sha256 or file.key for file in files] for year, files in years.items()
    }
    return hashlib.sha256(to_json([quotes, rules])).hexdigest()


def read_manifest(storage: Storage, prefix: str) -> Manifest:
    """Read the manifest of the lake under ``prefix`` (empty, or ending in '/').

    A lake without one consists of the files in its folders ``year=YYYY/``.
    """
    found = storage.read_versioned(prefix + KEY)
    if found is None:
        return _from_listing(storage, prefix)

    document = from_json(found[0], prefix + KEY)
    try:
        years = {
            int(year): tuple(LakeFile(**file) for file in files)
            for year, files in document["years"].items()
        }
        return Manifest(
            years=years,
            **{name: _file(document.get(name)) for name in DETECTED},
            detected_from=document.get("detected_from"),  # older manifests lack the field
            sequence=document["sequence"],
            superseded=tuple(document["superseded"]),
            changed_at=document["changed_at"],
            etag=found[1],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactCorruptError(
            f"{prefix + KEY!r} is not a lake's manifest: {error!r}", key=prefix + KEY
        ) from error


def _file(document: dict[str, Any] | None) -> LakeFile | None:
    return None if document is None else LakeFile(**document)


def commit(storage: Storage, prefix: str, manifest: Manifest) -> None:
    """Store a successor.

    Raises:
        ConflictError: Another writer changed the lake meanwhile.
    """
    document = {name: value for name, value in asdict(manifest).items() if name != "etag"}
    data = to_json(document | {"schema": SCHEMA})
    if manifest.etag is None:
        storage.create(prefix + KEY, data)
    else:
        storage.replace(prefix + KEY, data, manifest.etag)


def file_key(folder: str, sequence: int, sha256: str) -> str:
    """Return the key of a new file: its change's number and the hash of its content.

    The number makes it safe to tidy up: a file for a past change that no manifest names belongs to
    a writer that lost or died, however long that one took. With the hash alone it might be just the
    file that another writer is about to commit.
    """
    return f"{folder}/{sequence:06d}-{sha256[:16]}.parquet"


def sweep(storage: Storage, prefix: str, before: Manifest, after: Manifest) -> None:
    """Delete the files that no manifest names or will name.

    These are the files of the change before last, of lost races and of crashes.
    """
    kept = after.keys() | set(after.superseded)
    dead = {key for key in before.superseded if key not in kept}
    for key in storage.list(prefix):
        relative = key.removeprefix(prefix)
        own = _OWN_FILE.fullmatch(relative)
        if own and int(own["sequence"]) <= after.sequence and relative not in kept:
            dead.add(relative)

    for relative in sorted(dead):
        storage.delete(prefix + relative)


def _from_listing(storage: Storage, prefix: str) -> Manifest:
    """The manifest of a lake without one, from the files that a user put there."""
    years: dict[int, tuple[LakeFile, ...]] = {}
    for key in storage.list(prefix):
        relative = key.removeprefix(prefix)
        found = _YEAR_FILE.fullmatch(relative)
        if found and not _OWN_FILE.fullmatch(relative):
            year = int(found["year"])
            years[year] = (*years.get(year, ()), LakeFile(relative))
    return Manifest(years)
