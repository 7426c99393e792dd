"""The only place where parts of the tickers are joined: ranks within a date, and the market.

A part holds the features, labels and baselines of some tickers' liquid rows, one array a column, in
memory or mapped from a file. Ranks, features of the market and numbers of the sessions need the
rows of every part. A join reads one column of all parts, or all columns of a few rows, so the whole
table never needs to be in memory.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.dataset.npz import Pieces
from b3shared.dataset.table import MATRIX, Dataset, save_columns
from b3shared.features.cross_section import CrossSection, MarketReturn, market_features, rank_name
from b3shared.features.formulas import FEATURE_SETS
from b3shared.features.ticker_features import TickerFeatures

Part = Mapping[str, Array]
"""Columns of some tickers' liquid rows, by name.

``X_<feature>`` (float32), ``date``, ``daily_return``, and ``calendar``, the dates of all rows of
these tickers, are there always; a part of a training table has those of
:func:`b3shared.features.training_table.table_part` too.
"""

_BLOCK = 1 << 18
"""Rows of the matrix that are put together at once."""


def features_part(features: TickerFeatures) -> dict[str, Array]:
    """Return the part of some tickers' features."""
    panel = features.series.panel
    rows = np.flatnonzero(features.liquid)

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        X = {f"X_{name}": x[rows].astype(np.float32) for name, x in features.columns.items()}
        daily_return = panel.rows(features.series.daily_return)[rows]

    return {
        **X,
        "date": panel.date[rows],
        "daily_return": daily_return,
        "calendar": panel.calendar,
    }


class FeatureJoin:
    """Ranks and features of the market, over the rows of all parts.

    Args:
        parts: functions that return a part, in the order of their tickers; no ticker is in two.
        version: feature set.

    Attributes:
        own: names of the features that need no other ticker.
        calendar: (sessions,) datetime64[D], the dates of all rows.
        session: (rows,) int32, number of each row's date in ``calendar``.
        market: (sessions,) float64 by name, features of the market.
    """

    def __init__(self, parts: Sequence[Callable[[], Part]], version: str) -> None:
        self._parts = parts
        self._cross_section = FEATURE_SETS[version].cross_section
        self.own = tuple(name.removeprefix("X_") for name in parts[0]() if name.startswith("X_"))

        self.calendar = np.unique(np.concatenate([part()["calendar"] for part in parts]))
        sessions = [
            np.searchsorted(self.calendar, part()["date"]).astype(np.int32) for part in parts
        ]
        self._bounds = np.cumsum([0, *map(len, sessions)])
        self.session: IntArray = np.concatenate(sessions)
        self.market = self._market_features() if self._cross_section else {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        ranks = map(rank_name, self.own if self._cross_section else ())
        return (*self.own, *ranks, *self.market)

    def ranks(self) -> Iterator[tuple[str, FloatArray]]:
        """Yield name and values, (rows,) float64, of the rank of each feature; none without."""
        if not self._cross_section:
            return
        dates = CrossSection(self.session)
        for name in self.own:
            yield rank_name(name), dates.rank(self._whole(f"X_{name}"))

    def _market_features(self) -> dict[str, FloatArray]:
        market = MarketReturn(len(self.calendar))
        for number, part in enumerate(self._parts):
            market.add(self.session[self._rows(number)], part()["daily_return"])
        return market_features(market.mean)

    def _whole(self, name: str) -> Array:
        """A column of all parts."""
        return np.concatenate([part()[name] for part in self._parts])

    def _rows(self, number: int) -> slice:
        """The rows of a part among those of all."""
        return slice(int(self._bounds[number]), int(self._bounds[number + 1]))


COLUMN_TYPES = {
    "date": "datetime64[D]",
    "session": "int32",
    "close": "float64",
    "volatility": "float64",
    "return_5": "float64",
    "return_20": "float64",
    "known_label": "int8",
    "rule": "int8",
    "label": "int8",
    "label_end": "datetime64[D]",
    "future_return": "float64",
}
"""Types of the columns of a training table beside its tickers and features."""


class TableJoin(FeatureJoin):
    """The training table of all parts: usable rows only, read column by column or in blocks.

    Args:
        parts: functions that return a part (:func:`b3shared.features.training_table.table_part`),
            in the order of their tickers; no ticker is in two.
        version: feature set.
        scratch: folder for the ranks while the table is made; None keeps them in memory.

    Attributes:
        quotes: number of rows of quotes that the parts were made of.
        unknown: number of those that are not liquid because their median turnover is not known.
        complete: number of liquid rows with a finite value of every feature.
    """

    def __init__(
        self, parts: Sequence[Callable[[], Part]], version: str, scratch: Path | None = None
    ) -> None:
        super().__init__(parts, version)
        self.quotes = sum(int(part()["quotes"]) for part in parts)
        self.unknown = sum(int(part()["unknown"]) for part in parts)

        complete = self._complete()
        self.complete = int(np.count_nonzero(complete))
        self._usable: Array = complete & np.isfinite(self._whole("volatility"))
        self._ranks = [_kept(name, ranks, scratch) for name, ranks in self.ranks()]

    def __len__(self) -> int:
        return int(np.count_nonzero(self._usable))

    @property
    def liquid(self) -> int:
        """Number of liquid rows: those of all parts."""
        return int(self._bounds[-1])

    def _complete(self) -> Array:
        """(rows,) bool; every feature has a finite value. A rank has one where its feature does."""
        known = np.ones(len(self.calendar), dtype=bool)
        for values in self.market.values():
            known &= np.isfinite(values)
        complete: Array = self._whole("complete") & known[self.session]
        return complete

    def column(self, name: str) -> Iterator[Array]:
        """Yield a column of the table, a part at a time."""
        for number, part in enumerate(self._parts):
            rows = self._rows(number)
            values = self.session[rows] if name == "session" else part()[name]
            yield values[self._usable[rows]]

    def blocks(self) -> Iterator[FloatArray]:
        """Yield the matrix, (rows, features) float32, some rows at a time."""
        for number, part in enumerate(self._parts):
            mapped = part()
            bounds = self._rows(number)
            for begin in range(bounds.start, bounds.stop, _BLOCK):
                rows = slice(begin, min(begin + _BLOCK, bounds.stop))
                yield self._block(mapped, rows, bounds.start)

    def _block(self, part: Part, rows: slice, begin: int) -> FloatArray:
        """The usable ones of the matrix's ``rows``, of the part whose rows start at ``begin``."""
        own = slice(rows.start - begin, rows.stop - begin)
        columns = [part[f"X_{name}"][own] for name in self.own]
        columns += [ranks()[rows] for ranks in self._ranks]
        columns += [x.astype(np.float32)[self.session[rows]] for x in self.market.values()]

        usable = self._usable[rows]
        out = np.empty((np.count_nonzero(usable), len(columns)), dtype=np.float32)
        for number, values in enumerate(columns):
            out[:, number] = values[usable]
        return out

    def tickers(self) -> tuple[Array, list[IntArray]]:
        """Return the table's tickers, sorted, and each part's (rows,) int32 numbers among them."""
        names: list[Array] = []
        codes: list[IntArray] = []
        count = 0
        for part, code in zip(self._parts, self.column("ticker_code"), strict=True):
            present = np.unique(code)
            names.append(part()["tickers"][present])
            codes.append((np.searchsorted(present, code) + count).astype(np.int32))
            count += len(present)
        return np.concatenate(names), codes

    def rarest(self) -> str:
        """Return the feature with the fewest finite values."""
        counts = {name: np.isfinite(self._whole(f"X_{name}")).sum() for name in self.own}
        counts |= {name: np.isfinite(x[self.session]).sum() for name, x in self.market.items()}
        return min(counts, key=lambda name: counts[name])

    def dataset(self) -> Dataset:
        """Return the table in memory."""
        names, codes = self.tickers()
        columns = {name: np.concatenate(list(self.column(name))) for name in COLUMN_TYPES}
        return Dataset(
            X=np.concatenate(list(self.blocks())),
            feature_names=self.names,
            ticker=names[np.concatenate(codes)],
            **columns,
        )

    def save(self, folder: Path) -> list[Path]:
        """Write the files that :meth:`b3shared.dataset.table.Dataset.save` would, to the byte."""
        matrix = folder / MATRIX
        rows = len(self)
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, len(self.names))}
        with matrix.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for block in self.blocks():
                file.write(block.data)

        names, codes = self.tickers()
        columns = {
            name: Pieces(kind, rows, self.column(name)) for name, kind in COLUMN_TYPES.items()
        }
        codes_in_pieces = Pieces("int32", rows, codes)
        return [matrix, save_columns(folder, self.names, names, codes_in_pieces, columns)]


def _kept(name: str, ranks: FloatArray, folder: Path | None) -> Callable[[], FloatArray]:
    """Keep ranks as float32 in memory or in a file, which is mapped only while it is read."""
    values = ranks.astype(np.float32)
    if folder is None:
        return partial(np.asarray, values)

    path = folder / f"{name}.npy"
    np.save(path, values)
    return partial(np.load, path, mmap_mode="r")
