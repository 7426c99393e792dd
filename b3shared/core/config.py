"""Settings of a deployment, from the environment.

Parameters of a run are in :mod:`b3shared.params.run`.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from b3shared.core.errors import InvalidParameterError

BUNDLED_QUOTES = Path(__file__).resolve().parents[2] / "data" / "quotes.parquet"
"""The real quotes that a checkout has: 62 liquid tickers, 2014 to 2023. A wheel is without them."""

BUNDLED_MARKET = ("cdi.csv", "ibovespa.csv", "sectors.csv")
"""Files of the market beside :data:`BUNDLED_QUOTES`; a storage keeps them under ``market/``."""

NO_BUNDLED_QUOTES = (
    "an installed package has no quotes of its own: name some with --quotes PATH on the command "
    "line, B3Model(quotes=...) in Python, or B3_QUOTES in the environment; `b3 ingest` fetches "
    "those of the exchange"
)
"""What to do where :data:`BUNDLED_QUOTES` is the default and is not there."""

COTAHIST_ADDRESS = "https://bvmf.bmfbovespa.com.br/InstDados/SerHist/COTAHIST_{period}.ZIP"
"""The exchange's own address of its files of historical quotes."""

COMPANIES_ADDRESS = (
    "https://sistemaswebb3-listados.b3.com.br/listedCompaniesProxy/CompanyCall/{call}/{query}"
)
"""The exchange's own address of its answers about listed companies."""

COMPANIES_PACE = 1.0
"""Requests a second: a few hundred companies take some ten minutes, which hurts nobody."""

COMPANIES_DAYS = 3.0
"""Days after which a company is asked for again."""

SHARD_ROWS = 1_000_000
"""A million rows with all columns take 1.0 GiB to clean and 1.1 GiB to make a table of.

The functions that do so have 1.7 and 2.9 GiB.
"""


@dataclass(frozen=True)
class Settings:
    """Where a deployment keeps and finds things.

    Attributes:
        environment: "AWS" or "LOCAL", as in the reference project (variable ``environment``).
        storage: ``s3://bucket/prefix`` or a folder for runs, models and the release
            (``B3_STORAGE``).
        quotes: where quotes are read: ``s3://`` lake, Parquet file or folder, or DuckDB file with
            optional ``#table`` (``B3_QUOTES``).
        state_machine: ARN of the pipeline's state machine (``B3_STATE_MACHINE``); empty outside a
            deployment.
        wait_seconds: how long the control API waits for a step (``B3_WAIT_SECONDS``).
        max_running: runs allowed at once (``B3_MAX_RUNNING``).
        slice_seconds: how long one call of a resumable training may train (``B3_SLICE_SECONDS``);
            without it until a fifth of the function's time is left.
        cotahist_address: where the exchange (or a mirror) has its files, with ``{period}`` for
            A2020, M012020 or D02012020 (``B3_COTAHIST_ADDRESS``).
        companies_address: where the exchange (or a mirror) answers about listed companies, with
            ``{call}`` and ``{query}`` in it (``B3_COMPANIES_ADDRESS``).
        companies_pace: requests a second that are sent there (``B3_COMPANIES_PACE``).
        companies_days: days after which a company is asked for again (``B3_COMPANIES_DAYS``).
        ca_bundle: path of a PEM file of certificates that are trusted instead of the machine's,
            when the exchange is asked (``B3_CA_BUNDLE``); empty for the machine's.
        warehouse: DuckDB file or ``md:`` database that evaluations and requests are written to
            (``B3_WAREHOUSE``); empty for none.
        shard_rows: rows that a step works on at once at most; more quotes are cut into shards of
            whole tickers (``B3_SHARD_ROWS``).
    """

    environment: Literal["AWS", "LOCAL"] = "LOCAL"
    storage: str = "artifacts"
    quotes: str = str(BUNDLED_QUOTES)
    state_machine: str = ""
    wait_seconds: float = 25.0
    max_running: int = 4
    slice_seconds: float = math.inf
    cotahist_address: str = COTAHIST_ADDRESS
    companies_address: str = COMPANIES_ADDRESS
    companies_pace: float = COMPANIES_PACE
    companies_days: float = COMPANIES_DAYS
    ca_bundle: str = ""
    warehouse: str = ""
    shard_rows: int = SHARD_ROWS

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings; a variable that is not set has its default.

        Raises:
            InvalidParameterError: ``environment`` is neither AWS nor LOCAL, or a number is out of
                its bounds.
        """
        environment = _environment(environ)
        if environment not in ("AWS", "LOCAL"):
            raise InvalidParameterError(f"environment must be AWS or LOCAL, got {environment!r}")

        return cls(
            environment="AWS" if environment == "AWS" else "LOCAL",
            storage=environ.get("B3_STORAGE") or cls.storage,
            quotes=environ.get("B3_QUOTES") or cls.quotes,
            state_machine=environ.get("B3_STATE_MACHINE", ""),
            wait_seconds=float(environ.get("B3_WAIT_SECONDS", cls.wait_seconds)),
            max_running=int(environ.get("B3_MAX_RUNNING", cls.max_running)),
            slice_seconds=float(environ.get("B3_SLICE_SECONDS") or cls.slice_seconds),
            cotahist_address=environ.get("B3_COTAHIST_ADDRESS") or cls.cotahist_address,
            companies_address=environ.get("B3_COMPANIES_ADDRESS") or cls.companies_address,
            companies_pace=_within(
                environ, "B3_COMPANIES_PACE", cls.companies_pace, least=0.01, most=20
            ),
            companies_days=_within(
                environ, "B3_COMPANIES_DAYS", cls.companies_days, least=0, most=365
            ),
            ca_bundle=environ.get("B3_CA_BUNDLE", ""),
            warehouse=environ.get("B3_WAREHOUSE", ""),
            shard_rows=_positive(environ, "B3_SHARD_ROWS", cls.shard_rows),
        )


@dataclass(frozen=True)
class DatabaseSettings:
    """What connections to DuckDB and MotherDuck take from the environment.

    Attributes:
        local: whether this is a user's own machine (variable ``environment``).
        function_memory: MiB of the Lambda function, from Lambda's own variable
            (``AWS_LAMBDA_FUNCTION_MEMORY_SIZE``); None elsewhere.
        motherduck_secret: ARN of the secret that holds MotherDuck's token
            (``MOTHERDUCK_SECRET_ARN``); empty for none.
        motherduck_token: the token itself (``MOTHERDUCK_TOKEN``); empty for none, and on AWS.
    """

    local: bool = True
    function_memory: int | None = None
    motherduck_secret: str = ""
    motherduck_token: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "DatabaseSettings":
        """Read the settings; what is not set has its default."""
        local = _environment(environ) == "LOCAL"
        memory = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        return cls(
            local=local,
            function_memory=int(memory) if memory.isdigit() else None,
            motherduck_secret=environ.get("MOTHERDUCK_SECRET_ARN", ""),
            motherduck_token=environ.get("MOTHERDUCK_TOKEN", "").strip() if local else "",
        )


def _environment(environ: Mapping[str, str]) -> str:
    return environ.get("environment", "LOCAL").upper()


def _positive(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not int(text):
        raise InvalidParameterError(f"{name} must be an integer >= 1, got {text!r}")
    return int(text)


def _within(
    environ: Mapping[str, str], name: str, default: float, *, least: float, most: float
) -> float:
    text = environ.get(name) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise InvalidParameterError(f"{name} must be a number of {least} to {most}, got {text!r}")
    return number
