"""The page of an evaluation: of a real run on the bundled quotes, and of a model with returns."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from small_run import SMALL

from b3shared import B3Model
from b3shared.evaluation.evaluate import evaluate
from b3shared.evaluation.metrics import class_shares
from b3shared.evaluation.report.page import render_report
from b3shared.evaluation.report.titles import title_of
from b3shared.models.base import Forecast
from b3shared.models.conformal import ReturnScale
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step

PARAMS = PipelineParams(model_type="lstm")
UPPER_END = "at the upper end of its 95 % interval it is"
BAD = """<script>alert("x")</script> & Co's"""
VOID = {"meta", "img"}
HISTORY = [
    {"epoch": 1, "train_loss": 1.1, "val_loss": 1.09, "learning_rate": 1e-3},
    {"epoch": 2, "train_loss": 1.0, "val_loss": 1.07, "learning_rate": 1e-3},
    {"epoch": 3, "train_loss": 0.9, "val_loss": 1.08, "learning_rate": 5e-4},
]


class Page(HTMLParser):
    """A parsed page; its tags must be closed in the order in which they were opened."""

    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.open = []
        self.links = []
        self.images = []
        self.pieces = []
        self.rows = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for name, v in attrs if name in ("src", "href", "srcset", "action")]
        if tag == "img":
            self.images.append(dict(attrs))
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.pieces.append(data)
        if {"th", "td"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def words(self):
        """The text, every run of white space as one space."""
        return " ".join("".join(self.pieces).split())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The files of the evaluation step of a small run on the bundled quotes: a forest."""
    model = B3Model(storage=tmp_path_factory.mktemp("store"))
    result = model.run(run_id="page", **SMALL)
    artifacts = result.records[Step.EVALUATE_MODEL].artifacts
    return {name: model.storage.read(artifact.key) for name, artifact in artifacts.items()}


@pytest.fixture(scope="module")
def metrics(run):
    return json.loads(run["metrics.json"])


@pytest.fixture(scope="module")
def page(run):
    return Page(run["report.html"].decode())


@pytest.fixture(scope="module")
def network(make_market, split):
    """An evaluation with returns, intervals and epochs; a ticker and the source are markup."""
    market = make_market(n_tickers=20, n_dates=400, signal=0.5)
    names = np.where(market.ticker == market.ticker[0], BAD, market.ticker.astype(object))
    market = replace(market, ticker=names.astype(str))
    parts = split(market)

    tilt = market.X[:, 0].astype(float)
    logits = np.stack([0.35 * tilt, np.full(len(market), 0.1), -0.35 * tilt], axis=1)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    returns = 0.007 * tilt
    intervals = ReturnScale(PARAMS.horizon, 0.9, 1.6449).intervals(returns, market.volatility)
    forecasts = {
        name: Forecast(p[rows], returns[rows], intervals[rows]) for name, rows in parts.items()
    }

    rates = class_shares(market.label[parts["train"]])
    training = {"history": HISTORY}
    context = {"source": BAD}
    importance = {"f0": 1.0}
    return evaluate(
        market, parts, forecasts, rates, PARAMS, importance, training=training, context=context
    )


@pytest.fixture(scope="module")
def network_page(network):
    return Page(network.report_html)


def test_the_top_says_the_verdict_the_run_the_dates_and_the_stocks(page, metrics):
    top = page.words.partition("How to read the figures")[0]
    tested = metrics["parts"]["test"]

    for words in (
        "Evaluation: random forest, label 'direction', 2 sessions ahead",
        metrics["headline"].partition(" (")[0] + ".",
        f"Verdict on skill: {metrics['skill']}",
        "run page quotes",
        f"quotes {metrics['context']['source']}",
        f"{metrics['parts']['train']['first']} to {metrics['parts']['train']['last']}",
        f"{tested['first']} to {tested['last']}: {tested['dates']} dates",
        f"stocks tested {len(SMALL['tickers'])} {', '.join(sorted(SMALL['tickers']))}",
    ):
        assert words in top, words


def test_the_metrics_stand_in_the_tables(page, metrics):
    rows = {tuple(row) for row in page.rows}
    test = metrics["model"]["test"]

    for name, counts in zip(metrics["classes"], test["confusion_matrix"], strict=True):
        found = test["per_class"][name]
        shares = [f"{found[metric]:.3f}" for metric in ("precision", "recall", "f1")]
        counted = [f"{count:,}" for count in (found["support"], *counts)]
        assert (name, *shares, *counted) in rows
    for month in metrics["months"]:
        assert any(
            row[:3] == (month["month"], str(month["dates"]), f"{month['rows']:,}") for row in rows
        )
    strategies = metrics["backtest"]["strategies"]
    assert {title_of(name) for name in strategies} <= {row[0] for row in page.rows}
    for name, baseline in metrics["baselines"].items():
        assert title_of(name) in page.words
        assert " ".join(baseline["description"].split()) in page.words
    assert "yesterday's label" in page.words


def test_a_forest_lists_its_own_parameters_and_none_of_the_network(page):
    parameters = page.words.rpartition("Parameters")[2]
    assert "rf.max_depth" in parameters
    assert "horizon" in parameters
    assert "lstm." not in page.words


def test_a_forest_has_no_section_about_intervals_or_epochs(page):
    assert "This model forecasts classes, no returns" in page.words
    assert "Intervals of the return" not in page.words
    assert "Training, epoch by epoch" not in page.words


def test_a_network_has_sections_about_its_returns_intervals_and_epochs(network_page):
    for words in (
        "Intervals of the return, test part",
        "should cover 90% of the returns",
        "2 (kept)",
        "R2 on price levels is not given",
        "at the upper end of its 95 % interval it is below it.",
        "a flat line means that the forecast says nothing",
        "interval score over persistence",
        "lstm.units",
    ):
        assert words in network_page.words, words

    assert "rf.max_depth" not in network_page.words
    assert "This model forecasts classes, no returns" not in network_page.words


@pytest.mark.parametrize("kind", ["forest", "network"])
def test_every_picture_is_inside_the_page_and_has_its_own_alternative_text(
    kind, page, network_page, run, network
):
    found, pictures = {
        "forest": (page, [name for name in run if name.endswith(".png")]),
        "network": (network_page, network.pictures),
    }[kind]
    assert len(found.images) == len(pictures) >= 8
    assert all(image["src"].startswith("data:image/png;base64,") for image in found.images)
    texts = [image["alt"] for image in found.images]
    assert all(len(text) > 10 for text in texts)
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("kind", ["forest", "network"])
def test_the_page_loads_nothing_and_runs_nothing(kind, page, network_page, run, network):
    found, html = {
        "forest": (page, run["report.html"].decode()),
        "network": (network_page, network.report_html),
    }[kind]
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    assert found.tags.count("title") == found.tags.count("h1") == 1
    assert len(found.links) == len(found.images)
    own = re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"://|url\(|@import", own)
    assert not re.search(r"""(src|href)=["']?//""", own)
    assert "prefers-color-scheme:dark" in own


def test_a_ticker_and_a_source_that_are_markup_are_shown_as_text(network, network_page):
    assert "<script" not in network.report_html
    assert network_page.words.count(BAD) == 2


def test_no_text_of_the_metrics_is_taken_for_markup(network):
    def spoilt(value):
        if isinstance(value, dict):
            return {name: spoilt(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [spoilt(inner) for inner in value]
        return BAD if isinstance(value, str) else value

    metrics = spoilt(network.metrics) | {"skill": network.metrics["skill"]}
    html = render_report(metrics, {})
    assert "<script" not in html
    assert Page(html).words.count(BAD) > 20


def test_equal_metrics_give_the_same_page(network):
    again = render_report(network.metrics, network.pictures)
    assert again == network.report_html


@pytest.mark.parametrize(
    ("estimate", "upper", "words"),
    [
        (0.004, 0.0123, f"is 0.40% above persistence's; {UPPER_END} within +1.23% of it."),
        (-0.004, 0.0005, f"is 0.40% below persistence's; {UPPER_END} within +0.05% of it."),
        (-0.004, -0.001, f"is 0.40% below persistence's; {UPPER_END} below it."),
        (-0.004, None, "is 0.40% below persistence's; there are too few dates for an interval."),
        (None, None, "cannot be compared with persistence's: that is zero."),
    ],
    ids=["above", "perhaps below", "below", "no interval", "not defined"],
)
def test_the_page_compares_the_price_error_with_persistence(network, estimate, upper, words):
    found = {"estimate": estimate, "ci95": [None if upper is None else -0.02, upper]}
    found |= {"ci99": [None, None]}
    intervals = network.metrics["intervals"] | {"price_mape_excess": found}
    html = render_report(network.metrics | {"intervals": intervals}, {})
    assert words in Page(html).words
