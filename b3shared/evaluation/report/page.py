"""Renders the report: the text of ``template.html.j2`` with the values prepared here."""

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from b3shared.evaluation.backtest_summary import SHOWN
from b3shared.evaluation.report.cells import NOT_DEFINED, Metrics
from b3shared.evaluation.report.tables import make_tables
from b3shared.evaluation.report.titles import title_of
from b3shared.evaluation.verdict import evidence_of, verdict_of
from b3shared.params.models import model_specs

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "template.html.j2"


def render_report(metrics: Metrics, pictures: Mapping[str, bytes]) -> str:
    """Render the page: one file without scripts that loads nothing from elsewhere.

    Args:
        metrics: finished, JSON types.
        pictures: PNG bytes by name. The template says where each stands; a missing one is left out.
    """
    encoded = {name: b64encode(image).decode() for name, image in pictures.items()}
    return _template().render(prepare(metrics), pictures=encoded)


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only where a page is made

    environment = Environment(
        loader=PackageLoader(__package__, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(TEMPLATE)


def prepare(metrics: Metrics) -> dict[str, Any]:
    """Prepare everything that the template shows except the pictures, each number formatted."""
    params = metrics["params"]
    titles = {spec.name: spec.title for spec in model_specs()}

    return {
        "model": titles.get(params["model_type"], params["model_type"]),
        "label": params["label"],
        "horizon": params["horizon"],
        "verdict": verdict_of(metrics),
        "evidence": evidence_of(metrics),
        "skill": metrics["skill"],
        "warnings": metrics["warnings"],
        "context": metrics["context"],
        "parts": metrics["parts"],
        "test_tickers": metrics["test_tickers"],
        "baselines": {
            title_of(name): baseline["description"]
            for name, baseline in metrics["baselines"].items()
        },
        "tables": make_tables(metrics),
        "price_error": price_error(metrics),
        "intervals": interval_facts(metrics),
        "costs": trading_costs(metrics),
        "benchmarks": metrics["backtest"]["benchmarks"][SHOWN[1]],
        "benchmark_findings": metrics["backtest"]["findings"],
        "sectors": metrics["sectors"],
        "params": own_params(params),
    }


def price_error(metrics: Metrics) -> dict[str, Any] | None:
    """Compare the price error with persistence's; None for a model without prices.

    Returns:
        "difference", None where it is not defined, and "is_above"; "upper", the upper end of its
        95 % interval, None where there is none, and "upper_is_above".
    """
    found = metrics["intervals"].get("price_mape_excess")
    if found is None:
        return None
    estimate = found["estimate"]
    upper = found["ci95"][1]
    return {
        "difference": None if estimate is None else f"{abs(estimate):.2%}",
        "is_above": estimate is not None and estimate > 0,
        "upper": None if upper is None else f"{upper:+.2%}",
        "upper_is_above": upper is not None and upper > 0,
    }


def interval_facts(metrics: Metrics) -> dict[str, str] | None:
    """How the intervals of the model and of persistence were fitted; None for a model without."""
    found = metrics["return_interval"]
    if not found:
        return None
    fit = found["persistence"]
    return {
        "level": f"{found['level']:.0%}",
        "quantile": f"{fit['quantile']:.2f}",
        "rows": f"{fit['rows']:,}",
        "first": fit["first"],
        "last": fit["last"],
    }


def trading_costs(metrics: Metrics) -> dict[str, str]:
    """Costs of the backtest: basis points of a side, and the yearly rate of borrowed stock."""
    costs = metrics["backtest"]["costs"]
    return {
        "per_side_bp": f"{costs['per_side_bp']:.0f}",
        "fees_bp": f"{costs['fees_bp']:.0f}",
        "half_spread_bp": f"{costs['half_spread_bp']:.0f}",
        "borrow_rate": f"{costs['borrow_rate']:.1%}",
    }


def own_params(params: Metrics) -> dict[str, object]:
    """Flatten the run's parameters and those of its model: "rf.max_depth"; None is a dash."""
    flat: dict[str, object] = {}
    for name, value in params.items():
        if not isinstance(value, Mapping):
            flat[name] = value
        elif name == params["model_type"]:
            flat |= {f"{name}.{key}": own for key, own in value.items()}
    return {name: NOT_DEFINED if value is None else value for name, value in flat.items()}
