"""The training table of some of the tickers, without what needs all of them; and the whole table, joined from the parts.

Features of one ticker, labels and baselines are made part by part; ranks, the market and the
numbers of the sessions need every part's rows of a date. A part holds its liquid rows only, a
column an array, in memory or mapped from a file: joining reads one column of all parts, or all
columns of a few rows, so the whole never needs to be in memory.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.dataset.npz import Pieces
from b3shared.dataset.table import MATRIX, Dataset, save_columns
from b3shared.features.build import Coverage, ticker_features
from b3shared.features.cross_section import CrossSection, MarketReturn, market_features, rank_names
from b3shared.features.labels import build_labels
from b3shared.params.run import PipelineParams

Part = Mapping[str, Array]
"""Columns of a part's liquid rows by name; ``X_<feature>`` are its features (float32). ``calendar``: all its dates;
``quotes``: how many rows it was made of; ``unknown``: those that are not liquid because their median turnover is not
known, as in a ticker's first 60 sessions."""

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
"""The columns of a table beside tickers and features."""

_BLOCK = 1 << 18
"""Rows of the matrix that are put together at once."""


def table_part(frame: pd.DataFrame, params: PipelineParams, coverage: Coverage) -> dict[str, Array]:
    """Make the part of some tickers' quotes.

    Args:
        frame: clean quotes sorted by ticker and date.
        params: feature set, label, horizon, liquidity limit, longest hole.
        coverage: what the whole source has.

    Raises:
        InvalidQuotesError: The source lacks columns or tickers without which the feature set cannot
            be had.
    """
    features = ticker_features(
        frame, params.features, params.min_turnover, coverage, params.max_gap
    )
    labels, series = build_labels(features.shared, params), features.shared
    panel, rows = series.panel, np.flatnonzero(features.liquid)

    def liquid(grid: Array) -> Array:
        out: Array = panel.rows(grid)[rows]
        return out

    tickers, code = np.unique(frame["ticker"].to_numpy(dtype=str)[rows], return_inverse=True)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        X = {
            f"X_{name}": values[rows].astype(np.float32)
            for name, values in features.columns.items()
        }
        columns = {
            "close": frame["close"].to_numpy(dtype=np.float64)[rows],
            "volatility": liquid(series.volatility),
            "return_5": liquid(series.total_return(5)),
            "return_20": liquid(series.total_return(20)),
            "rule": liquid(series.rule()),
            "daily_return": liquid(series.daily_return),
        }
    complete = np.ones(len(rows), dtype=bool)
    for values in features.columns.values():
        complete &= np.isfinite(values[rows])
    return {
        **X,
        **columns,
        "known_label": labels.known_label[rows],
        "label": labels.label[rows],
        "label_end": labels.label_end[rows],
        "future_return": labels.future_return[rows],
        "row": rows,
        "date": panel.date[rows],
        "tickers": tickers,
        "ticker_code": code.astype(np.int32),
        "complete": complete,
        "calendar": panel.calendar,
        "quotes": np.array(len(frame)),
        "unknown": np.array(
            np.count_nonzero(np.isnan(panel.rows(series.median_turnover())) & ~features.liquid)
        ),
    }


class TableJoin:
    """The whole table of parts.

    Args:
        parts: in the order of their tickers, no ticker in two of them.
        version: feature set.
        scratch: folder for the ranks while they are made; None keeps them in memory.
    """

    def __init__(
        self, parts: Sequence[Callable[[], Part]], version: str, scratch: Path | None = None
    ) -> None:
        self._parts, self._scratch = parts, scratch
        first = parts[0]()
        self.own = tuple(name.removeprefix("X_") for name in first if name.startswith("X_"))
        calendars = [part()["calendar"] for part in parts]
        self.calendar = np.unique(np.concatenate(calendars))
        session = [
            np.searchsorted(self.calendar, part()["date"]).astype(np.int32) for part in parts
        ]
        self._bounds = np.cumsum([0, *map(len, session)])
        self._session: IntArray = np.concatenate(session)
        self._market: dict[str, FloatArray] = {}
        if version == "v2":
            self._market = market_features(self._market_return())
        self.quotes, self.unknown = (
            sum(int(part()[name]) for part in parts) for name in ("quotes", "unknown")
        )
        self._count_complete()
        self._ranks: dict[str, Callable[[], FloatArray]] = (
            self._made_ranks() if version == "v2" else {}
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return (*self.own, *(rank_names(self.own) if self._market else ()), *self._market)

    @property
    def liquid(self) -> int:
        """Rows in all parts: those that are liquid."""
        return int(self._bounds[-1])

    def __len__(self) -> int:
        return int(np.count_nonzero(self._usable))

    def _market_return(self) -> FloatArray:
        market = MarketReturn(len(self.calendar))
        for number, part in enumerate(self._parts):
            market.add(self._session[self._rows(number)], part()["daily_return"])
        return market.mean

    def _count_complete(self) -> None:
        """Which rows have every feature, and which of them go into the table."""
        known = np.ones(len(self.calendar), dtype=bool)
        for values in self._market.values():
            known &= np.isfinite(values)
        complete = (
            np.concatenate([part()["complete"] for part in self._parts]) & known[self._session]
        )
        self.complete = int(np.count_nonzero(complete))
        volatile = np.concatenate([np.isfinite(part()["volatility"]) for part in self._parts])
        self._usable: Array = complete & volatile

    def _made_ranks(self) -> dict[str, Callable[[], FloatArray]]:
        """Rank of every row, a feature at a time; what is on disk is mapped when it is asked for, and not for longer."""
        among = CrossSection(self._session)
        ranks: dict[str, Callable[[], FloatArray]] = {}
        for name in self.own:
            values = among.rank(self._whole(f"X_{name}")).astype(np.float32)
            if self._scratch:
                path = self._scratch / f"rank_{name}.npy"
                np.save(path, values)
                ranks[name] = partial(np.load, path, mmap_mode="r")
            else:
                ranks[name] = partial(np.asarray, values)
        return ranks

    def _whole(self, name: str) -> Array:
        return np.concatenate([part()[name] for part in self._parts])

    def _rows(self, number: int) -> slice:
        return slice(int(self._bounds[number]), int(self._bounds[number + 1]))

    def column(self, name: str) -> Iterator[Array]:
        """A column of the table, a part at a time."""
        for number, part in enumerate(self._parts):
            rows = self._rows(number)
            yield (self._session[rows] if name == "session" else part()[name])[self._usable[rows]]

    def blocks(self) -> Iterator[FloatArray]:
        """The matrix, (rows, features) float32, some rows at a time."""
        for number, part in enumerate(self._parts):
            mapped, begin = part(), int(self._bounds[number])
            for at in range(begin, int(self._bounds[number + 1]), _BLOCK):
                rows = slice(at, min(at + _BLOCK, int(self._bounds[number + 1])))
                yield self._block(mapped, rows, begin)

    def _block(self, part: Part, rows: slice, begin: int) -> FloatArray:
        usable, own = self._usable[rows], slice(rows.start - begin, rows.stop - begin)
        out = np.empty((np.count_nonzero(usable), len(self.names)), dtype=np.float32)
        columns = [part[f"X_{name}"][own] for name in self.own] + [
            ranks()[rows] for ranks in self._ranks.values()
        ]
        columns += [
            values.astype(np.float32)[self._session[rows]] for values in self._market.values()
        ]
        for number, values in enumerate(columns):
            out[:, number] = values[usable]
        return out

    def tickers(self) -> tuple[Array, list[IntArray]]:
        """Names of the table's tickers, sorted, and for every part the numbers of its rows' tickers (int32)."""
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
        """The feature with the fewest finite values."""
        counts = {name: np.isfinite(self._whole(f"X_{name}")).sum() for name in self.own}
        counts |= {
            name: np.isfinite(values[self._session]).sum() for name, values in self._market.items()
        }
        return min(counts, key=lambda name: counts[name])

    def dataset(self) -> Dataset:
        """The table in memory."""
        names, codes = self.tickers()
        columns = {name: np.concatenate(list(self.column(name))) for name in COLUMN_TYPES}
        return Dataset(
            X=np.concatenate(list(self.blocks())),
            feature_names=self.names,
            ticker=names[np.concatenate(codes)],
            **columns,
        )

    def save(self, folder: Path) -> list[Path]:
        """The table as the files that :meth:`b3shared.dataset.table.Dataset.save` would write, to the byte."""
        matrix, rows = folder / MATRIX, len(self)
        with matrix.open("wb") as file:
            described = {"descr": "<f4", "fortran_order": False, "shape": (rows, len(self.names))}
            np.lib.format.write_array_header_1_0(file, described)
            for block in self.blocks():
                file.write(block.data)
        names, codes = self.tickers()
        columns = {
            name: Pieces(kind, rows, self.column(name)) for name, kind in COLUMN_TYPES.items()
        }
        return [
            matrix,
            save_columns(folder, self.names, names, Pieces("int32", rows, codes), columns),
        ]
