"""Writes a file of COTAHIST that a test has damaged, and reads it."""

import io
import zipfile
from pathlib import Path

import cotahist_maker as maker
import pandas as pd

from b3shared.quotes.cotahist.archive import Limits
from b3shared.quotes.cotahist.reader import CotahistFile, CotahistReport

SOUND = maker.text(
    [maker.record("PETR4"), maker.record("VALE3"), maker.record("PETR4F", market="020")]
)


def read(
    path: Path, *, partial: bool = False, limits: Limits | None = None
) -> tuple[pd.DataFrame, CotahistReport]:
    with CotahistFile.open(path, partial=partial, limits=limits) as file:
        frames = list(file.chunks(1 << 20))
        return pd.concat(frames, ignore_index=True), file.report


def write(folder: Path, data: bytes, name: str = "COTAHIST_A2020.TXT") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def changed(record: str, at: int, by: str) -> str:
    return record[:at] + by + record[at + len(by) :]


def zip_of(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()
