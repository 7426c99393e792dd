"""``b3 ingest``: files of the exchange into the lake."""

from datetime import date
from pathlib import Path

import pytest
from command_line import b3, parse
from cotahist_text import Quote, cotahist, daily, zipped
from rate_bank import serving_bank


def test_every_file_is_listed_with_its_changes_and_the_lake_is_named(tmp_path: Path) -> None:
    day = date(2020, 1, 6)
    daily(tmp_path, day, [Quote(day), Quote(day, "VALE3", 50.0)])
    store = str(tmp_path / "store")

    for change in ("2020: 2 new", "nothing new"):
        done = b3("--storage", store, "ingest", "--folder", str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert "COTAHIST_D06012020.TXT" in done.stdout
        assert f"2 quotes, 2020-01-06: {change}" in done.stdout
    assert (
        f"{store}/lake/quotes: newest session 2020-01-06; use it with --quotes {store}/lake/quotes"
        in done.stdout
    )


def test_sessions_of_a_newer_file_are_kept_unless_force_is_given(
    tmp_path: Path,
) -> None:
    day = date(2020, 1, 6)
    older = daily(tmp_path, day, [Quote(day, close=10.0)]).rename(tmp_path / "older.TXT")
    newer = daily(tmp_path, day, [Quote(day, close=10.5)], created="20200110")
    ingest = ("--storage", str(tmp_path / "store"), "ingest")
    assert "2020: 1 new" in b3(*ingest, "--file", str(newer)).stdout
    assert (
        "nothing new; 2020-01-06 kept as a newer file has it"
        in b3(*ingest, "--file", str(older)).stdout
    )
    assert "2020: 1 corrected\n" in b3(*ingest, "--file", str(older), "--force").stdout

    refused = b3(*ingest, "--year", "2020", "--force")
    assert (refused.returncode, refused.stderr.split(":")[0]) == (2, "INVALID_PARAMETER")


def test_a_table_of_overrides_changes_the_lake_and_rows_without_effect_are_listed(
    tmp_path: Path,
) -> None:
    day = date(2020, 1, 6)
    daily(tmp_path, day, [Quote(day), Quote(day, "VALE3", 50.0)])
    store = tmp_path / "store"
    b3("--storage", str(store), "ingest", "--folder", str(tmp_path))
    (store / "lake" / "actions").mkdir(parents=True)
    table = "ticker,date,dividend\nPETR4,2020-01-06,1\nITUB4,2020-01-06,1\n"
    (store / "lake" / "actions" / "overrides.csv").write_text(table)
    said = b3("--storage", str(store), "ingest", "--folder", str(tmp_path)).stdout

    assert "2 quotes, 2020-01-06: corporate actions made anew" in said
    assert "nothing new" not in said
    assert "override without effect: ITUB4 2020-01-06: the lake has no quote of it" in said
    assert "override without effect: PETR4" not in said


def test_files_and_choices_that_cannot_be_ingested_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "COTAHIST_A2020.ZIP"
    path.write_text("<html></html>")

    for words, code in (
        (("--file", str(path)), "UNREADABLE_FILE"),
        (("--year", "1970"), "INVALID_PARAMETER"),
        (("--year", "2020", "--partial"), "INVALID_PARAMETER"),
        (("--since", "2020-01-02", "--partial"), "INVALID_PARAMETER"),
        ((), "NO_QUOTES"),
    ):
        refused = b3("--storage", str(tmp_path / "store"), "ingest", *words)
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"{code}: ")
        assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--year", "2020", "2021"),
        ("--year", "2020", "--year", "2021"),
        ("--year=2020", "2021"),
    ],
    ids=["after one option", "one option each", "with an equals sign"],
)
def test_several_years_may_follow_the_option(words: tuple[str, ...]) -> None:
    assert parse("ingest", *words, "--partial")["years"] == (2020, 2021)


def test_a_year_without_a_value_is_a_usage_error() -> None:
    refused = b3("ingest", "--year")
    assert refused.returncode == 2
    assert "Option '--year' requires an argument." in refused.stderr


def test_two_sources_of_files_exclude_each_other(tmp_path: Path) -> None:
    refused = b3("ingest", "--year", "2020", "--folder", str(tmp_path))
    assert refused.returncode == 2
    assert "--year and --folder exclude each other" in refused.stderr


def test_the_cdi_follows_the_quotes_unless_it_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = str(tmp_path / "store")
    day = date(2023, 12, 20)
    daily(tmp_path, day, [Quote(day)])
    assert "CDI" not in b3("--storage", store, "ingest", "--folder", str(tmp_path)).stdout

    with serving_bank() as bank:
        base = bank.address.partition("/dados")[0]
        monkeypatch.setenv("B3_CDI_ADDRESS", bank.address)
        monkeypatch.setenv("B3_COTAHIST_ADDRESS", f"{base}/{{period}}.ZIP")
        name = "COTAHIST_A2023.TXT"
        bank.files["/A2023.ZIP"] = zipped(cotahist([Quote(day)], 2023), name)
        words = ("--storage", store, "ingest", "--year", "2023")
        b3(*words, "--no-market")
        assert bank.asked == []
        done = b3(*words)
        assert "  CDI: 7 days new, newest 2023-12-28\n" in done.stdout, done.stderr
        bank.answers = [(200, b"<html>")]
        assert "  note: the CDI could not be updated: UNREADABLE_FILE" in b3(*words).stdout
