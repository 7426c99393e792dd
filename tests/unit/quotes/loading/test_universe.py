"""A run trains on the kinds of paper that it names, and is served among the same kinds.

Its report says what it left out.
"""

from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from b3shared.core.errors import InvalidParameterError
from b3shared.core.vocabulary import SHARES, Instrument
from b3shared.features.build import build_features
from b3shared.params.run import PipelineParams
from b3shared.params.steps import STEP_PARAMS, Step
from b3shared.pipeline.serving_snapshot import build_snapshot
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.loading.load import load_quotes
from b3shared.quotes.loading.universe import in_instruments, select_instruments
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.registry.compatibility import Universe, universe_of, windows_name

KINDS: dict[str, tuple[str | None, str | None]] = {
    "ABEV3": ("02", "ON"),
    "ITUB4": ("02", "PN  EJ  N1"),
    "BPAC11": ("02", "UNT     N2"),
    "AAPL34": ("34", "DRN"),
    "BOVA11": ("14", "CI"),
    "HGLG11": ("12", "CI  ER"),
    "ABEV1": ("10", "DIR"),
    "XXXX3": (None, None),
    "YYYY4": ("02", None),
}


def of_kinds() -> pd.DataFrame:
    bdi, especi = zip(*KINDS.values(), strict=True)
    frame = pd.DataFrame(
        {"ticker": list(KINDS), "bdi_code": bdi, "type": especi, "date": pd.Timestamp("2023-01-02")}
    )
    frame.attrs["missing"] = ["avg"]
    return frame


@pytest.fixture(scope="module")
def with_fund(eight: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the quotes of eight tickers, one of them a real-estate fund, and the fund's ticker.

    The BDI code and ESPECI make it a fund.
    """
    fund = str(eight["ticker"].iloc[-1])
    own = eight["ticker"] == fund
    return eight.assign(
        bdi_code=eight["bdi_code"].mask(own, "12"), type=eight["type"].mask(own, "CI")
    ), fund


@pytest.fixture
def source(with_fund: tuple[pd.DataFrame, str], tmp_path: Path) -> ParquetSource:
    return ParquetSource(write_parquet(with_fund[0], tmp_path / "quotes.parquet"))


@pytest.mark.parametrize(
    ("instruments", "left"),
    [
        (SHARES, ["ABEV3", "ITUB4", "BPAC11", "XXXX3", "YYYY4"]),
        (("bdr", "fii"), ["AAPL34", "HGLG11", "XXXX3", "YYYY4"]),
        (("etf",), ["BOVA11", "XXXX3", "YYYY4"]),
        (("other",), ["ABEV1", "XXXX3", "YYYY4"]),
        (None, list(KINDS)),
    ],
)
def test_rows_of_the_named_kinds_and_of_unknown_kind_stay(
    instruments: tuple[str, ...] | None, left: list[str]
) -> None:
    frame = of_kinds()
    kept, findings = select_instruments(frame, instruments)
    assert kept["ticker"].tolist() == left
    assert kept.attrs == {"missing": ["avg"]}
    assert kept.index.tolist() == list(range(len(left)))
    assert sum(f.rows for f in findings) == len(KINDS) - len(left)


def test_rows_that_are_left_out_are_counted_and_named_with_their_kind() -> None:
    [finding] = select_instruments(of_kinds(), SHARES)[1]
    assert (finding.kind, finding.rows, finding.action) == ("other_instrument", 4, "dropped")
    assert finding.examples == ("AAPL34: bdr", "ABEV1: other", "BOVA11: etf", "HGLG11: fii")


def test_a_load_keeps_shares_by_default_and_reports_the_rest(
    source: ParquetSource, with_fund: tuple[pd.DataFrame, str]
) -> None:
    frame, fund = with_fund
    loaded = load_quotes(source, PipelineParams())
    assert fund not in set(loaded.frame["ticker"])
    assert loaded.report["tickers"] == 7
    assert loaded.report["dropped"]["other_instrument"] == (frame["ticker"] == fund).sum()
    assert load_quotes(source, PipelineParams(instruments=None)).report["tickers"] == 8


def test_a_ticker_that_was_asked_for_is_never_left_out_silently(
    source: ParquetSource, with_fund: tuple[pd.DataFrame, str]
) -> None:
    _, fund = with_fund
    share = str(with_fund[0]["ticker"].iloc[0])
    with pytest.raises(
        InvalidParameterError,
        match=f"{fund}: fii: not among instruments = ordinary, preferred, unit",
    ):
        load_quotes(source, PipelineParams(tickers=(fund, share)))
    assert (
        load_quotes(source, PipelineParams(tickers=(fund,), instruments=("fii",))).report["tickers"]
        == 1
    )


@pytest.mark.parametrize(
    "given", ["unit,ordinary,preferred", ["unit", "preferred", "ordinary", "unit"], SHARES]
)
def test_the_order_and_form_in_which_kinds_are_named_does_not_matter(given: object) -> None:
    assert PipelineParams.from_values(instruments=given).instruments == SHARES


@pytest.mark.parametrize("given", ["shares", ["ordinary", "option"], [], 3])
def test_an_unknown_kind_or_an_empty_list_is_refused(given: object) -> None:
    with pytest.raises(InvalidParameterError, match="instruments"):
        PipelineParams.from_values(instruments=given)


def test_the_kinds_belong_to_the_load_and_are_part_of_its_record() -> None:
    assert "instruments" in STEP_PARAMS[Step.LOAD_DATA]
    assert PipelineParams().owned_by(Step.LOAD_DATA)["instruments"] == list(SHARES)


def test_each_universe_has_a_name_of_its_own_and_old_versions_keep_theirs() -> None:
    every = [None, SHARES, ("ordinary",), ("bdr",), get_args(Instrument)]
    names = [windows_name("v2", Universe(2e6, None, kinds)) for kinds in every]
    assert names[:3] == ["v2-2000000", "v2-2000000-shares", "v2-2000000-ordinary"]
    assert len(set(names)) == len(names)
    assert windows_name("v2", universe_of({"min_turnover": 2e6})) == "v2-2000000"
    assert universe_of(PipelineParams().model_dump(mode="json")) == Universe(
        PipelineParams().min_turnover
    )


def test_a_version_is_ranked_among_the_kinds_that_it_was_trained_on(
    with_fund: tuple[pd.DataFrame, str],
) -> None:
    frame, fund = with_fund
    params = [PipelineParams(), PipelineParams(instruments=None)]
    shares, everybody = (universe_of(p.model_dump(mode="json")) for p in params)
    snapshot = build_snapshot(frame, 1, {shares, everybody})
    of_shares, of_all = (
        snapshot.windows[windows_name("v2", u)][:, -1] for u in (shares, everybody)
    )
    own = snapshot.ticker == fund
    assert np.isnan(of_shares[own]).all()
    assert np.isfinite(of_all[own]).all()

    learnt = build_features(
        frame[in_instruments(frame, SHARES)].reset_index(drop=True), "v2", params[0].min_turnover
    )
    panel = learnt.series.panel
    last = panel.newest
    np.testing.assert_array_equal(of_shares[~own], learnt.X[last].astype(np.float32))
    assert (of_shares[~own] != of_all[~own]).any(), "one ticker less moves the ranks"
