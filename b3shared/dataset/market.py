"""The market around a run's quotes: daily benchmarks, and the sectors of the tickers.

Loading freezes them with the quotes and the evaluation reads them. NumPy only, as every file that
passes between steps.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from b3shared.core.arrays import Array, FloatArray

MARKET = "market.npz"
"""Name of the artifact."""

SECTOR_COLUMNS = ("sector", "subsector", "segment")
OF_SECTORS = ("ticker", *SECTOR_COLUMNS, "read")


@dataclass(frozen=True)
class Daily:
    """A benchmark with one value a day.

    Attributes:
        name: as a report shows it, such as "CDI" or "Ibovespa (BOVA11)".
        source: where the values come from.
        days: (days,) datetime64[D], ascending, each once.
        values: (days,) float64: of the CDI the rate of the day, a fraction; of an index its close.
    """

    name: str
    source: str
    days: Array
    values: FloatArray

    def __len__(self) -> int:
        return len(self.days)

    def within(self, first: np.datetime64, last: np.datetime64) -> "Daily":
        """Return the days from ``first`` to ``last``, both included."""
        inside = (self.days >= first) & (self.days <= last)
        return Daily(self.name, self.source, self.days[inside], self.values[inside])


@dataclass(frozen=True)
class Sectors:
    """The exchange's classification of companies, one row per ticker.

    Attributes:
        ticker: (tickers,) str, ascending, each once.
        sector: (tickers,) str; empty where the exchange gives none, as the next two.
        subsector: (tickers,) str.
        segment: (tickers,) str.
        read: (tickers,) datetime64[D], the day on which the row was read at the exchange. The
            classification is that of this day, not of the days before.
    """

    ticker: Array
    sector: Array
    subsector: Array
    segment: Array
    read: Array

    def __len__(self) -> int:
        return len(self.ticker)

    def rows_of(self, tickers: Array) -> Array:
        """Return the row of each ticker, (tickers,) int; -1 where it has none."""
        if not len(self):
            return np.full(len(tickers), -1)
        place = np.minimum(np.searchsorted(self.ticker, tickers), len(self) - 1)
        return np.where(self.ticker[place] == tickers, place, -1)

    def of(self, tickers: Array) -> "Sectors":
        """Return one row per ticker in the given order: empty texts and NaT for an unknown one."""
        rows = self.rows_of(tickers)
        known = rows >= 0

        def text(column: Array) -> Array:
            return np.array([column[row] if row >= 0 else "" for row in rows.tolist()], dtype=str)

        read = np.full(len(tickers), np.datetime64("NaT", "D"))
        read[known] = self.read[rows[known]]
        return Sectors(tickers, text(self.sector), text(self.subsector), text(self.segment), read)


@dataclass(frozen=True)
class Market:
    """What is known of the market in the period of a run.

    Attributes:
        cdi: the interbank deposit rate; None where no file has it.
        indices: closes of the Ibovespa, the preferred first; empty where none is known.
        sectors: of the tickers; None where no file has them.
    """

    cdi: Daily | None = None
    indices: tuple[Daily, ...] = ()
    sectors: Sectors | None = None

    def __bool__(self) -> bool:
        return self.cdi is not None or bool(self.indices) or self.sectors is not None

    def save(self, folder: Path) -> Path:
        """Write ``market.npz``, no pickles inside, and return its path.

        The same content gives the same bytes.
        """
        stored: dict[str, Array] = {}
        if self.cdi is not None:
            stored |= _stored("cdi", self.cdi)
        for number, index in enumerate(self.indices):
            stored |= _stored(f"index{number}", index)
        if self.sectors is not None:
            stored |= {f"sectors_{name}": getattr(self.sectors, name) for name in OF_SECTORS}

        path = folder / MARKET
        np.savez(path, allow_pickle=False, **stored)
        return path

    @classmethod
    def load(cls, path: Path) -> "Market":
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            stored = dict(file)

        indices = sum(name.startswith("index") and name.endswith("_name") for name in stored)
        sectors = None
        if "sectors_ticker" in stored:
            sectors = Sectors(**{name: stored[f"sectors_{name}"] for name in OF_SECTORS})
        return cls(
            cdi=_daily("cdi", stored) if "cdi_name" in stored else None,
            indices=tuple(_daily(f"index{number}", stored) for number in range(indices)),
            sectors=sectors,
        )


def _stored(key: str, daily: Daily) -> dict[str, Array]:
    return {
        f"{key}_name": np.array(daily.name),
        f"{key}_source": np.array(daily.source),
        f"{key}_days": daily.days,
        f"{key}_values": daily.values,
    }


def _daily(key: str, stored: dict[str, Array]) -> Daily:
    return Daily(
        str(stored[f"{key}_name"]),
        str(stored[f"{key}_source"]),
        stored[f"{key}_days"],
        stored[f"{key}_values"],
    )
