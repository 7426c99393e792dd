"""Stage 1: quotes."""

from pathlib import Path
from typing import Any

import pandas as pd

from b3shared.core.config import Settings
from b3shared.dataset.market import Market
from b3shared.params.run import PipelineParams
from b3shared.quotes.loading.load import Quotes, load_quotes
from b3shared.quotes.market.load import load_market
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.base import QuoteSource
from b3shared.storage import open_storage


class B3DataLoadingService:
    """Loads B3 quotes from a Parquet file or folder or a DuckDB file.

    Args:
        source: a location, an opened source, or None for the deployment's quotes (``B3_QUOTES``;
            else those bundled).
    """

    def __init__(self, source: str | Path | QuoteSource | None = None) -> None:
        self._settings = Settings.from_environment()
        if source is None:
            source = self._settings.quotes
        self._beside = str(source) if isinstance(source, str | Path) else ""
        self.source = open_source(source) if isinstance(source, str | Path) else source

    def load_data(self, **params: Any) -> pd.DataFrame:
        """Return clean quotes, sorted by ticker and date, with a report.

        ``frame.attrs["report"]`` states what was left out and found.

        Args:
            **params: parameters of :class:`b3shared.params.run.PipelineParams`, such as ``tickers``
            and ``period``.

        Raises:
            B3Error: See :func:`b3shared.quotes.loading.load.load_quotes`.
        """
        quotes = self.load(PipelineParams.from_values(params))
        quotes.frame.attrs["report"] = quotes.report
        return quotes.frame

    def load(self, params: PipelineParams) -> Quotes:
        """Return clean quotes with their report and findings."""
        return load_quotes(self.source, params)

    def load_market(self, frame: pd.DataFrame) -> Market:
        """Return the market in the period of some quotes: CDI, Ibovespa, sectors.

        They are those of the deployment's storage (``B3_STORAGE``), else those of the files beside
        a local file of quotes; the Ibovespa first of all from BOVA11 among the quotes.

        Args:
            frame: returned by :meth:`load_data`.

        Raises:
            InvalidMarketError: A file is faulty.
        """
        first, last = frame["date"].min().date(), frame["date"].max().date()
        storage = open_storage(self._settings.storage)
        return load_market(self.source, first, last, storage, self._beside)
