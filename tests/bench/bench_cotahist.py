"""Compares the COTAHIST parser with pandas.read_fwf and with a plain loop over the lines.

    PYTHONPATH=. python tests/bench/bench_cotahist.py DAILY [--rounds 3]

All read one file of a year's size. The year is made of real lines: two whole daily files of the
folder DAILY, by turns, once for every weekday of 2022 with its date put in (1.96 million lines).
Every arm is a fresh child process on one core. Ours reads and checks the whole file, from the zip
and from plain text; the peers read the first 200,000 lines of plain text, check nothing and give
the same cash quotes.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
from measuring import machine, peak_mib

NEWEST = "COTAHIST_D04022022.TXT.zip"
BEFORE = "COTAHIST_D25062021.TXT.gz"
ARMS = ("ours, zip", "ours, text", "pandas.read_fwf", "line by line")
PART = 200_000
FIELDS = {  # first position, last position (from 0, excluded), implied decimals or None for text
    "date": (2, 10, None),
    "bdi_code": (10, 12, None),
    "ticker": (12, 24, None),
    "market": (24, 27, None),
    "company": (27, 39, None),
    "type": (39, 49, None),
    **{
        n: (56 + 13 * i, 69 + 13 * i, 2)
        for i, n in enumerate(("open", "high", "low", "avg", "close", "best_buy", "best_sell"))
    },
    "trades": (147, 152, 0),
    "volume": (152, 170, 0),
    "turnover": (170, 188, 2),
    "factor": (210, 217, 0),
    "isin": (230, 242, None),
    "dismes": (242, 245, 0),
}
PRICES = ["open", "high", "low", "avg", "close", "best_buy", "best_sell"]


def make_year(folder: Path, daily: Path) -> tuple[Path, Path, int]:
    """Write the file as text and as zip; returns both paths and the number of lines."""
    with zipfile.ZipFile(daily / NEWEST) as archive:
        newest = archive.read(archive.namelist()[0])
    before = gzip.decompress((daily / BEFORE).read_bytes())
    days = [
        np.frombuffer(b"".join(text.splitlines(keepends=True)[1:-1]), np.uint8).reshape(-1, 247)
        for text in (before, newest)
    ]
    weekdays = np.arange("2022-01-01", "2023-01-01", dtype="datetime64[D]")
    weekdays = weekdays[np.is_busday(weekdays)]
    lines = 2 + sum(len(days[n % 2]) for n in range(len(weekdays)))
    text = folder / "COTAHIST_A2022.TXT"
    with text.open("wb") as out:
        out.write(b"00COTAHIST.2022BOVESPA 20221230".ljust(245) + b"\r\n")
        for n, day in enumerate(weekdays.tolist()):
            rows = days[n % 2].copy()
            rows[:, 2:10] = np.frombuffer(date.strftime(day, "%Y%m%d").encode(), np.uint8)
            out.write(rows.tobytes())
        out.write(f"99COTAHIST.2022BOVESPA 20221230{lines:011d}".encode().ljust(245) + b"\r\n")
    packed = folder / "COTAHIST_A2022.ZIP"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(text, text.name)

    return text, packed, lines


def ours(path: Path) -> dict[str, float]:
    """Read the file in chunks, each dropped when the next comes, as an ingest does."""
    from b3shared.quotes.cotahist.reader import CotahistFile

    rows = 0
    total = 0.0
    before = peak_mib()
    started = time.perf_counter()
    with CotahistFile.open(path) as file:
        for frame in file.chunks():
            rows += len(frame)
            total += float(frame["close"].sum())
    return result(file.report.lines, rows, total, started, before)


def read_fwf(path: Path) -> dict[str, float]:
    import pandas as pd

    before = peak_mib()
    started = time.perf_counter()
    frame = pd.read_fwf(
        path,
        colspecs=[(first, last) for first, last, _ in FIELDS.values()],
        names=list(FIELDS),
        dtype={name: str for name, (_, _, decimals) in FIELDS.items() if decimals is None},
        skiprows=1,
        nrows=PART,
        encoding="latin-1",
    )
    frame = frame[frame["market"] == "010"].copy()
    frame["date"] = pd.to_datetime(frame["date"], format="%Y%m%d")
    frame[PRICES] = frame[PRICES].div(100 * frame["factor"], axis=0)
    frame["turnover"] /= 100
    return result(PART, len(frame), float(frame["close"].sum()), started, before)


def line_by_line(path: Path) -> dict[str, float]:
    import pandas as pd

    rows = []
    before = peak_mib()
    started = time.perf_counter()
    with path.open(encoding="latin-1") as lines:
        next(lines)
        for number, line in enumerate(lines, start=1):
            row = {
                name: line[first:last].strip()
                if decimals is None
                else int(line[first:last]) / 10**decimals
                for name, (first, last, decimals) in FIELDS.items()
            }
            if row["market"] == "010":
                rows.append(row)
            if number == PART:
                break
    frame = pd.DataFrame(rows)
    frame["date"] = pd.to_datetime(frame["date"], format="%Y%m%d")
    frame[PRICES] = frame[PRICES].div(frame["factor"], axis=0)
    return result(PART, len(frame), float(frame["close"].sum()), started, before)


def result(lines: int, rows: int, total: float, started: float, before: float) -> dict[str, float]:
    seconds = time.perf_counter() - started
    return {
        "lines": lines,
        "rows": rows,
        "total": total,
        "seconds": seconds,
        "peak": peak_mib(),
        "grown": peak_mib() - before,
    }


def run(arm: str, text: Path, packed: Path) -> dict[str, float]:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import pandas  # noqa: F401 - imports are not timed

    return {
        "ours, zip": lambda: ours(packed),
        "ours, text": lambda: ours(text),
        "pandas.read_fwf": lambda: read_fwf(text),
        "line by line": lambda: line_by_line(text),
    }[arm]()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("daily", type=Path, help=f"folder with {NEWEST} and {BEFORE}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.arm:
        files = (asked.folder / f"COTAHIST_A2022.{ending}" for ending in ("TXT", "ZIP"))
        print(json.dumps(run(asked.arm, *files)))
        return

    if absent := [name for name in (NEWEST, BEFORE) if not (asked.daily / name).is_file()]:
        parser.error(f"{asked.daily} has no {' and no '.join(absent)}")
    with tempfile.TemporaryDirectory(prefix="b3-bench-") as folder:
        text, packed, lines = make_year(Path(folder), asked.daily)
        print(machine())
        sizes = [file.stat().st_size / 1e6 for file in (text, packed)]
        print(f"{lines:,} lines, text {sizes[0]:.0f} MB, zip {sizes[1]:.0f} MB, one core")
        command = [sys.executable, __file__, asked.daily, "--folder", folder, "--arm"]
        rounds: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
        for _ in range(asked.rounds):
            for arm in ARMS:
                done = subprocess.run([*command, arm], capture_output=True, text=True, check=True)
                rounds[arm].append(json.loads(done.stdout))
    peers = [rounds[arm][0] for arm in ARMS[2:]]
    assert np.isclose(peers[0]["total"], peers[1]["total"])
    assert peers[0]["rows"] == peers[1]["rows"]
    speed = {
        arm: float(np.median([r["lines"] / r["seconds"] for r in found]))
        for arm, found in rounds.items()
    }
    print(
        f"{'':18}{'lines':>11}{'cash rows':>11}{'lines/s':>11}{'ours, zip / it':>16}"
        f"{'peak MiB':>10}{'of it to read':>15}"
    )
    for arm, found in rounds.items():
        last = found[-1]
        print(
            f"{arm:18}{last['lines']:>11,}{last['rows']:>11,}{speed[arm]:>11,.0f}"
            f"{speed['ours, zip'] / speed[arm]:>16.1f}{last['peak']:>10.0f}{last['grown']:>15.0f}"
        )


if __name__ == "__main__":
    main()
