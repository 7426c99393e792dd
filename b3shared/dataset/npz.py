"""NumPy archives (``.npz``) whose arrays can be memory-mapped, and written a piece at a time.

They are what ``np.load`` reads. Arrays are stored as they are, each at a multiple of 64 bytes in
the file (as ``zipalign`` does it for Android), and two archives of the same arrays are equal to the
byte. No pickles.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
import numpy.typing as npt

from b3shared.core.arrays import Array

_ALIGNMENT = 64
_LOCAL_HEADER = 30
_ZIP64_FIELD = 20
_PADDING_ID = 0xD935  # the extra field that Android's zipalign uses for this
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Pieces:
    """A one-dimensional array that is written a piece at a time.

    Attributes:
        dtype: of every piece.
        length: number of values of all pieces.
        parts: the pieces, one-dimensional arrays.
    """

    dtype: npt.DTypeLike
    length: int
    parts: Iterable[Array]


def write_npz(path: Path, arrays: Mapping[str, Array | Pieces]) -> Path:
    """Write an archive and return its path.

    Raises:
        ValueError: An array holds Python objects, or pieces do not add up to their length.
    """
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for name, values in arrays.items():
            pieces = values if isinstance(values, Pieces) else None
            if np.dtype(values.dtype).hasobject:
                raise ValueError(f"{name} holds objects, not values")
            shape = (values.length,) if isinstance(values, Pieces) else np.shape(values)
            header = _npy_header(values.dtype, shape)

            member = ZipInfo(f"{name}.npy")
            member.extra = _padding(archive.start_dir, member.filename)
            with archive.open(member, "w", force_zip64=True) as file:
                file.write(header)
                written = 0
                for part in pieces.parts if pieces else [np.ascontiguousarray(values)]:
                    flat = np.ascontiguousarray(part, dtype=values.dtype).reshape(-1)
                    for begin in range(0, len(flat), _CHUNK):
                        file.write(flat[begin : begin + _CHUNK].tobytes())
                    written += len(flat)
            if pieces and written != pieces.length:
                raise ValueError(f"{name} must have {pieces.length} values, got {written}")
    return path


def map_npz(path: Path) -> dict[str, Array]:
    """Return the arrays of an archive of :func:`write_npz`, memory-mapped, read-only."""
    arrays: dict[str, Array] = {}
    with ZipFile(path) as archive, path.open("rb") as file:
        for member in archive.infolist():
            file.seek(member.header_offset + 26)
            name, extra = struct.unpack("<HH", file.read(4))
            file.seek(name + extra, 1)

            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read(file)

            key = member.filename.removesuffix(".npy")
            if dtype.hasobject:
                raise ValueError(f"{path}: {key} holds objects, not values")
            arrays[key] = (
                np.asarray(np.memmap(path, dtype, "r", file.tell(), shape))
                if np.prod(shape)
                else np.zeros(shape, dtype)
            )
    return arrays


def _npy_header(dtype: npt.DTypeLike, shape: tuple[int, ...]) -> bytes:
    out = BytesIO()
    described = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(out, described)
    return out.getvalue()


def _padding(offset: int, name: str) -> bytes:
    """Return a ZIP extra field that makes the member's data begin at a multiple of 64 bytes.

    NumPy's header inside is a multiple of 64 too, so the array's values are aligned.
    """
    before = offset + _LOCAL_HEADER + len(name.encode()) + _ZIP64_FIELD
    size = -(before + 4) % _ALIGNMENT
    return struct.pack("<HH", _PADDING_ID, size) + bytes(size)
