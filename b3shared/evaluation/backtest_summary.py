"""The few figures of a backtest that a summary shows, from finished metrics."""

from collections.abc import Mapping
from typing import Any

SHOWN = ("long_only", "next_close")
"""Variant and entry of a summary: those that can be done in practice."""

PLAIN = ("net_annual_return", "above_cdi_annual_return")
ESTIMATED = ("sharpe_above_cdi", "beta", "alpha")
"""Figures of a summary, without and with an interval."""


def backtest_summary(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the few figures of the backtest that a summary shows, from finished metrics.

    Returns:
        ``model``, ``universe``, ``market`` and ``cdi``: each with ``net_annual_return``,
        ``above_cdi_annual_return``, ``sharpe_above_cdi``, ``beta``, ``alpha``; None where it is not
        known. ``market_name``, and the ``findings``.
    """
    variant, entry = SHOWN
    found = metrics["backtest"]
    cdi = found["benchmarks"][entry]["cdi"]
    market = found["benchmarks"][entry]["market"]
    rows = {
        name: _figures(found["strategies"][name][variant][entry]) for name in ("model", "universe")
    }

    rows["market"] = _figures(market | {"net_annual_return": market["annual_return"]})
    rows["cdi"] = _figures({"net_annual_return": cdi["annual_return"]})
    return rows | {"market_name": market["name"], "findings": found["findings"]}


def _figures(found: Mapping[str, Any]) -> dict[str, float | None]:
    plain = {name: found.get(name) for name in PLAIN}
    return plain | {name: (found.get(name) or {}).get("estimate") for name in ESTIMATED}
