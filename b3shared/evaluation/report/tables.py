"""Tables of the report: the metrics that each has, and their formats.

Every function takes finished metrics, JSON types. The text about a table is in the template.
"""

from dataclasses import dataclass

from b3shared.evaluation.learning_curves import CURVES
from b3shared.evaluation.report.backtest_tables import backtest_table, sectors_table
from b3shared.evaluation.report.cells import (
    Metrics,
    Table,
    make_table,
    number,
    with_interval,
)
from b3shared.evaluation.report.titles import title_of

PART_NAMES = {"train": "train", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Column:
    """A column of a metric that has intervals.

    Attributes:
        heading: with the unit.
        metric: key of the metric.
        form: its format.
        scale: factor from the metric to the heading's unit.
    """

    heading: str
    metric: str
    form: str
    scale: float = 1.0


PROBABILITIES = (
    Column("rank IC", "rank_ic", "+.4f"),
    Column("ICIR", "icir", "+.3f"),
    Column("top - bottom (%)", "quintile_spread", "+.3f", 100),
    Column("log loss (nats)", "log_loss", ".4f"),
    Column("skill (%)", "log_loss_skill", "+.2f", 100),
    Column("Brier", "brier", ".4f"),
    Column("ECE", "ece", ".4f"),
)
ACTIONS = (
    Column("accuracy (%)", "accuracy", ".1f", 100),
    Column("balanced accuracy (%)", "balanced_accuracy", ".1f", 100),
    Column("macro F1", "macro_f1", ".3f"),
    Column("weighted F1", "weighted_f1", ".3f"),
    Column("MCC", "mcc", "+.3f"),
    Column("direction (%)", "directional_accuracy", ".1f", 100),
)
RETURNS = (
    Column("MAE (%)", "return_mae", ".3f", 100),
    Column("MSE (%²)", "return_mse", ".3f", 1e4),
    Column("RMSE (%)", "return_rmse", ".3f", 100),
    Column("R2 (%)", "return_r2", "+.2f", 100),
    Column("R2 against zero (%)", "return_r2_over_zero", "+.2f", 100),
    Column("sign right (%)", "return_sign_accuracy", ".1f", 100),
    Column("rank IC", "return_rank_ic", "+.4f"),
    Column("ICIR", "return_icir", "+.3f"),
)
PRICES = (
    Column("MAPE (%)", "price_mape", ".3f", 100),
    Column("MAE (R$)", "price_mae", ".4f"),
    Column("RMSE (R$)", "price_rmse", ".4f"),
    Column("MAPE over persistence's (%)", "price_mape_excess", "+.2f", 100),
    Column("MAE over persistence's (%)", "price_mae_excess", "+.2f", 100),
)
INTERVALS = (
    Column("coverage (%)", "interval_coverage", ".1f", 100),
    Column("mean width (%)", "interval_width", ".2f", 100),
    Column("interval score (%)", "interval_score", ".3f", 100),
)


def make_tables(metrics: Metrics) -> dict[str, Table | None]:
    """Make every table, by its name in the template; None for one that the model lacks."""
    of_actions: dict[str, Table | None] = {
        "probabilities": metrics_table(metrics, PROBABILITIES),
        "actions": metrics_table(metrics, ACTIONS),
        "differences": differences_table(metrics),
        "classes": classes_table(metrics),
        "parts": parts_table(metrics),
        "gaps": gaps_table(metrics),
    }

    of_returns: dict[str, Table | None] = {
        "returns": metrics_table(metrics, RETURNS),
        "prices": metrics_table(metrics, PRICES),
        "intervals": metrics_table(metrics, INTERVALS),
        "interval_gain": interval_gain_table(metrics),
        "interval_months": interval_months_table(metrics),
    }

    return {
        **of_actions,
        **of_returns,
        "backtest": backtest_table(metrics),
        "sectors": sectors_table(metrics),
        "months": months_table(metrics),
        "training": training_table(metrics),
    }


def metrics_table(metrics: Metrics, columns: tuple[Column, ...]) -> Table:
    """Metrics of the model and the baselines, test part; a forecaster without them is left out."""
    forecasters = {"model": metrics["intervals"]}
    forecasters |= {
        title_of(name): baseline["intervals"] for name, baseline in metrics["baselines"].items()
    }
    rows = [
        [name, *(with_interval(found.get(c.metric), c.form, c.scale) for c in columns)]
        for name, found in forecasters.items()
        if any(column.metric in found for column in columns)
    ]
    return make_table(["", *(column.heading for column in columns)], rows)


def differences_table(metrics: Metrics) -> Table:
    """Gains of the model over the baselines, paired by date."""
    rows = [
        [
            title_of(name),
            with_interval(found, "+.5f"),
            *(number(bound, "+.5f") for bound in found["ci99"]),
        ]
        for name, found in metrics["differences"].items()
    ]
    return make_table(["", "gain", "99 % lower bound", "99 % upper bound"], rows)


def classes_table(metrics: Metrics) -> Table:
    """Precision, recall and F1 of each class, and the confusion matrix beside them."""
    test = metrics["model"]["test"]
    header = ["actual", "precision", "recall", "F1", "rows"]
    header += [f"predicted {name}" for name in metrics["classes"]]
    rows = [
        [
            name,
            *(number(found[metric], ".3f") for metric in ("precision", "recall", "f1")),
            f"{found['support']:,}",
            *(f"{count:,}" for count in counts),
        ]
        for (name, found), counts in zip(
            test["per_class"].items(), test["confusion_matrix"], strict=True
        )
    ]

    return make_table(header, rows)


def parts_table(metrics: Metrics) -> Table:
    """Dates, rows and class shares of each part."""
    rows = [
        [
            PART_NAMES[name],
            part["first"],
            part["last"],
            part["dates"],
            f"{part['rows']:,}",
            *(f"{share:.1%}" for share in part["class_shares"].values()),
        ]
        for name, part in metrics["parts"].items()
    ]
    header = ["part", "first date", "last date", "dates", "rows", *metrics["classes"]]

    return make_table(header, rows)


def gaps_table(metrics: Metrics) -> Table:
    """The model's metrics on each part, and train minus validation."""
    rows = [
        [
            title_of(name),
            *(number(metrics["model"][part][name], ".4f") for part in PART_NAMES),
            number(gap, "+.4f"),
        ]
        for name, gap in metrics["gaps"].items()
    ]
    return make_table(["", *PART_NAMES.values(), "train - validation"], rows)


def interval_gain_table(metrics: Metrics) -> Table:
    """Gain in interval score over persistence, paired by date; a dash without intervals."""
    found = metrics["differences"].get("interval_score_gain_over_persistence")
    gain = with_interval(found, "+.4f", 100)
    return make_table(["", "gain (%)"], [["interval score over persistence", gain]])


def interval_months_table(metrics: Metrics) -> Table | None:
    """Coverage and width of the model's intervals by month; None for a model without."""
    if not metrics["return_interval"]:
        return None
    rows = [
        [
            month["month"],
            f"{month['rows']:,}",
            number(month["interval_coverage"], ".1f", 100),
            number(month["interval_width"], ".2f", 100),
        ]
        for month in metrics["months"]
    ]

    return make_table(["month", "rows", "coverage (%)", "mean width (%)"], rows)


def months_table(metrics: Metrics) -> Table:
    """Rank IC and log loss by month, beside the class prior's."""
    rows = [
        [
            month["month"],
            month["dates"],
            f"{month['rows']:,}",
            number(month["rank_ic"], "+.4f"),
            number(month["log_loss"], ".4f"),
            number(month["prior_log_loss"], ".4f"),
            number(month["prior_log_loss"] - month["log_loss"], "+.4f"),
        ]
        for month in metrics["months"]
    ]
    header = [
        "month",
        "dates",
        "rows",
        "rank IC",
        "log loss",
        "log loss of the class prior",
        "gain",
    ]

    return make_table(header, rows)


def training_table(metrics: Metrics) -> Table | None:
    """The curves of the training by epoch; None for a model without epochs."""
    curves = metrics["training"]
    if not curves:
        return None
    columns = [name for name in CURVES if name in curves]
    forms = {"learning_rate": ".2g", "seconds": ".1f"}
    rows = [
        [f"{epoch} (kept)" if epoch == curves["best_epoch"] else epoch]
        + [number(curves[name][at], forms.get(name, ".5f")) for name in columns]
        for at, epoch in enumerate(curves["epochs"])
    ]
    headings = [title_of(name.replace("val_", "validation ")) for name in columns]

    return make_table(["epoch", *headings], rows)
