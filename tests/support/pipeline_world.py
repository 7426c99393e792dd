"""Test data of the pipeline: a small lake, small forests, copies of the template."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline_client import storage_of
from samtranslator.yaml_helper import yaml_parse
from small_run import SMALL

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.quotes.lake.write import write_lake
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from infra.local import LocalStack

TICKERS = tuple(SMALL["tickers"])

FOREST = {name: value for name, value in SMALL.items() if name != "tickers"}
"""A forest that is trained in a second, with nothing to search for."""

SLOW_FOREST = FOREST | {"n_estimators": 150, "refit": False}
"""The same, trained in some seconds, once."""

PATIENT = {"Environment": "LOCAL", "WaitSeconds": "600", "ApiTimeout": "900"}
"""Parameters of the template: a caller may wait as long as a busy machine takes."""


def write_small_lake(stack: LocalStack) -> None:
    """Fill the lake of a stack with the bundled quotes of eight tickers."""
    quotes = ParquetSource(BUNDLED_QUOTES).read(QuoteQuery(tickers=TICKERS))
    write_lake(quotes, storage_of(stack))


# -- copies of the template


def faulty_template(repository: Path, root: Path) -> Path:
    """Write a copy of the template under ``root`` and return it; the code stays the repository's.

    Quotes come from ``root/quotes.parquet``, TrainRf has a second, and a passing fault is retried
    at once, but longer.
    """
    copy = _copied(repository, root)

    template = _read(copy)
    _set(template, "B3_QUOTES", f"{root}/quotes.parquet")
    template["Resources"]["TrainRfFunction"]["Properties"]["Timeout"] = 1
    _write(copy, template)

    machine = root / "infra" / "pipeline.asl.yaml"
    definition = _read(machine)
    retries = [
        retry
        for part in _mappings(definition)
        for retry in part.get("Retry", [])
        if "SourceUnavailableError" in retry["ErrorEquals"]
    ]
    assert retries, f"{machine.name} retries no SourceUnavailableError any more"
    for retry in retries:
        retry |= {"IntervalSeconds": 1, "BackoffRate": 1.2, "MaxAttempts": 10}
    _write(machine, definition)

    return copy


def sliced_template(repository: Path, root: Path) -> Path:
    """Write a copy whose LSTM trainer has time for one gradient step a call, on any computer."""
    copy = _copied(repository, root)
    template = _read(copy)
    _set(template, "B3_SLICE_SECONDS", "0")
    _write(copy, template)
    return copy


def _copied(repository: Path, root: Path) -> Path:
    """The template and its state machines under ``root``, beside links to the code."""
    for name in ("functions", "b3shared"):
        (root / name).symlink_to(repository / name)
    (root / "infra").mkdir()
    for definition in (repository / "infra").glob("*.asl.yaml"):
        shutil.copy(definition, root / "infra")
    return Path(shutil.copy(repository / "template.yaml", root))


def _read(file: Path) -> dict[str, Any]:
    return dict(yaml_parse(file.read_text(encoding="utf-8")))


def _write(file: Path, document: dict[str, Any]) -> None:
    """Write a document as JSON, which is YAML too."""
    file.write_text(json.dumps(document, indent=1), encoding="utf-8")


def _set(document: dict[str, Any], name: str, value: str) -> None:
    """Give every entry of this name, at any depth, a value; there must be one."""
    owners = [part for part in _mappings(document) if name in part]
    assert owners, f"the template has no {name} any more"
    for owner in owners:
        owner[name] = value


def _mappings(document: Any) -> Iterator[dict[str, Any]]:
    """All mappings of a document, at any depth."""
    if isinstance(document, dict):
        yield document
    parts = document.values() if isinstance(document, dict) else document
    if isinstance(document, dict | list):
        for part in parts:
            yield from _mappings(part)
