"""Sectors go with the served snapshot, and answers name them where they are known."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from served_store import TICKERS, register_tiny, serve, tiny_snapshot

from b3shared.api.schemas import AssetsAnswer, PredictAnswer
from b3shared.core.errors import ArtifactCorruptError
from b3shared.dataset.market import Sectors
from b3shared.pipeline.publish_snapshot import store_snapshot
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.registry.promotion import promote
from b3shared.serving.assets import list_assets
from b3shared.serving.live import Live
from b3shared.serving.predictor import Predictor
from b3shared.serving.snapshot import Snapshot
from b3shared.serving.trial import check_snapshot
from b3shared.storage import FolderStorage

READ = "2023-12-15"
ROW = f"PETR4,Petróleo e Gás,Petróleo,,{READ}"


def classified() -> Snapshot:
    """A snapshot of which PETR4 alone has a sector, and no segment."""
    texts = np.array(["Petróleo e Gás"])
    table = Sectors(
        np.array(["PETR4"]),
        texts,
        np.array(["Petróleo"]),
        np.array([""]),
        np.array([READ], "M8[D]"),
    )
    return replace(tiny_snapshot(), sectors=table.of(np.array(TICKERS)))


def answers_of(snapshot: Snapshot, tmp_path: Path) -> Predictor:
    storage = FolderStorage(tmp_path / "store")
    version = register_tiny(storage, tmp_path / "model", 1)
    promote(storage, "models", "rf", version, who="test", why="test")
    serve(storage, snapshot, tmp_path / "snapshot")
    live = Live(storage, moment=60, cold=60)
    live.refresh()
    return Predictor(live, today=lambda: date(2023, 12, 29))


def test_an_answer_names_the_sector_and_the_day_on_which_it_was_read(tmp_path: Path) -> None:
    predictor = answers_of(classified(), tmp_path)
    answer: dict[str, Any] = predictor.predict("PETR4", "rf")
    assert answer["sector"] == {
        "sector": "Petróleo e Gás",
        "subsector": "Petróleo",
        "segment": None,
        "read": READ,
    }
    assert f"Sector: Petróleo e Gás (as of {READ})." in answer["explanation"]["summary"]
    PredictAnswer.model_validate(answer)

    other = predictor.predict("VALE3", "rf")
    assert other["sector"] is None
    assert "Sector" not in other["explanation"]["summary"]


def test_a_snapshot_without_sectors_stays_answerable(tmp_path: Path) -> None:
    snapshot = tiny_snapshot()
    assert snapshot.sectors is None
    answer = answers_of(snapshot, tmp_path).predict("PETR4", "rf")
    assert answer["sector"] is None
    PredictAnswer.model_validate(answer)


def test_the_list_of_tickers_has_what_is_known_and_null_else() -> None:
    page = list_assets(classified(), "petr")
    AssetsAnswer.model_validate(page)
    first, second = page["assets"]
    assert (first["ticker"], first["sector"], first["segment"]) == ("PETR3", None, None)
    assert (second["sector"], second["subsector"]) == ("Petróleo e Gás", "Petróleo")
    assert second["segment"] is None
    assert list_assets(tiny_snapshot(), "petr4")["assets"][0]["sector"] is None


def test_a_snapshot_whose_sectors_are_of_other_tickers_is_not_served() -> None:
    snapshot = classified()
    assert snapshot.sectors is not None
    check_snapshot(snapshot)
    short = replace(snapshot.sectors, sector=snapshot.sectors.sector[:2])
    with pytest.raises(ArtifactCorruptError, match="sectors are not one for each"):
        check_snapshot(replace(snapshot, sectors=short))


@pytest.fixture(scope="module")
def quotes(eight: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Quotes of the newest year and a half in a folder of their own."""
    folder = tmp_path_factory.mktemp("quotes")
    return write_parquet(eight[eight["date"] >= "2022-07-01"], folder / "quotes.parquet")


def published(
    storage: FolderStorage, quotes: Path, folder: Path
) -> tuple[dict[str, Any], Snapshot]:
    served = [{"model_type": "rf", "params": {"lookback": 1, "min_turnover": 2e6, "max_gap": 5}}]
    about = store_snapshot(storage, ParquetSource(quotes), served, folder)
    return about, Snapshot.load(storage.download(about["snapshot"], folder / "loaded.npz"))


def test_publishing_takes_the_sectors_of_the_storage(quotes: Path, tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "store")
    bare, without = published(storage, quotes, tmp_path)
    assert without.sectors is None

    header = "ticker,sector,subsector,segment,read\n"
    storage.put("market/sectors.csv", f"{header}{ROW}\n".encode())
    about, snapshot = published(storage, quotes, tmp_path)
    assert about["snapshot"] != bare["snapshot"]
    assert snapshot.sectors is not None
    known = dict(zip(snapshot.ticker.tolist(), snapshot.sectors.sector.tolist(), strict=True))
    assert {ticker: name for ticker, name in known.items() if name} == {"PETR4": "Petróleo e Gás"}

    storage.put("market/sectors.csv", f"{header}{ROW}\n{ROW}\n".encode())
    about, snapshot = published(storage, quotes, tmp_path)
    assert snapshot.sectors is None
    assert "row 3: ticker must stand once" in about["sectors"]
