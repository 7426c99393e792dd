"""The reader gives the exchange's numbers: of whole files, subsets, archives, in any block size."""

import gzip
import hashlib
from datetime import date
from pathlib import Path

import cotahist_maker as maker
import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import DATA

from b3shared.core.errors import InvalidCotahistError
from b3shared.quotes.cotahist.reader import CotahistFile, CotahistReport
from b3shared.quotes.schema import QUOTE_TYPES

SAMPLE = DATA / "cotahist" / "COTAHIST_D04022022_subset.TXT.gz"
SUBSETS = ("COTAHIST_A2020_30012020_cash010.TXT.gz", "COTAHIST_EXAMPLE_17042026.TXT")
FILES = (
    *SUBSETS,
    "COTAHIST_D04022022.TXT.zip",
    *(f"COTAHIST_D{day}.TXT.gz" for day in ("04012016", "29022016", "16032016", "25062021")),
    *(f"COTAHIST_D{day}072016.TXT.gz" for day in (12, 13, 14, 15, 18, 19, 20, 21, 22, 25, 26)),
)


def read(
    path: Path, *, partial: bool = False, size: int = 1 << 20
) -> tuple[pd.DataFrame, CotahistReport]:
    with CotahistFile.open(path, partial=partial) as file:
        frames = list(file.chunks(size))
        return pd.concat(frames, ignore_index=True), file.report


def write(folder: Path, data: bytes, name: str = "COTAHIST_A2020.TXT") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", FILES)
def test_every_real_file_reads_as_by_a_line_by_line_parser(shared_data: Path, name: str) -> None:
    path = shared_data / "cotahist" / name
    data = maker.raw_text(path)
    frame, report = read(path, partial=name in SUBSETS)
    expected = pd.DataFrame(maker.read_slowly(data))
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False, check_exact=True)

    assert report.cash_records == len(expected)
    assert report.lines == data.count(b"\n")
    assert report.trailer_count == maker.trailer_count(data)
    assert (report.trailer_count == report.lines) == (name not in SUBSETS)
    assert report.record_types == {"00": 1, "01": report.lines - 2, "99": 1}
    assert report.cash_records + sum(report.other_markets.values()) == report.record_types["01"]
    assert report.rejected == ()
    assert report.duplicates == 0
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", FILES)
def test_the_quotes_are_those_of_the_official_table(shared_data: Path, name: str) -> None:
    frame, report = read(shared_data / "cotahist" / name, partial=name in SUBSETS)
    if report.first_session.year == 2026:
        pytest.skip("the official table ends in 2022")
    with duckdb.connect() as connection:
        official = connection.execute(
            f"FROM '{shared_data}/b3_cotahist_days.parquet' "
            "WHERE date BETWEEN ? AND ? ORDER BY ticker, date",
            [report.first_session, report.last_session],
        ).df()
    frame = frame.sort_values(["ticker", "date"], ignore_index=True)
    assert len(frame) == len(official)

    for column in frame.columns:
        pd.testing.assert_series_equal(
            frame[column], official[column], check_dtype=False, check_exact=True
        )


def test_a_table_has_the_columns_of_the_schema_and_the_distribution_number() -> None:
    frame, report = read(SAMPLE, partial=True)
    assert list(frame.columns) == [
        c for c in QUOTE_TYPES if c not in ("split_factor", "dividend")
    ] + ["dismes"]
    petrobras = frame.set_index("ticker").loc["PETR4"]
    assert petrobras["close"] == 32.63
    assert petrobras["company"] == "PETROBRAS"
    assert petrobras["type"] == "PN      N2"

    fund = frame.set_index("ticker").loc["FNAM11"]
    assert fund["close"] == 0.00018  # R$ 0.18 for 1,000 shares
    assert fund["turnover"] == pytest.approx(fund["avg"] * fund["volume"], rel=0.05)
    assert (report.kind, report.trailer_count, report.lines) == ("daily", 7524, 26)
    assert report.other_markets == {"020": 1, "030": 5, "070": 2, "080": 1}
    assert report.to_json()["sessions"] == ["2022-02-04"]


@pytest.mark.parametrize("size", [1, 100, 247, 500, 5000])
def test_blocks_may_split_lines_days_and_tickers(tmp_path: Path, size: int) -> None:
    expected, whole = read(SAMPLE, partial=True)
    frame, report = read(SAMPLE, partial=True, size=size)
    pd.testing.assert_frame_equal(frame, expected)
    assert report == whole


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("cut", [0, 1, 2])
@pytest.mark.parametrize("behind", [b"", b"\r\n\r\n", b"\x1a"])
def test_line_ends_may_be_crlf_or_lf_and_the_last_one_may_be_missing(
    tmp_path: Path, end: str, cut: int, behind: bytes
) -> None:
    data = maker.text([maker.record("PETR4"), maker.record("VALE3")], end=end)
    data = data[: -min(cut, len(end))] if cut else data + behind
    frame, report = read(write(tmp_path, data))
    assert list(frame["ticker"]) == ["PETR4", "VALE3"]
    assert report.rejected == ()


def test_a_file_may_be_plain_gzip_or_zip_whatever_its_name(tmp_path: Path) -> None:
    data = maker.text([maker.record()])
    paths = [
        write(tmp_path, data, "plain.zip"),
        write(tmp_path, gzip.compress(data), "COTAHIST_A2020.TXT"),
        write(tmp_path, gzip.compress(data[:300]) + gzip.compress(data[300:]), "two-members.gz"),
        maker.zipped(
            tmp_path / "upload",
            {"folder/": b"", "folder/COTAHIST_A2020.TXT": data, "LEIAME.TXT": b"read me"},
        ),
        maker.zipped(tmp_path / "old.zip", {"COTAHIST.A2020": data}),
        maker.zipped(tmp_path / "lower.zip", {"cotahist_a2020.txt": data}),
    ]

    for path in paths:
        frame, report = read(path)
        assert list(frame["close"]) == [30.70]
        assert report.kind == (
            "annual" if "A2020" in f"{report.file} {report.member}".upper() else "daily"
        )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("COTAHIST_D02012020.TXT", "daily"),
        ("COTAHIST_M012020.TXT", "monthly"),
        ("COTAHIST_A2020.TXT", "annual"),
    ],
)
def test_the_kind_is_what_the_name_states(tmp_path: Path, name: str, kind: str) -> None:
    with CotahistFile.open(write(tmp_path, maker.text([maker.record()]), name)) as file:
        assert file.created == date(2020, 12, 30)
        assert file.period.first <= date(2020, 1, 2) <= file.period.last
        list(file.chunks())
        assert file.report.kind == kind


def test_company_names_are_latin_1(tmp_path: Path) -> None:
    frame, _ = read(write(tmp_path, maker.text([maker.record(company="AÇÚCAR É PÃO")])))
    assert list(frame["company"]) == ["AÇÚCAR É PÃO"]


def test_a_blank_isin_is_null(tmp_path: Path) -> None:
    frame, _ = read(write(tmp_path, maker.text([maker.record(isin=""), maker.record("VALE3")])))
    assert frame["isin"].isna().tolist() == [True, False]


def test_other_markets_and_other_currencies_are_left_out_and_counted(tmp_path: Path) -> None:
    records = [
        maker.record(),
        maker.record("PETR4F", market="020", bdi_code="96"),
        maker.record("PETRA30", market="070", bdi_code="78"),
        maker.record("VALE3", currency="CR$"),
    ]
    frame, report = read(write(tmp_path, maker.text(records)))
    assert list(frame["ticker"]) == ["PETR4"]
    assert report.other_markets == {"020": 1, "070": 1}
    assert report.other_currencies == {"CR$": 1}


@pytest.mark.parametrize("size", [1, 300, 1 << 20])
def test_repeated_lines_collapse_wherever_the_blocks_end(tmp_path: Path, size: int) -> None:
    records = [
        maker.record("PETR4"),
        maker.record("VALE3"),
        maker.record("PETR4"),
        maker.record("PETR4"),
    ]
    frame, report = read(write(tmp_path, maker.text(records)), size=size)
    assert list(frame["ticker"]) == ["PETR4", "VALE3"]
    assert report.duplicates == 2


@pytest.mark.parametrize("size", [1, 300, 1 << 20])
def test_lines_that_contradict_each_other_are_named(tmp_path: Path, size: int) -> None:
    records = [maker.record("PETR4"), maker.record("VALE3"), maker.record("PETR4", dismes=219)]
    with pytest.raises(
        InvalidCotahistError, match="lines 2 and 4 both quote PETR4 on 2020-01-02 and differ"
    ):
        read(write(tmp_path, maker.text(records)), size=size)


def test_many_tickers_are_read_and_their_duplicates_counted(tmp_path: Path) -> None:
    tickers = [f"A{number:04d}" for number in range(2500)]
    records = [maker.record(ticker, maker.weekday(day)) for day in (0, 1) for ticker in tickers]
    frame, report = read(
        write(tmp_path, maker.text([*records, maker.record("A0001"), maker.record("A2400")])),
        size=100_000,
    )
    assert len(frame) == 5000
    assert report.duplicates == 2
    assert report.sessions == (date(2020, 1, 2), date(2020, 1, 3))


def test_the_report_needs_the_file_read_to_its_end_and_only_once(tmp_path: Path) -> None:
    with CotahistFile.open(write(tmp_path, maker.text([maker.record()]))) as file:
        with pytest.raises(RuntimeError, match="not been read to its end"):
            _ = file.report
        assert len(list(file.chunks())) == 1
        with pytest.raises(RuntimeError, match="open it again"):
            list(file.chunks())


price = st.integers(0, 10**13 - 1)
letters = st.text(
    st.characters(codec="latin-1", min_codepoint=33, exclude_characters="\x7f\x85\xa0"), min_size=1
)
row = st.fixed_dictionaries(
    {
        "ticker": st.from_regex(r"[A-Z0-9]{4,12}", fullmatch=True),
        "day": st.integers(0, 20).map(maker.weekday),
        "bdi_code": st.from_regex(r"[0-9]{2}", fullmatch=True),
        "market": st.sampled_from(["010", "010", "010", "020", "070", "012"]),
        "company": letters.map(lambda name: name[:12]),
        "especi": st.sampled_from(["ON", "PN  EJ  N2", "UNT", "DRN", "CI  ER"]),
        "prices": st.tuples(*[price] * 7),
        "trades": st.integers(0, 99_999),
        "volume": st.integers(0, 10**18 - 1),
        "turnover": st.integers(0, 10**15),
        "factor": st.sampled_from([1, 1000, 7]),
        "isin": st.from_regex(r"BR[A-Z0-9]{10}", fullmatch=True),
        "dismes": st.integers(0, 999),
    }
)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(row, min_size=1, max_size=12, unique_by=lambda r: (r["ticker"], r["day"])),
    size=st.integers(1, 2000),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_a_written_file_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict], size: int, end: str
) -> None:
    rows = [{**rows[0], "market": "010"}, *rows[1:]]
    data = maker.text([maker.record(**values) for values in rows], end=end)
    frame, report = read(write(tmp_path_factory.mktemp("cotahist"), data), size=size)
    pd.testing.assert_frame_equal(
        frame, pd.DataFrame(maker.read_slowly(data)), check_dtype=False, rtol=1e-15, atol=0
    )
    assert frame["volume"].tolist() == [r["volume"] for r in rows if r["market"] == "010"]
    assert report.lines == report.trailer_count == len(rows) + 2
