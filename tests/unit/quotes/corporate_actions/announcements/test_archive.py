"""What was fetched is kept: corrections replace, instalments count, what is gone stays."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pandas as pd
import pytest
from exchange_answers import (
    ABEV,
    PETR,
    at,
    cash_answer,
    cash_row,
    details,
    paid_row,
    stock_row,
    supplement_answer,
)
from moto import mock_aws

from b3shared.core.errors import InvalidAnnouncementsError
from b3shared.core.serialization import from_json, to_json
from b3shared.quotes.corporate_actions.announcements.archive import (
    ANNOUNCEMENTS,
    Answer,
    announcements_state,
    keep_answers,
    read_announcements,
    read_index,
    read_record,
)
from b3shared.quotes.corporate_actions.announcements.calls import Call, Company
from b3shared.quotes.corporate_actions.announcements.table import (
    ANNOUNCEMENT_TYPES,
    COMPANY_TYPES,
)
from b3shared.storage import FolderStorage, S3Storage, Storage

PETR4 = "BRPETRACNPR6"
INSTALMENT = cash_row("01/06/2026", "0,35048636", label="JRS CAP PROPRIO")


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "store")


def values(storage: Storage) -> list[float]:
    return read_announcements(storage).rows["value"].tolist()


def objects(storage: Storage) -> list[str]:
    return storage.list(f"{ANNOUNCEMENTS}/answers/")


def test_an_empty_archive_has_tables_without_rows_and_no_state(storage: FolderStorage) -> None:
    tables = read_announcements(storage)
    assert list(tables.rows) == list(ANNOUNCEMENT_TYPES)
    assert list(tables.companies) == list(COMPANY_TYPES)
    assert (len(tables.rows), len(tables.companies)) == (0, 0)
    assert announcements_state(storage) == ""


def test_equal_rows_are_instalments_and_each_is_kept(storage: FolderStorage) -> None:
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-12T23:30", INSTALMENT, INSTALMENT)])
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-06-12T23:30", INSTALMENT, INSTALMENT)])
    rows = read_announcements(storage).rows
    assert rows["value"].tolist() == [0.35048636] * 2
    assert rows["first_fetched"].tolist() == [pd.Timestamp("2026-05-12T23:30")] * 2
    assert rows["fetched"].tolist() == [pd.Timestamp("2026-06-12T23:30")] * 2
    assert rows.loc[0, "last_cum"] == pd.Timestamp("2026-06-01")
    assert rows.loc[0, "isin"] is None
    assert rows["last_cum"].dtype == "datetime64[s]"
    assert rows["fetched"].dtype == "datetime64[us]"


def test_the_same_answer_is_kept_once_and_its_time_apart(storage: FolderStorage) -> None:
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-12T23:30", INSTALMENT)])
    before = announcements_state(storage)
    assert keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-13T23:30", INSTALMENT)])
    assert len(objects(storage)) == 1
    assert announcements_state(storage) != before
    companies = read_announcements(storage).companies
    assert companies["cash_fetched"].tolist() == [pd.Timestamp("2026-05-13T23:30")]
    assert companies["supplement_fetched"].isna().all()


def test_an_answer_that_is_there_already_changes_nothing(storage: FolderStorage) -> None:
    answer = cash_answer(PETR, "2026-05-12T23:30", INSTALMENT)
    keep_answers(storage, PETR, [answer])
    before = announcements_state(storage)
    assert not keep_answers(storage, PETR, [answer])
    assert announcements_state(storage) == before


def test_a_corrected_amount_replaces_the_earlier_one(storage: FolderStorage) -> None:
    first = cash_row("01/06/2026", "0,30"), cash_row("22/04/2026", "0,10")
    second = cash_row("01/06/2026", "0,31"), cash_row("22/04/2026", "0,10")
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-12T12:00", *first)])
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-14T12:00", *second)])
    rows = read_announcements(storage).rows
    assert rows["value"].tolist() == [0.10, 0.31]
    times = [pd.Timestamp("2026-05-12T12:00"), pd.Timestamp("2026-05-14T12:00")]
    assert rows["first_fetched"].tolist() == times
    assert len(objects(storage)) == 2


def test_a_row_that_was_ex_outlives_the_answers_that_lack_it(storage: FolderStorage) -> None:
    old = cash_row("11/05/2026", "1,00")
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-12T12:00", old)])
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-20T12:00", INSTALMENT)])
    assert values(storage) == [1.0, 0.35048636]


@pytest.mark.parametrize("last", ["12/05/2026", "01/06/2026", "31/12/9999"])
def test_a_row_that_was_still_to_come_is_withdrawn(storage: FolderStorage, last: str) -> None:
    """On the 12th it is not ex yet: that is the last session with the right."""
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-12T12:00", cash_row(last, "1,00"))])
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-20T12:00", INSTALMENT)])
    assert values(storage) == [0.35048636]


def test_the_day_of_an_answer_is_that_of_sao_paulo(storage: FolderStorage) -> None:
    row = cash_row("12/05/2026", "1,00")
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-13T01:00", row)])
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-20T12:00", INSTALMENT)])
    assert values(storage) == [0.35048636]


def test_an_empty_answer_withdraws_nothing(storage: FolderStorage) -> None:
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-12T12:00", INSTALMENT)])
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-20T12:00")])
    assert values(storage) == [0.35048636]
    assert read_announcements(storage).companies.loc[0, "cash_fetched"] == pd.Timestamp(
        "2026-05-20T12:00"
    )


def test_history_and_supplement_are_both_kept(storage: FolderStorage) -> None:
    paid = paid_row(PETR4, "0,35048636000", "01/06/2026", "JRS CAP PROPRIO")
    keep_answers(
        storage,
        PETR,
        [
            cash_answer(PETR, "2026-05-12T12:00", INSTALMENT),
            supplement_answer(PETR, "2026-05-12T12:00", cash=[paid, paid]),
        ],
    )
    rows = read_announcements(storage).rows

    assert rows["answer"].tolist() == ["cash", "supplement_cash", "supplement_cash"]
    assert rows["value"].tolist() == [0.35048636] * 3
    assert rows["share_class"].tolist() == ["PN"] * 3
    assert rows["isin"].tolist() == [None, PETR4, PETR4]


def test_a_renamed_company_has_both_histories_without_double_counting(
    storage: FolderStorage,
) -> None:
    """VIAVAREJO became VIA; the new name lists what follows, and some of what was before."""
    before = Company("VIIA", "VIAVAREJO", "6505")
    after = Company("VIIA", "VIA", "6505")
    old = cash_row("28/12/2020", "1,00", "ON"), cash_row("26/04/2021", "2,00", "ON")
    new = cash_row("26/04/2021", "2,00", "ON"), cash_row("27/12/2021", "3,00", "ON")
    keep_answers(storage, before, [cash_answer(before, "2021-05-03T12:00", *old)])
    keep_answers(storage, after, [cash_answer(after, "2022-01-03T12:00", *new)])
    tables = read_announcements(storage)
    assert tables.rows["value"].tolist() == [1.0, 2.0, 3.0]
    assert tables.companies["trading_name"].tolist() == ["VIA"]


def test_a_pending_payment_under_the_old_name_is_not_withdrawn_by_the_new(
    storage: FolderStorage,
) -> None:
    after = Company("PETR", "PETRO NOVA", "9512")
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-12T12:00", INSTALMENT)])
    other = cash_row("30/06/2026", "0,20")
    keep_answers(storage, after, [cash_answer(after, "2026-05-20T12:00", other)])
    assert values(storage) == [0.35048636, 0.20]


def test_a_company_with_a_new_root_takes_its_history_along(storage: FolderStorage) -> None:
    via = Company("VIIA", "VIA", "6505")
    bahia = Company("BHIA", "CASAS BAHIA", "6505")
    keep_answers(storage, via, [cash_answer(via, "2022-01-03T12:00", cash_row("27/12/2021", "3"))])
    both = cash_row("27/12/2021", "3"), cash_row("26/12/2023", "4")
    keep_answers(storage, bahia, [cash_answer(bahia, "2024-01-03T12:00", *both)])
    tables = read_announcements(storage)

    assert tables.rows["value"].tolist() == [3.0, 4.0]
    assert tables.rows["first_fetched"].tolist() == [
        pd.Timestamp("2022-01-03T12:00"),
        pd.Timestamp("2024-01-03T12:00"),
    ]
    assert set(tables.rows["issuer"]) == {"BHIA"}
    names = tables.companies[["issuer", "root", "ticker"]].values.tolist()
    assert names == [["BHIA", "BHIA", None], ["BHIA", "VIIA", None]]
    assert tables.companies["cash_fetched"].tolist() == [
        pd.Timestamp("2024-01-03T12:00"),
        pd.Timestamp("2022-01-03T12:00"),
    ]


def test_two_companies_at_once_are_never_joined(storage: FolderStorage) -> None:
    for name in ("AAAA", "BBBB"):
        company = Company(name, name, "77")
        for day in ("2022-01-03", "2022-01-04"):
            row = cash_row("27/12/2021", "3")
            keep_answers(storage, company, [cash_answer(company, f"{day}T12:00", row)])
    assert read_announcements(storage).rows["issuer"].tolist() == ["AAAA", "BBBB"]


def test_details_give_sector_and_one_row_per_ticker(storage: FolderStorage) -> None:
    sector = "Consumo não Cíclico / Bebidas / Cervejas e Refrigerantes"
    pages = [details(ABEV, "BRABEVACNOR1", sector)]
    keep_answers(storage, ABEV, [Answer(Call.DETAILS, "23264", pages, at("2022-06-06T12:00"))])
    (row,) = read_announcements(storage).companies.to_dict("records")
    assert (row["ticker"], row["isin"]) == ("ABEV3", "BRABEVACNOR1")
    assert [row["sector"], row["subsector"], row["segment"]] == sector.split(" / ")
    assert row["details_fetched"] == pd.Timestamp("2022-06-06T12:00")
    assert row["cash_fetched"] is pd.NaT


def test_an_unreadable_answer_keeps_nothing(storage: FolderStorage) -> None:
    good = cash_answer(PETR, "2026-05-12T12:00", INSTALMENT)
    bad = supplement_answer(
        PETR, "2026-05-12T12:00", stock=[stock_row(PETR4, "BONIFICACAO", "9.9", "01/06/2026")]
    )
    with pytest.raises(InvalidAnnouncementsError, match=r"PETR GetListedSupplementCompany.*'9.9'"):
        keep_answers(storage, PETR, [good, bad])
    assert storage.list(f"{ANNOUNCEMENTS}/") == []


def test_an_older_answer_that_comes_late_takes_its_place_in_time(storage: FolderStorage) -> None:
    answers = [
        cash_answer(PETR, "2026-05-12T12:00", cash_row("11/05/2026", "1,00"), INSTALMENT),
        cash_answer(PETR, "2026-05-20T12:00", cash_row("11/05/2026", "1,10")),
        cash_answer(PETR, "2026-05-25T12:00", cash_row("11/05/2026", "1,10")),
    ]
    for answer in answers:
        keep_answers(storage, PETR, [answer])

    expected = read_announcements(storage)
    for number, order in enumerate([(2, 0, 1), (1, 2, 0), (2, 1, 0)]):
        other = FolderStorage(f"{storage.url}-{number}")
        for place in order:
            keep_answers(other, PETR, [answers[place]])
        tables = read_announcements(other)
        pd.testing.assert_frame_equal(tables.rows, expected.rows)
        pd.testing.assert_frame_equal(tables.companies, expected.companies)


def test_a_record_of_other_rules_is_made_anew_from_the_answers(storage: FolderStorage) -> None:
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-12T12:00", INSTALMENT, INSTALMENT)])
    later = cash_row("30/06/2026", "0,20")
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-06-12T12:00", later)])
    expected = read_announcements(storage).rows
    key = f"{ANNOUNCEMENTS}/companies/PETR.json"
    record = from_json(storage.read(key), key)
    storage.put(key, to_json(record | {"version": 0, "rows": [], "details": None}))
    pd.testing.assert_frame_equal(read_announcements(storage).rows, expected)


def test_writers_at_the_same_time_lose_nothing(storage: FolderStorage) -> None:
    companies = [Company(f"AA{first}{second}", "X", "") for first in "ABC" for second in "ABC"]
    answers = [
        (company, cash_answer(company, f"2026-05-1{day}T12:00", cash_row("11/05/2026", f"{day}")))
        for company in companies
        for day in (1, 2)
    ]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda pair: keep_answers(storage, pair[0], [pair[1]]), answers))

    assert values(storage) == [2.0] * len(companies)
    index = read_index(storage)
    assert index.keys() == {company.issuer for company in companies}
    for issuer in index:
        record = read_record(storage, issuer)
        assert record is not None
        assert len(record.answers) == 2


def test_a_company_is_known_up_to_the_older_of_its_two_answers(storage: FolderStorage) -> None:
    keep_answers(storage, PETR, [cash_answer(PETR, "2026-05-12T12:00", INSTALMENT)])
    assert read_index(storage)["PETR"].fetched is None
    keep_answers(storage, PETR, [supplement_answer(PETR, "2026-05-14T12:00")])
    assert read_index(storage)["PETR"].fetched == at("2026-05-12T12:00")


def test_a_bucket_keeps_and_reads_what_a_folder_does(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "x")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="announcements")
        bucket = S3Storage("announcements", "deployment")
        for place in (storage, bucket):
            for letter in "ABCDEFGHIJKL":
                company = Company(f"AA{letter}A", letter, letter)
                answers = [
                    cash_answer(company, "2026-05-12T12:00", INSTALMENT, INSTALMENT),
                    supplement_answer(company, "2026-05-12T12:00"),
                ]
                keep_answers(place, company, answers)
        expected, found = read_announcements(storage), read_announcements(bucket)
        pd.testing.assert_frame_equal(found.rows, expected.rows)
        pd.testing.assert_frame_equal(found.companies, expected.companies)
        assert announcements_state(bucket) == announcements_state(storage)
