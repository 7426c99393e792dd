"""Tables of the report on the backtest: strategies beside the benchmarks, and shares by sector."""

from b3shared.evaluation.report.cells import (
    NOT_DEFINED,
    Cell,
    Metrics,
    Table,
    make_table,
    number,
    with_interval,
)
from b3shared.evaluation.report.titles import title_of

BACKTEST_HEADER = (
    "",
    "variant, entry",
    "dates invested (%)",
    "gross (% a year)",
    "net (% a year)",
    "volatility (% a year)",
    "Sharpe",
    "maximum drawdown (%)",
    "turnover (% a session)",
    "net mean (bp a session)",
    "over the universe (bp)",
    "above CDI (% a year)",
    "Sharpe above CDI",
    "beta",
    "alpha (% a year)",
)
SECTOR_HEADER = ("", "stocks", "rows (%)", "buy signals (%)", "sell signals (%)", "holdings (%)")


def backtest_table(metrics: Metrics) -> Table:
    """Backtests of every strategy, variant and entry, then the market and the CDI."""
    backtest = metrics["backtest"]
    rows = [
        [
            title_of(name),
            Cell(f"{title_of(variant)}, {title_of(entry)}", left=True),
            *_backtest_cells(found),
        ]
        for name, variants in backtest["strategies"].items()
        for variant, entries in variants.items()
        for entry, found in entries.items()
    ]
    rows += [
        [found[name]["name"], Cell(title_of(entry), left=True), *_benchmark_cells(found[name])]
        for name in ("market", "cdi")
        for entry, found in backtest["benchmarks"].items()
    ]

    return make_table(BACKTEST_HEADER, rows)


def _backtest_cells(found: Metrics) -> list[object]:
    return [
        number(found["invested_share"], ".1f", 100),
        number(found["gross_annual_return"], ".1f", 100),
        number(found["net_annual_return"], ".1f", 100),
        number(found["annual_volatility"], ".1f", 100),
        number(found["sharpe"], ".2f"),
        number(found["max_drawdown"], ".1f", 100),
        number(found["turnover"], ".0f", 100),
        with_interval(found["net_daily_mean"], "+.1f", 1e4),
        with_interval(found["excess_daily_mean"], "+.1f", 1e4),
        number(found["above_cdi_annual_return"], "+.1f", 100),
        with_interval(found["sharpe_above_cdi"], "+.2f"),
        with_interval(found["beta"], ".2f"),
        with_interval(found["alpha"], "+.1f", 100),
    ]


def _benchmark_cells(found: Metrics) -> list[object]:
    """Cells of a benchmark, which costs nothing; a dash where a figure means nothing for it."""
    own = [
        number(found["annual_return"], ".1f", 100),
        number(found.get("annual_volatility"), ".1f", 100),
        NOT_DEFINED,
        number(found.get("max_drawdown"), ".1f", 100),
    ]
    above = [
        number(found.get("above_cdi_annual_return"), "+.1f", 100),
        with_interval(found.get("sharpe_above_cdi"), "+.2f"),
    ]
    nothing = [NOT_DEFINED] * 2

    return [*nothing, *own, *nothing, NOT_DEFINED, *above, *nothing]


def sectors_table(metrics: Metrics) -> Table | None:
    """Shares of stocks, signals and holdings by sector; None where no sector is known."""
    found = metrics["sectors"]
    if found is None:
        return None
    rows = [
        [
            share["sector"] or "not known",
            share["tickers"],
            *(number(share[name], ".1f", 100) for name in ("rows", "buy", "sell", "holdings")),
        ]
        for share in found["shares"]
    ]

    return make_table(SECTOR_HEADER, rows)
