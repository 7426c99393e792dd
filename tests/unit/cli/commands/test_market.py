"""``b3 market`` and the files beside the quotes: checked, then into the storage."""

from pathlib import Path

import pandas as pd
import pytest
from command_line import b3

from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.market.import_files import import_beside, import_files
from b3shared.storage import FolderStorage

FILES = {
    "cdi": "date,rate\n2023-12-27,0.00043739\n2023-12-28,0.00043739\n",
    "ibovespa": "date,close\n2023-12-28,134185.23\n",
    "sectors": "ticker,sector,subsector,segment,read\nPETR4,Petróleo,,,2023-12-28\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file of quotes with the files of the market beside it."""
    day = {"ticker": ["PETR4"], "date": pd.to_datetime(["2023-12-28"]), "close": [30.0]}
    write_parquet(pd.DataFrame(day | {"volume": [100]}), tmp_path / "quotes.parquet")
    for name, text in FILES.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_files_are_stored_and_listed(folder: Path) -> None:
    store = folder / "store"
    words = [f"--{name}={folder / name}.csv" for name in FILES]
    done = b3("--storage", str(store), "market", *words)
    assert done.returncode == 0, done.stderr
    assert "2 days, 2023-12-27 to 2023-12-28 (market/cdi.csv)" in done.stdout
    assert "1 tickers, read from 2023-12-28 to 2023-12-28" in done.stdout
    for name, text in FILES.items():
        assert (store / "market" / f"{name}.csv").read_text(encoding="utf-8") == text


def test_without_a_file_it_shows_what_a_run_would_use(folder: Path) -> None:
    quotes = str(folder / "quotes.parquet")
    done = b3("--storage", str(folder / "store"), "--quotes", quotes, "market")
    assert "1 days, 2023-12-28 to 2023-12-28 (ibovespa.csv beside the quotes)" in done.stdout
    (folder / "sectors.csv").unlink()
    assert (
        "market/sectors.csv   absent"
        in b3("--storage", str(folder / "store"), "--quotes", quotes, "market").stdout
    )


def test_of_faulty_files_none_is_stored(folder: Path) -> None:
    (folder / "bad.csv").write_text("date,close\n2023-12-28,0\n")
    words = ("--cdi", str(folder / "cdi.csv"), "--ibovespa", str(folder / "bad.csv"))
    refused = b3("--storage", str(folder / "store"), "market", *words)
    assert refused.returncode == 2
    assert refused.stderr.startswith("INVALID_MARKET: ")
    assert "bad.csv, row 2: close must be above 0, got '0'" in refused.stderr
    assert not (folder / "store" / "market").exists()

    absent = b3("--storage", str(folder / "store"), "market", "--cdi", str(folder / "no.csv"))
    assert absent.stderr.startswith("SOURCE_UNAVAILABLE: ")


def test_the_files_beside_quotes_go_with_them_into_the_storage_once(folder: Path) -> None:
    storage = FolderStorage(folder / "store")
    import_files(storage, {"market/cdi.csv": folder / "cdi.csv"})
    quotes = str(folder / "quotes.parquet")
    assert import_beside(storage, quotes) == ["market/ibovespa.csv", "market/sectors.csv"]
    assert import_beside(storage, quotes) == []

    done = b3("--storage", str(folder / "other"), "--quotes", quotes, "lake")
    assert done.returncode == 0, done.stderr
    assert f"{folder / 'other'}/market/cdi.csv" in done.stdout
