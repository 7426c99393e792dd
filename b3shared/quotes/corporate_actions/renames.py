"""The renamed tickers of a lake, each with its newest name, without reading every row into memory."""

from dataclasses import dataclass

import duckdb
import pandas as pd

from b3shared.quotes.corporate_actions.isin_renames import renames
from b3shared.quotes.corporate_actions.rename_table import with_given

_ENDS = """
    SELECT ticker, isin, min("date") AS "date" FROM dated GROUP BY ticker, isin
    UNION ALL SELECT ticker, isin, max("date") FROM dated GROUP BY ticker, isin
    UNION ALL SELECT NULL, NULL, "date" FROM dated GROUP BY "date"
"""
"""The first and the last session of every ticker under every ISIN, and every session once: all that a rename is told by."""


@dataclass(frozen=True)
class Renamed:
    """The renamed tickers of a lake.

    Attributes:
        table: ``old`` and ``new``, text, and ``date``, the first session after ``old``; sorted by
            ``old``. Of a chain of names every one leads to the newest.
        without_effect: rows of the user's table that change nothing, each as ``OLD -> NEW: why``.
    """

    table: pd.DataFrame
    without_effect: list[str]


def renamed_tickers(
    connection: duckdb.DuckDBPyConnection, relation: str, given: pd.DataFrame | None = None
) -> Renamed:
    """Tickers that went on under another one, by their ISIN (:func:`b3shared.quotes.corporate_actions.isin_renames.renames`) or by the user.

    Args:
        connection: where the relation can be read.
        relation: what may stand after FROM; without a column isin the user's alone are found.
        given: the user's, as :func:`b3shared.quotes.corporate_actions.rename_table.read_renames`
            gives them; None: there are none.
    """
    columns = {
        str(row[0]).lower()
        for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    }
    isin = "isin" if "isin" in columns else "CAST(NULL AS VARCHAR)"
    dated = f'SELECT ticker, {isin} AS isin, CAST("date" AS DATE) AS "date" FROM {relation} WHERE "date" IS NOT NULL'
    ends = connection.execute(f"WITH dated AS MATERIALIZED ({dated}) {_ENDS}").df()
    found = renames(ends)
    if given is None:
        return Renamed(_newest(found), [])
    both, without_effect = with_given(found, given, ends)
    return Renamed(_newest(both), without_effect)


def _newest(found: pd.DataFrame) -> pd.DataFrame:
    successor = dict(zip(found["old"], found["new"], strict=True))

    def last(name: str) -> str:
        while (
            name in successor
        ):  # a name begins after its predecessor's end, so that this comes to an end
            name = successor[name]
        return name

    table = pd.DataFrame(
        {"old": found["old"].astype("str"), "new": [last(old) for old in found["old"]]}
    ).astype("str")
    table["date"] = found["first_session_of_new"].astype("datetime64[s]")
    return table.sort_values("old", ignore_index=True)
