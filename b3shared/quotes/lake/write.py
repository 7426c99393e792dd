"""Writes a DataFrame of quotes into a lake, whole years at a time."""

from pathlib import Path

import pandas as pd

from b3shared.core.serialization import file_sha256
from b3shared.quotes.corporate_actions.history import current_events, with_revision
from b3shared.quotes.lake.lake import LAKE, Detected, Draft, Lake
from b3shared.quotes.lake.manifest import DETECTED, Manifest
from b3shared.quotes.lake.parquet import read_parquet, write_parquet
from b3shared.quotes.schema import DEFAULTS
from b3shared.storage import Storage


def write_lake(frame: pd.DataFrame, storage: Storage, prefix: str = LAKE) -> list[str]:
    """Write quotes into a lake, one file a year, and return the keys.

    A year that the quotes have is replaced as a whole; other years stay. Rows without a date go
    with the newest year, so that a load counts them. Columns that ``frame.attrs["missing"]`` says
    the source lacks are left out, because their values are defaults and no facts. Corporate actions
    that were detected in the old content of a year are withdrawn with it.
    """
    lake = Lake(storage, prefix)

    def draft(before: Manifest, folder: Path) -> Draft:
        years = _year_files(frame, folder)
        replaced = [
            year
            for year, path in years.items()
            if path and file_sha256(path) not in {f.sha256 for f in before.years.get(year, ())}
        ]
        return Draft(years, _detected_without(lake, before, replaced, folder))

    _, after = lake.change(draft)
    return _keys(lake, after, _years(frame))


def replace_lake(frame: pd.DataFrame, storage: Storage, prefix: str = LAKE) -> list[str]:
    """Make these quotes the lake's only ones, in one step, and return the keys.

    The files are those of :func:`write_lake`.
    """

    def draft(before: Manifest, folder: Path) -> Draft:
        return Draft(dict.fromkeys(before.years) | _year_files(frame, folder), forget=True)

    lake = Lake(storage, prefix)
    _, after = lake.change(draft)
    return _keys(lake, after, list(after.years))


def _detected_without(
    lake: Lake, before: Manifest, years: list[int], folder: Path
) -> Detected | None:
    """Return what was detected with the detections of some years withdrawn.

    Announcements and the user's own actions stay. None if that changes nothing.
    """
    named = zip(DETECTED, before.detected(), strict=True)
    files = {name: lake.fetch(file, folder) for name, file in named if file is not None}
    if len(files) < len(DETECTED):
        return None

    history = read_parquet(files["actions"])
    events = current_events(history)
    gone = events["date"].dt.year.isin(years) & (events["source"] == "detected")
    if not gone.any():
        return None

    kept = with_revision(history, events[~gone])
    files["actions"] = write_parquet(kept, folder / "actions-kept.parquet")
    return Detected(**files, rules=None)


def _years(frame: pd.DataFrame) -> list[int]:
    years = frame["date"].dt.year
    return [int(year) for year in sorted(years.fillna(years.max()).dropna().unique())]


def _year_files(frame: pd.DataFrame, folder: Path) -> dict[int, Path | None]:
    """Write the rows of every year to a file of its own, sorted by ticker and date."""
    years = frame["date"].dt.year
    missing = [name for name in frame.attrs.get("missing", ()) if _has_only_defaults(frame, name)]
    frame = frame.drop(columns=missing)

    files: dict[int, Path | None] = {}
    for year, rows in frame.groupby(years.fillna(years.max()), sort=True):
        ordered = rows.sort_values(["ticker", "date"], kind="stable")
        files[int(year)] = write_parquet(ordered, folder / f"{int(year)}.parquet")
    return files


def _has_only_defaults(frame: pd.DataFrame, column: str) -> bool:
    """Whether a column holds only what reading fills in for a source that lacks it."""
    if column not in frame:
        return False
    values = frame[column].dropna()
    return bool((values == float(DEFAULTS[column])).all() if column in DEFAULTS else values.empty)


def _keys(lake: Lake, manifest: Manifest, years: list[int]) -> list[str]:
    return [lake.prefix + file.key for year in years for file in manifest.years[year]]
