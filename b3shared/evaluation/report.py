"""The evaluation as one HTML page that a reader without any tool can open, mail and keep."""

from collections.abc import Mapping
from typing import Any

from b3shared.evaluation import return_report
from b3shared.evaluation.markup import (
    Html,
    definitions,
    folded,
    number,
    page,
    paragraph,
    picture,
    section,
    table,
    text,
    with_interval,
    words,
)
from b3shared.evaluation.titles import title_of

Metrics = Mapping[str, Any]

READING = {
    "rank IC": "Spearman correlation, per date over its stocks, of the score P(buy) - P(sell) and the return that "
    "followed; mean over the dates. ICIR is that mean over its deviation. The field's best reach 0.03 to 0.05.",
    "log loss": "mean of -ln(probability given to what happened); lower is better. Skill is 1 - loss / loss of the class "
    "prior, the class shares of the train part: 0 is knowing nothing, below 0 is worse than that.",
    "Brier": "squared distance of the probabilities to the outcome, summed over the classes, 0 to 2; lower is better.",
    "ECE": "mean distance between forecast probability and observed share, ten equally filled bins per class.",
    "balanced accuracy": "mean recall of the classes; one third without skill. Plain accuracy and weighted F1 are high "
    "for whoever always says the commonest class.",
    "direction": "of the rows called buy or sell, the share whose return then had that sign. 50 to 56 % is honest; above "
    "60 % is a leak until proven otherwise.",
    "top - bottom": "mean return of each date's fifth with the highest scores minus that of the lowest, over the horizon.",
    **return_report.READING,
    "intervals": "95 %, from resampling whole blocks of consecutive dates. That of the ECE lies rather high.",
}

COMPARED = {
    "In probabilities and order": (
        ("rank IC", "rank_ic", "+.4f", 1),
        ("ICIR", "icir", "+.3f", 1),
        ("top - bottom (%)", "quintile_spread", "+.3f", 100),
        ("log loss (nats)", "log_loss", ".4f", 1),
        ("skill (%)", "log_loss_skill", "+.2f", 100),
        ("Brier", "brier", ".4f", 1),
        ("ECE", "ece", ".4f", 1),
    ),
    "In calls": (
        ("accuracy (%)", "accuracy", ".1f", 100),
        ("balanced accuracy (%)", "balanced_accuracy", ".1f", 100),
        ("macro F1", "macro_f1", ".3f", 1),
        ("weighted F1", "weighted_f1", ".3f", 1),
        ("MCC", "mcc", "+.3f", 1),
        ("direction (%)", "directional_accuracy", ".1f", 100),
    ),
}
"""Table -> its columns: heading, figure, format, factor."""

MODEL_NAMES = {"rf": "random forest", "lstm": "LSTM"}
PARTS = {"val": "validation"}
CONTEXT = {"run_id": "run", "source": "quotes", "test_openings": "openings of this test part"}
"""Facts of the run, as the page calls them."""

PICTURES = {
    "rank_ic_comparison": "How well each forecaster orders the stocks of a day; the dashed line is no skill.",
    "confusion_matrix": "What was called against what happened, test part.",
    "reliability": "Do the probabilities mean what they say? Test part, ten equally filled bins per class.",
    "ic_by_month": "Rank IC by month of the test part.",
    "equity": "Value of 1 invested, after costs, entered at the close after the call; dashed: all stocks equally, which "
    "needs no model.",
    "feature_importance": "Importance that the model gives to its features, in percent of all of it.",
    "action_samples_predictions": "The model's calls, newest half year of the test part; a split shows as a jump.",
    "action_samples_labels": "What the labels, known only afterwards, would have said; the same tickers.",
    **return_report.PICTURES,
}


def render_report(metrics: Metrics, figures: Mapping[str, bytes]) -> str:
    """The page for finished metrics (JSON types) and their pictures (PNG bytes)."""
    params, context = metrics["params"], metrics["context"]
    model, horizon = params["model_type"], f"{params['horizon']} session{'s'[: params['horizon'] > 1]} ahead"
    what = f"{MODEL_NAMES.get(model, model)}, label '{params['label']}', {horizon}"
    names = {name: title_of(name) for name in metrics["baselines"]}
    shown = {CONTEXT.get(name, title_of(name)): value for name, value in context.items()}

    def pictures(*names: str) -> Html:
        return Html("".join(picture(figures[name], PICTURES[name]) for name in names if name in figures))

    return page(
        f"Evaluation: {what}",
        Html(f"<h1>{text('Evaluation: ' + what)}</h1>"),
        definitions(shown),
        paragraph(metrics["headline"], "headline"),
        paragraph(Html(f"Verdict on skill: <strong>{text(metrics['skill'])}</strong>")),
        *(paragraph(warning, "warning") for warning in metrics["warnings"]),
        folded("How to read the figures", definitions(READING)),
        section(
            "Beside the baselines, test part",
            *_comparison(metrics),
            folded("What the baselines do", _baseline_list(metrics)),
            pictures("rank_ic_comparison"),
        ),
        section("Model against baseline, paired by date", _differences(metrics)),
        section("Class by class, test part", _classes(metrics), pictures("confusion_matrix", "reliability")),
        section("Train, validation, test", _parts(metrics), _overfit(metrics)),
        section(
            "Returns and prices, test part",
            *return_report.return_tables(metrics, names),
            pictures("return_calibration"),
        ),
        section(
            "Intervals of the return, test part",
            *return_report.interval_tables(metrics, names),
            pictures("coverage_by_month"),
        ),
        section("Backtest, test part", pictures("equity"), _backtest(metrics), paragraph(_assumptions(metrics), "soft")),
        section("Month by month, test part", _months(metrics), pictures("ic_by_month")),
        section(
            "Training, epoch by epoch",
            pictures("training_curves"),
            *(folded("Figures by epoch", epochs) for epochs in [return_report.training_table(metrics)] if epochs),
        ),
        section("What the model looks at", pictures("feature_importance")),
        section("Calls on the chart", pictures("action_samples_predictions", "action_samples_labels")),
        section("Parameters", definitions(_flat(params))),
    )


def _flat(params: Metrics) -> dict[str, object]:
    """Nested names joined by a dot, None as a dash."""
    nested = {f"{k}.{name}": v for k, group in params.items() if isinstance(group, Mapping) for name, v in group.items()}
    flat = {k: v for k, v in params.items() if not isinstance(v, Mapping)} | nested
    return {k: "–" if v is None else v for k, v in flat.items()}


def _comparison(metrics: Metrics) -> list[Html]:
    found = {"model": metrics["intervals"]}
    found |= {title_of(name): baseline["intervals"] for name, baseline in metrics["baselines"].items()}
    return [
        table(
            ["", *(heading for heading, *_ in columns)],
            (
                [name, *(with_interval(figures.get(figure), form, scale) for _, figure, form, scale in columns)]
                for name, figures in found.items()
                if any(figure in figures for _, figure, *_ in columns)
            ),
            f"{caption}; below each figure its 95 % interval",
        )
        for caption, columns in COMPARED.items()
    ]


def _baseline_list(metrics: Metrics) -> Html:
    return definitions({title_of(name): baseline["description"] for name, baseline in metrics["baselines"].items()})


def _differences(metrics: Metrics) -> Html:
    rows = [
        [title_of(name), with_interval(found, "+.5f"), *(number(bound, "+.5f") for bound in found["ci99"])]
        for name, found in metrics["differences"].items()
    ]
    header = ["", "gain", "99 % lower bound", "99 % upper bound"]
    caption = (
        "Above 0 speaks for the model: an error or loss that is lower (log loss in nats, errors of returns and prices as "
        "fractions), a rank IC or F1 that is higher"
    )
    return table(header, rows, caption)


def _classes(metrics: Metrics) -> Html:
    test = metrics["model"]["test"]
    rows = [
        [name, *(number(found[k], ".3f") for k in ("precision", "recall", "f1")), f"{found['support']:,}", *counts]
        for (name, found), counts in zip(
            test["per_class"].items(), ([f"{n:,}" for n in row] for row in test["confusion_matrix"]), strict=True
        )
    ]
    header = ["happened", "precision", "recall", "F1", "rows", *(f"called {name}" for name in metrics["classes"])]
    return table(header, rows)


def _parts(metrics: Metrics) -> Html:
    rows = [
        [
            PARTS.get(name, name),
            p["first"],
            p["last"],
            p["dates"],
            f"{p['rows']:,}",
            *(f"{share:.1%}" for share in p["class_shares"].values()),
        ]
        for name, p in metrics["parts"].items()
    ]
    return table(["part", "first date", "last date", "dates", "rows", *metrics["classes"]], rows)


def _overfit(metrics: Metrics) -> Html:
    model = metrics["model"]
    rows = [
        [title_of(name), *(number(model[part][name], ".4f") for part in ("train", "val", "test")), number(gap, "+.4f")]
        for name, gap in metrics["gaps"].items()
    ]
    return table(
        ["", "train", "validation", "test", "train - validation"],
        rows,
        "A wide gap between train and validation is learning by heart",
    )


def _backtest(metrics: Metrics) -> Html:
    rows = [
        [
            title_of(name),
            words(f"{title_of(variant)}, {title_of(entry)}"),
            *(number(found[k], ".1f", 100) for k in ("invested_share", "gross_annual_return", "net_annual_return")),
            number(found["annual_volatility"], ".1f", 100),
            number(found["sharpe"], ".2f"),
            number(found["max_drawdown"], ".1f", 100),
            number(found["turnover"], ".0f", 100),
            with_interval(found["net_daily_mean"], "+.1f", 1e4),
            with_interval(found["excess_daily_mean"], "+.1f", 1e4),
        ]
        for name, variants in metrics["backtest"]["strategies"].items()
        for variant, entries in variants.items()
        for entry, found in entries.items()
    ]
    header = [
        "",
        words("variant, entry"),
        "dates invested (%)",
        "gross (% a year)",
        "net (% a year)",
        "volatility (% a year)",
    ]
    header += ["Sharpe", "worst fall (%)", "turnover (% a session)", "net mean (bp a session)", "over the universe (bp)"]
    return table(header, rows)


def _assumptions(metrics: Metrics) -> str:
    costs = metrics["backtest"]["costs"]
    return (
        "The universe is all stocks, equally weighted. A strategy holds at most the best fifth of the stocks called, "
        "equally weighted, 1/horizon of the capital a session, for the "
        f"horizon. Costs: {costs['per_side_bp']:.0f} bp of the traded value a side ({costs['fees_bp']:.0f} fees, "
        f"{costs['half_spread_bp']:.0f} half spread), {costs['borrow_rate']:.1%} a year for borrowed stock. 'Same close' "
        "trades at the close that the features are computed from, which is optimistic; 'next close' is one session later. "
        "The return over the horizon is spread equally over it, an approximation: volatility and Sharpe ratio are "
        "therefore taken from whole holding periods, and the worst fall is somewhat too small. Cash earns nothing; taxes "
        "and market impact are left out. The stocks are those of the data: where delisted ones are missing, everything "
        "here is too good."
    )


def _months(metrics: Metrics) -> Html:
    rows = [
        [
            m["month"],
            m["dates"],
            f"{m['rows']:,}",
            number(m["rank_ic"], "+.4f"),
            number(m["log_loss"], ".4f"),
            number(m["prior_log_loss"], ".4f"),
            number(m["prior_log_loss"] - m["log_loss"], "+.4f"),
        ]
        for m in metrics["months"]
    ]
    return table(["month", "dates", "rows", "rank IC", "log loss", "log loss of the class prior", "gain"], rows)
