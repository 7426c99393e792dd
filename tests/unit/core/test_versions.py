"""A computed value changes only together with its number in b3shared.core.versions."""

import golden
import numpy as np
import pytest
from golden import COMPUTED, differences, stored

from b3shared.core.versions import features_version_of


@pytest.mark.parametrize("name", COMPUTED)
def test_no_value_changes_under_the_same_number(name: str) -> None:
    version, compute = COMPUTED[name]
    number, values = stored(name)
    assert version == number, f"run `make golden`: the file is of {name} version {number}"
    changed = differences(values, compute())
    assert not changed, (
        f"{', '.join(changed)} changed: if that is intended, raise {name.upper()}_VERSION in "
        "b3shared/core/versions.py, run `make golden`, and say in the documents that models must "
        "be trained again"
    )


def test_the_sample_covers_findings_labels_events_and_renames() -> None:
    _, values = stored("features")
    found = " ".join(values["findings"])
    assert "duplicate" in found
    assert np.isfinite(values["v2_X"]).all(axis=1).sum() > 50
    assert set(values["direction_label"]) == {-1, 0, 1, 2}
    _, events = stored("detection")
    assert {"IRBR3 2023-01-25 reverse_split", "PETR4 2022-08-12 bonus"} <= set(
        events["found_events"]
    )
    assert "IRBR3 2023-01-25 reverse_split" in events["beside_a_list_events"]
    assert list(events["renames"])


@pytest.mark.parametrize("name", ["v2_X", "direction_X", "direction_label", "cleaned", "findings"])
def test_a_changed_value_is_detected(name: str) -> None:
    _, values = stored("features")
    changed = values | {name: values[name].copy()}
    flat = changed[name].reshape(-1)
    at = int(np.flatnonzero(np.isfinite(flat))[0]) if flat.dtype.kind == "f" else 0
    flat[at] = "other" if flat.dtype.kind == "U" else flat[at] + 1
    assert differences(values, changed) == [name]


def test_noise_of_floating_point_is_no_change() -> None:
    _, values = stored("features")
    assert differences(values, values | {"v2_X": values["v2_X"] * (1 + 1e-9)}) == []


def test_the_golden_file_is_not_rewritten_under_the_same_number(
    tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    monkeypatch.setattr(golden, "COMPUTED", {"features": (1, lambda: {"x": np.ones(3)})})
    assert golden.main() == 0
    monkeypatch.setattr(golden, "COMPUTED", {"features": (1, lambda: {"x": np.zeros(3)})})
    assert golden.main() == 1
    assert "raise FEATURES_VERSION above 1 first" in capsys.readouterr().out
    assert stored("features")[1]["x"].tolist() == [1, 1, 1]
    monkeypatch.setattr(golden, "COMPUTED", {"features": (2, lambda: {"x": np.zeros(3)})})
    assert golden.main() == 0
    assert stored("features")[0] == 2


@pytest.mark.parametrize(
    ("stored", "version"),
    [
        ({"features_version": 3}, 3),
        ({"feature_code": "0123456789abcdef"}, 1),
        ({"feature_code": "0123456789abcdef", "features_version": 2}, 2),
        ({"feature_code": ""}, None),
        ({"feature_code": None}, None),
        ({}, None),
    ],
    ids=["a number", "a hash", "both", "an empty hash", "no hash", "nothing"],
)
def test_documents_without_a_version_number_are_of_version_one(
    stored: dict, version: int | None
) -> None:
    assert features_version_of(stored) == version
