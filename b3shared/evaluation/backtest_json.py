"""The backtest as JSON types: every strategy, and the benchmarks beside them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from b3shared.core.arrays import FloatArray
from b3shared.evaluation.backtest import Backtest, Costs
from b3shared.evaluation.candidates import Entry
from b3shared.evaluation.relative_return import Benchmarks


def backtest_json(
    simulated: Mapping[str, Mapping[str, Mapping[Entry, Backtest]]],
    benchmarks: Mapping[Entry, Benchmarks],
    counts: FloatArray,
    costs: Costs,
) -> dict[str, Any]:
    """Return the backtests as JSON types.

    Args:
        simulated: strategy -> variant -> entry -> backtest.
        benchmarks: entry -> CDI and market over the same holding periods.
        counts: what :func:`b3shared.evaluation.bootstrap.resample_counts` returned.
        costs: of trading.

    Returns:
        ``costs``; ``strategies``: strategy -> variant -> entry -> figures, see
        :meth:`Backtest.summary` and :meth:`Benchmarks.relative`; ``benchmarks``: entry -> ``cdi``
        and ``market``, see :meth:`Benchmarks.describe`; ``findings``: sentences on what is not
        known of these.
    """
    universe = simulated["universe"]["long_only"]

    def summary(name: str, variant: str, entry: Entry) -> dict[str, Any]:
        compared = variant == "long_only" and name != "universe"
        backtest = simulated[name][variant][entry]
        own = backtest.summary(counts, universe[entry] if compared else None)
        return own | benchmarks[entry].relative(backtest, counts)

    strategies = {
        name: {
            variant: {entry: summary(name, variant, entry) for entry in entries}
            for variant, entries in variants.items()
        }
        for name, variants in simulated.items()
    }
    findings = [finding for found in benchmarks.values() for finding in found.findings]
    return {
        "costs": asdict(costs) | {"per_side_bp": 1e4 * costs.per_side},
        "strategies": strategies,
        "benchmarks": {entry: found.describe(counts) for entry, found in benchmarks.items()},
        "findings": list(dict.fromkeys(findings)),
    }
