"""The function that publishes the newest features: without a run, after a change of the lake."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from paths import ROOT
from predict_function import load

from b3shared.storage import FolderStorage

CONTEXT = SimpleNamespace(
    function_name="publish_serving",
    memory_limit_in_mb=512,
    invoked_function_arn="arn",
    aws_request_id="request-1",
)


def test_a_refresh_with_no_live_version_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B3_STORAGE", str(tmp_path))
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "publish_serving")
    app = load(ROOT / "functions" / "publish_serving" / "app.py")

    answer = app.handler({"refresh": True}, CONTEXT)

    assert answer["published"] is False
    assert answer["reason"].startswith("no version is live")
    assert FolderStorage(tmp_path).list() == []
