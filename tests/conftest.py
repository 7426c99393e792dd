"""Real quotes for every test: the bundled sample, and the larger development data if there."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from collection_clock import pytest_collection  # noqa: F401  # a hook
from hypothesis import settings
from paths import SHARED_DATA
from small_run import SMALL
from xdist.scheduler import LoadScopeScheduling

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.params.run import PipelineParams
from b3shared.quotes.loading.load import load_quotes
from b3shared.quotes.sources.parquet import ParquetSource

# The same examples on every run; HYPOTHESIS_PROFILE=explore looks for new counterexamples.
# No example has a deadline: a busy machine is no fault of the code.
settings.register_profile("repeat", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their parameter: their content may be a clock or of this machine."""
    return argname if isinstance(val, bytes) else None


class ByFileOrFolder(LoadScopeScheduling):
    """Gives a process whole files, and whole folders of tests/integration, which share a stack."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file.rpartition("/")[0] if file.startswith("tests/integration/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """How ``--numprocesses`` shares the tests out."""
    return ByFileOrFolder(config, log)


@pytest.fixture(scope="session")
def bundled() -> pd.DataFrame:
    """All bundled quotes, clean, sorted by ticker and date. Treat as read-only."""
    return load_quotes(ParquetSource(BUNDLED_QUOTES), PipelineParams()).frame


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the larger development data; the test is skipped where it is absent."""
    if not SHARED_DATA.exists():
        pytest.skip(
            f"{SHARED_DATA} is absent: the larger development data is not part of the repository"
        )
    return SHARED_DATA


@pytest.fixture(scope="session")
def eight(bundled: pd.DataFrame) -> pd.DataFrame:
    """The quotes of eight liquid tickers. Treat as read-only."""
    return bundled[bundled["ticker"].isin(SMALL["tickers"])].reset_index(drop=True)
