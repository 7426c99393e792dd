"""Archives that NumPy reads and that can be mapped, written whole or in pieces."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from b3shared.dataset.npz import Pieces, map_npz, write_npz

ARRAYS = st.one_of(
    arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=9))
    for dtype in (np.float64, np.float32, np.int8, np.int32, np.bool_, "datetime64[D]", "U5")
)
NAMES = st.text("abcdefghij_", min_size=1, max_size=70)


@settings(max_examples=60, deadline=None)
@given(columns=st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=6))
def test_numpy_and_map_npz_read_equal_arrays_and_mapped_ones_are_aligned(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, np.ndarray]
) -> None:
    path = write_npz(tmp_path_factory.mktemp("npz") / "a.npz", columns)
    mapped = map_npz(path)
    with np.load(path, allow_pickle=False) as stored:
        assert stored.files == list(mapped) == list(columns)
        for name, values in columns.items():
            for found in (stored[name], mapped[name]):
                assert found.dtype == values.dtype
                np.testing.assert_array_equal(found, values)
            assert not values.size or mapped[name].ctypes.data % 64 == 0
            assert not values.size or not mapped[name].flags.writeable


def test_an_archive_written_in_pieces_has_the_bytes_of_one_written_whole(tmp_path: Path) -> None:
    values = np.arange(1_000_000, dtype=np.float64)
    whole = write_npz(tmp_path / "whole.npz", {"a": values, "b": values[:7]})
    parts = [values[:3], values[3:3], values[3:700_001], values[700_001:]]
    cut = write_npz(
        tmp_path / "cut.npz",
        {"a": Pieces("float64", 1_000_000, parts), "b": Pieces("float64", 7, [values[:7]])},
    )
    assert cut.read_bytes() == whole.read_bytes()


def test_pieces_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must have 4 values, got 3"):
        write_npz(tmp_path / "a.npz", {"a": Pieces("int8", 4, [np.zeros(3, dtype=np.int8)])})


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "pickled.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="objects"):
        map_npz(tmp_path / "pickled.npz")
    with pytest.raises(ValueError, match="objects"):
        write_npz(tmp_path / "a.npz", {"a": np.array([{}], dtype=object)})
