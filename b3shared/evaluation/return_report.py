"""What the report says of returns, prices, intervals and the course of the training, each with how to read it."""

from collections.abc import Mapping
from typing import Any

from b3shared.evaluation.markup import Html, number, paragraph, table, with_interval
from b3shared.evaluation.training import CURVES

Metrics = Mapping[str, Any]

READING = {
    "return": "MAE, RMSE and R2 on the total return over the horizon. R2 is given twice: against the mean of the very rows "
    "that are judged, and against zero. Monthly forecasts of the field reach some 0.4 % against zero; daily ones less.",
    "sign": "of the rows where neither the forecast nor the return is 0, the share with the same sign; above 60 % is a leak "
    "until proven otherwise.",
    "price": "close x (1 + return). Its errors mean something only beside persistence's, 'the price stays': R2 on price "
    "levels reaches 0.98 and more for that too, is no skill, and is not given.",
    "interval score": "width plus a penalty for what lies outside (Gneiting and Raftery 2007), in percent of the price; "
    "lower is better. Persistence's interval is of the same kind, around zero.",
}

PICTURES = {
    "return_calibration": "On the dashed line the realised return is what was forecast; a flat line is a forecast of "
    "nothing. Test part, bins of about equally many rows.",
    "coverage_by_month": "An interval set on the past covers what was asked for only where markets stay alike: months far "
    "below the dashed line were wilder than the validation part.",
    "training_curves": "Where the train loss falls on and the validation loss does not, the network learns by heart; the "
    "weights of the dashed epoch were kept. The train loss is that of the epoch's steps, with dropout, so it may lie above.",
}

RETURNS = (
    ("MAE (%)", "return_mae", ".3f", 100),
    ("MSE (%²)", "return_mse", ".3f", 1e4),
    ("RMSE (%)", "return_rmse", ".3f", 100),
    ("R2 (%)", "return_r2", "+.2f", 100),
    ("R2 against zero (%)", "return_r2_over_zero", "+.2f", 100),
    ("sign right (%)", "return_sign_accuracy", ".1f", 100),
    ("rank IC", "return_rank_ic", "+.4f", 1),
    ("ICIR", "return_icir", "+.3f", 1),
)
PRICES = (
    ("MAPE (%)", "price_mape", ".3f", 100),
    ("MAE (R$)", "price_mae", ".4f", 1),
    ("RMSE (R$)", "price_rmse", ".4f", 1),
    ("MAPE over persistence's (%)", "price_mape_excess", "+.2f", 100),
    ("MAE over persistence's (%)", "price_mae_excess", "+.2f", 100),
)
INTERVALS = (
    ("coverage (%)", "interval_coverage", ".1f", 100),
    ("mean width (%)", "interval_width", ".2f", 100),
    ("interval score (%)", "interval_score", ".3f", 100),
)
Columns = tuple[tuple[str, str, str, float], ...]


def return_tables(metrics: Metrics, names: Mapping[str, str]) -> list[Html]:
    """Errors of returns and prices beside persistence's.

    Args:
        metrics: finished, JSON types.
        names: baseline -> how the page calls it.
    """
    none = "This model forecasts classes, no returns; what it would have to beat:"
    said = "return_mae" in metrics["intervals"]
    return [
        *([] if said else [paragraph(none, "soft")]),
        _table(metrics, names, RETURNS, "Total return over the horizon"),
        _table(metrics, names, PRICES, "Price at the end of the horizon"),
        *([paragraph(_price_verdict(metrics))] if said else []),
    ]


def interval_tables(metrics: Metrics, names: Mapping[str, str]) -> list[Html]:
    """Coverage, width and score beside an interval around zero; nothing for a model without intervals."""
    found = metrics["return_interval"]
    if not found:
        return []
    fit = found["persistence"]
    how = (
        f"The intervals were asked to cover {found['level']:.0%}. Persistence's is zero ± {fit['quantile']:.2f} times the "
        f"trailing volatility over the horizon, set on {fit['rows']:,} validation rows from {fit['first']} to {fit['last']}."
    )
    gain = with_interval(metrics["differences"].get("interval_score_gain_over_persistence"), "+.4f", 100)
    return [
        _table(metrics, names, INTERVALS, "Intervals of the return"),
        paragraph(how, "soft"),
        table(["", "gain (%)"], [["interval score over persistence", gain]], "Above 0 speaks for the model, paired by date"),
        _months(metrics),
    ]


def training_table(metrics: Metrics) -> Html:
    """Loss by epoch; nothing for a model without epochs."""
    curves = metrics["training"]
    if not curves:
        return Html("")
    columns = [name for name in CURVES if name in curves]
    forms = {"learning_rate": ".2g", "seconds": ".1f"}
    rows = [
        [f"{epoch} (kept)" if epoch == curves["best_epoch"] else epoch]
        + [number(curves[name][at], forms.get(name, ".5f")) for name in columns]
        for at, epoch in enumerate(curves["epochs"])
    ]
    return table(["epoch", *(name.replace("val_", "validation ").replace("_", " ") for name in columns)], rows)


def _table(metrics: Metrics, names: Mapping[str, str], columns: Columns, caption: str) -> Html:
    found = {"model": metrics["intervals"]}
    found |= {names[name]: baseline["intervals"] for name, baseline in metrics["baselines"].items()}
    rows = (
        [name, *(with_interval(figures.get(figure), form, scale) for _, figure, form, scale in columns)]
        for name, figures in found.items()
        if columns[0][1] in figures
    )
    return table(["", *(heading for heading, *_ in columns)], rows, f"{caption}; below each figure its 95 % interval")


def _price_verdict(metrics: Metrics) -> str:
    """How near the price comes to "the price stays", in one sentence."""
    found = metrics["intervals"]["price_mape_excess"]
    if found["estimate"] is None:
        return "The price error cannot be compared with persistence's: that is zero."
    side = "above" if found["estimate"] > 0 else "below"
    sentence = f"The MAPE of the price is {abs(found['estimate']):.2%} {side} persistence's"
    high = found["ci95"][1]
    if high is None:
        return f"{sentence}; there are too few dates for an interval."
    bound = f"within {high:+.2%} of it" if high > 0 else "below it"
    return f"{sentence}; at the upper end of its 95 % interval it is {bound}."


def _months(metrics: Metrics) -> Html:
    rows = [
        [m["month"], f"{m['rows']:,}", number(m["interval_coverage"], ".1f", 100), number(m["interval_width"], ".2f", 100)]
        for m in metrics["months"]
    ]
    return table(["month", "rows", "coverage (%)", "mean width (%)"], rows, "The model's intervals, month by month")
