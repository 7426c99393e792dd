"""The renamed tickers of a lake, each with its newest name, without reading every row into memory."""

import duckdb
import pandas as pd

from b3shared.quotes.instruments import renames

_ENDS = """
    SELECT ticker, isin, min("date") AS "date" FROM dated GROUP BY ticker, isin
    UNION ALL SELECT ticker, isin, max("date") FROM dated GROUP BY ticker, isin
    UNION ALL SELECT NULL, NULL, "date" FROM dated GROUP BY "date"
"""
"""The first and the last session of every ticker under every ISIN, and every session once: all that a rename is told by."""


def renamed_tickers(connection: duckdb.DuckDBPyConnection, relation: str) -> pd.DataFrame:
    """Tickers that went on under another one; see :func:`b3shared.quotes.instruments.renames`.

    Args:
        connection: where the relation can be read.
        relation: what may stand after FROM; without a column isin nothing is found.

    Returns:
        ``old`` and ``new``, text, and ``date``, the first session after ``old``; sorted by ``old``. Of a chain of names
        every one leads to the newest.
    """
    columns = {str(row[0]).lower() for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
    if "isin" not in columns:
        return _newest(pd.DataFrame({"old": [], "new": [], "first_session_of_new": pd.to_datetime([])}))
    dated = f'SELECT ticker, isin, CAST("date" AS DATE) AS "date" FROM {relation} WHERE "date" IS NOT NULL'
    return _newest(renames(connection.execute(f"WITH dated AS MATERIALIZED ({dated}) {_ENDS}").df()))


def _newest(found: pd.DataFrame) -> pd.DataFrame:
    successor = dict(zip(found["old"], found["new"], strict=True))

    def last(name: str) -> str:
        while name in successor:  # a name begins after its predecessor's end, so that this comes to an end
            name = successor[name]
        return name

    table = pd.DataFrame({"old": found["old"].astype("str"), "new": [last(old) for old in found["old"]]}).astype("str")
    table["date"] = found["first_session_of_new"].astype("datetime64[s]")
    return table.sort_values("old", ignore_index=True)
