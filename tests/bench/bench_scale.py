"""Measures the steps before training on more quotes than fit into memory: time, memory, growth.

``PYTHONPATH=. python tests/bench/bench_scale.py QUOTES [millions of rows ...]``, by default 1.6 5
20. The steps are loading, features and labels, split, and the training input. The quotes are those
of ``b3_daily_adjusted.parquet`` (458 tickers, 2000 to 2022) in the folder QUOTES, repeated under
other ticker names with a jitter that each ticker has on each date, in a lake partitioned by year.

Every step of a run is a process of its own, as a Lambda function is. Its peak is ``ru_maxrss``,
mapped files that are in memory included; its scratch is what its temporary files take at most,
looked at every 20 ms, which ``ScratchSize`` has to hold. The peer is vectorised pandas (the
formulas of ``bench_features.py``) on the first size, in memory, in the same run.

Afterwards the time to find renamed tickers and corporate actions is measured, on a lake with all
columns of COTAHIST; with ``--detection`` after QUOTES, that alone.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from measuring import machine

from b3shared.core.config import Settings
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline.runner import run_step
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.lake.lake import LAKE, Lake
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage

QUOTES = "b3_daily_adjusted.parquet"
SIZES = (1.6, 5.0, 20.0)
STEPS = ("load_data", "preprocess_data", "split_data", "training_input")
BATCH = 4096
PARAMS = {"start": "2000-01-01", "max_missing_sessions": 10_000, "min_turnover": 200_000.0}
"""Prices and volumes are adjusted back to 2000: old turnovers are smaller than what was traded."""

COTAHIST = """, 'COMPANY ' || ticker AS company, 'BR' || ticker[:4] || 'ACNOR1' AS isin,
    '02' AS bdi_code,
    CASE WHEN month(date) % 3 = 1 AND day(date) <= 7
        THEN 'ON  ED  NM' ELSE 'ON      NM' END AS type,
    100 + 4 * (year(date) - 2000) + quarter(date) AS dismes,
    (high + low) / 2 AS avg, low AS best_buy, high AS best_sell,
    volume // 100 AS trades, volume * close AS turnover"""
"""The other columns of the exchange's files: a dividend a quarter, with its mark and DISMES."""


def make_lake(source: Path, folder: Path, millions: float, more: str = "") -> int:
    """Write a lake of about so many rows, one file a year; returns how many they are."""
    with duckdb.connect(config={"threads": 2, "memory_limit": "3GB"}) as connection:
        connection.execute(f"CREATE VIEW source AS FROM '{source}'")
        rows, tickers = connection.execute(
            "SELECT count(*), count(DISTINCT ticker) FROM source"
        ).fetchone()
        wanted = round(millions * 1e6 / rows * tickers)
        connection.execute(
            "CREATE TABLE names AS SELECT ticker, row_number() OVER (ORDER BY ticker) - 1 AS n "
            "FROM (SELECT DISTINCT ticker FROM source)"
        )
        root = " || ".join(
            f"chr(65 + ((n + {tickers} * copy) // {26**place} % 26)::INT)" for place in (3, 2, 1, 0)
        )
        jitter = f"exp(0.02 * ((hash(n + {tickers} * copy, date) % 1000) / 1000.0 - 0.5))"
        prices = ", ".join(f"{c} * {jitter} AS {c}" for c in ("open", "high", "low", "close"))
        copies = wanted // tickers + 1

        for year in range(2000, 2023):
            target = folder / f"year={year}"
            target.mkdir(parents=True)
            connection.execute(
                f"COPY (SELECT *{more} FROM "
                f"(SELECT {root} || '3' AS ticker, date, {prices}, volume "
                f"FROM source JOIN names USING (ticker), range({copies}) AS c(copy) "
                f"WHERE year(date) = {year} AND n + {tickers} * copy < {wanted}) ORDER BY 1, 2) "
                f"TO '{target}/quotes.parquet' (FORMAT parquet, COMPRESSION zstd)"
            )
        return connection.execute(f"SELECT count(*) FROM '{folder}/**/*.parquet'").fetchone()[0]


def training_input(run: Run) -> None:
    """Map the table and gather the training rows once, shuffled, as a trainer does."""
    from b3shared.dataset.table import Dataset

    with tempfile.TemporaryDirectory(dir=os.environ["SCRATCH"]) as folder:
        data = Dataset.load(run.fetch(Step.PREPROCESS_DATA, Path(folder)))
        with np.load(run.fetch(Step.SPLIT_DATA, Path(folder)) / "split.npz") as split:
            rows = np.random.default_rng(0).permutation(split["train"])
        total = 0.0
        for begin in range(0, len(rows), BATCH):
            batch = rows[begin : begin + BATCH]
            total += float(data.X[batch].sum()) + float(data.label[batch].sum())
        assert np.isfinite(total)


def pandas_peer(run: Run) -> None:
    """Print the seconds of the same features and label by pandas and by ours, in memory."""
    sys.path.insert(0, str(Path(__file__).parent))
    from bench_features import with_pandas

    from b3shared.features.training_table import preprocess
    from b3shared.quotes.sources.parquet import ParquetSource
    from b3shared.quotes.sources.query import QuoteQuery

    with tempfile.TemporaryDirectory(dir=os.environ["SCRATCH"]) as folder:
        names = run.record(Step.LOAD_DATA).artifacts
        fetched = run.fetch(Step.LOAD_DATA, Path(folder))
        frame = pd.concat(
            [ParquetSource(fetched / name).read(QuoteQuery()) for name in sorted(names)],
            ignore_index=True,
        )
    seconds = {}
    for who, work in (
        ("pandas", with_pandas),
        ("ours", lambda frame: preprocess(frame, run.params)),
    ):
        started = time.perf_counter()
        work(frame)
        seconds[who] = time.perf_counter() - started
    print(json.dumps(seconds | {"quotes": len(frame)}))


@contextmanager
def scratch_peak(folder: Path) -> Iterator[list[int]]:
    """Watch a folder; the last item of the list is, at the end, its greatest size in bytes."""
    peak, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            sizes = [size for file in folder.rglob("*") if (size := _allocated(file))]
            peak[-1] = max(peak[-1], sum(sizes))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _allocated(file: Path) -> int:
    try:
        return file.stat().st_blocks * 512 if file.is_file() else 0
    except FileNotFoundError:  # removed since it was listed
        return 0


def child(what: str, folder: str) -> None:
    """Do one step in this process and print what it took."""
    storage = FolderStorage(Path(folder, "storage"))
    run = Run.create(storage, "scale", PipelineParams.from_values(PARAMS))
    started = time.perf_counter()

    with scratch_peak(Path(os.environ["SCRATCH"])) as scratch:
        if what in ("training_input", "pandas_peer"):
            globals()[what](run)
            summary = {}
        elif what == "detection":
            Ingest(storage).actions()
            summary = {"rows": Lake(storage).manifest().actions.rows}
        else:
            settings = Settings(
                storage=str(Path(folder, "storage")), quotes=str(Path(folder, "lake"))
            )
            summary = run_step(run, Step(what), settings=settings).summary
    used = resource.getrusage(resource.RUSAGE_SELF)
    kept = {name: summary[name] for name in ("rows", "shards") if name in summary}
    took = {"seconds": time.perf_counter() - started, "cpu": used.ru_utime + used.ru_stime}
    print(
        json.dumps(
            took | {"peak_gib": used.ru_maxrss / 2**20, "scratch_mib": scratch[-1] / 2**20} | kept
        )
    )


def measured(what: str, folder: Path) -> dict[str, float]:
    """Do a step in a process of its own; returns what it took."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    environ = os.environ | {
        "SCRATCH": str(scratch),
        "TMPDIR": str(scratch),
        "PYTHONPATH": os.getcwd(),
    }
    done = subprocess.run(
        [sys.executable, __file__, "--child", what, str(folder)],
        env=environ,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{what}: {done.stderr[-2000:]}")
    found: dict[str, float] = {}
    for line in done.stdout.splitlines():
        found |= json.loads(line)

    return found


def detection(source: Path, millions: float) -> None:
    """Print what finding the renamed tickers and corporate actions of a lake takes."""
    with tempfile.TemporaryDirectory(prefix="b3-scale-") as folder:
        rows = make_lake(source, Path(folder, "storage", LAKE), millions, COTAHIST)
        took = measured("detection", Path(folder))
    print(
        f"{rows:>11,} rows with all columns: {took['rows']:,} actions found in "
        f"{took['seconds']:.1f} s, {took['peak_gib']:.2f} GiB, "
        f"scratch {took['scratch_mib']:.0f} MiB",
        flush=True,
    )


def main(source: Path, sizes: tuple[float, ...]) -> None:
    """Print the table: of every step seconds, peak memory in GiB and scratch in MiB."""
    print(machine())
    print(
        f"{'rows':>11}{'shards':>8}{'table rows':>12}"
        + "".join(f"{s + ' s':>19}{'GiB':>6}{'MiB':>6}" for s in STEPS)
        + f"{'all s':>8}"
    )
    before: tuple[int, float, float] | None = None

    for number, millions in enumerate(sizes):
        with tempfile.TemporaryDirectory(prefix="b3-scale-") as scratch:
            folder = Path(scratch)
            rows = make_lake(source, folder / "lake", millions)
            took = {step: measured(step, folder) for step in STEPS}
            seconds, cpu = (sum(t[what] for t in took.values()) for what in ("seconds", "cpu"))
            shards = took["load_data"]["shards"]
            table_rows = took["preprocess_data"]["rows"]
            cells = [
                f"{t['seconds']:>19.1f}{t['peak_gib']:>6.2f}{t['scratch_mib']:>6.0f}"
                for t in (took[step] for step in STEPS)
            ]
            line = f"{rows:>11,}{shards:>8}{table_rows:>12,}" + "".join(cells)
            print(f"{line}{seconds:>8.0f}{cpu:>8.0f}", flush=True)
            if before:
                wall, work = (
                    np.log(now / then) / np.log(rows / before[0])
                    for now, then in zip((seconds, cpu), before[1:], strict=True)
                )
                print(
                    f"{'':>11} growth exponent of the time {wall:.2f}, of the CPU time {work:.2f}",
                    flush=True,
                )
            before = rows, seconds, cpu
            if not number:
                peer = measured("pandas_peer", folder)
                print(
                    f"{'':>11} features and label of its {peer['quotes']:,} clean rows, in memory: "
                    f"pandas {peer['pandas']:.1f} s, ours {peer['ours']:.1f} s, "
                    f"ratio {peer['ours'] / peer['pandas']:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    elif not Path(*sys.argv[1:2], QUOTES).is_file():
        sys.exit(f"the first argument must be a folder with {QUOTES}, got {sys.argv[1:2]}")
    else:
        quotes = Path(sys.argv[1], QUOTES)
        alone = sys.argv[2:3] == ["--detection"]
        chosen = tuple(map(float, sys.argv[2 + alone :])) or SIZES
        if not alone:
            main(quotes, chosen)
        for size in chosen:
            detection(quotes, size)
