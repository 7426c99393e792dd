"""Measures precision and recall of corporate actions: detected alone, and united with announced.

``PYTHONPATH=. python tests/bench/bench_actions.py QUOTES COMPANY``. QUOTES is a folder with
b3_daily.parquet and its tables, COMPANY one with cash_dividends.parquet and share_events.csv;
without them nothing is measured. The truth is a vendor's list, and the largest price jumps of
eleven years. Detection has prices and volumes alone here: the vendor's rows carry neither DISMES
nor dated ISIN and ESPECI. No rule or threshold is chosen here; those of the detector were chosen on
the development half of the tickers.

What counts: actions with a factor outside 0.8 to 1.25, of tickers whose prices are raw. A detection
is right if the vendor lists an action of that ticker at most one of its sessions away, and what is
left of the jump when the detected factor is taken out lies inside 0.8 to 1.25. The vendor's own
faults stand in ``tests/data/action_label_faults.csv``; each is checked against the witness that it
names before it is used, and figures with and without them are printed.
"""

import argparse
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from measuring import machine

from b3shared.quotes.corporate_actions.detection import detect_actions
from b3shared.quotes.corporate_actions.table import APPLIED, MINIMAL_CONFIDENCE
from b3shared.quotes.corporate_actions.united import united_events

TESTS = Path(__file__).resolve().parents[1]
FAULTS = TESTS / "data" / "action_label_faults.csv"
sys.path.append(str(TESTS / "support"))
from announced import NO_RENAMES, real_announcements  # noqa: E402

LIMIT = np.log(1.25)
TARGETS = {"precision": 0.97, "recall": 0.95}


def read(folder: Path, sql: str) -> pd.DataFrame:
    """Rows of the quotes; ``{d}`` stands for their folder."""
    with duckdb.connect() as connection:
        return connection.execute(sql.format(d=folder)).df()


def vendor(folder: Path) -> pd.DataFrame:
    """Traded rows: number of the ticker's session, and the factor that adjusted_close implies."""
    return read(
        folder,
        """WITH lagged AS (
            SELECT *, lag(close) OVER w AS previous, lag(adjusted_close) OVER w AS adjusted,
                row_number() OVER w AS row
            FROM '{d}/b3_daily.parquet' WHERE volume > 0 OR split_coef <> 1
            WINDOW w AS (PARTITION BY ticker ORDER BY date)
        )
        SELECT ticker, date, close, previous, row, split_coef AS factor,
            (adjusted_close / adjusted) / (close / previous) AS implied
        FROM lagged ORDER BY ticker, date""",
    )


def proven_faults(folder: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """The table of the vendor's faults, each checked against the witness that it names."""
    faults = pd.read_csv(FAULTS, parse_dates=["date"]).merge(
        rows, on=["ticker", "date"], validate="one_to_one"
    )
    assert len(faults) == len(pd.read_csv(FAULTS))
    splits = read(
        folder,
        "SELECT ticker, date, stock_splits FROM '{d}/b3_daily_adjusted.parquet' "
        "WHERE stock_splits <> 0",
    )
    for f in faults.itertuples():
        raw = f.previous / f.close
        if f.witness == "adjusted_close":
            assert f.factor == 1, f
            assert abs(np.log(f.implied / f.split_factor)) < 0.01, f
        elif f.witness == "close":
            assert abs(np.log(raw / f.split_factor)) < 0.1 < abs(np.log(raw / f.factor)), f
        else:
            there = splits[(splits["ticker"] == f.witness) & (splits["date"] == f.date)]
            assert there["stock_splits"].tolist() == [f.split_factor], f

    return faults


def matched(actions: pd.DataFrame, labels: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with ``right`` (it has a partner), labels with the partner's factor too."""
    actions = actions.assign(right=False)
    labels = labels.assign(right=False, found=np.nan, confidence=np.nan)

    for label in labels.itertuples():
        near = actions[
            (actions["ticker"] == label.ticker) & ((actions["row"] - label.row).abs() <= 1)
        ]
        if near.empty:
            continue
        best = near.loc[near["confidence"].idxmax()]
        right = abs(np.log(best["factor"] / label.factor)) < LIMIT
        found = (best["factor"], best["confidence"], right)
        labels.loc[label.Index, ["found", "confidence", "right"]] = found
        actions.loc[best.name, "right"] = right

    return actions, labels


def large(frame: pd.DataFrame) -> pd.Series:
    """(rows,) bool: the factor is outside 0.8 to 1.25."""
    return (frame["factor"] < 0.8) | (frame["factor"] > 1.25)


def score(actions: pd.DataFrame, labels: pd.DataFrame, threshold: float) -> dict[str, float]:
    """Precision and recall of large factors from a confidence on; the share of exact factors."""
    actions, labels = matched(actions[actions["confidence"] >= threshold], labels)
    judged, wanted = actions[large(actions)], labels[large(labels)]
    hits = wanted[wanted["right"]]
    exact = np.abs(hits["found"] / hits["factor"] - 1) < 0.01
    return {
        "labels": len(wanted),
        "detected": len(judged),
        "precision": judged["right"].mean(),
        "recall": wanted["right"].mean(),
        "exact": exact.mean(),
    }


def best_threshold(actions: pd.DataFrame, labels: pd.DataFrame) -> float:
    """The lowest confidence from which on F0.5, where precision counts double, is best."""
    grid = np.arange(0.1, 0.951, 0.05)
    scores = [score(actions, labels, t) for t in grid]
    f = np.array([1.25 / (1 / s["precision"] + 0.25 / s["recall"]) for s in scores])
    return float(grid[f.argmax()])


def show(title: str, scores: dict[str, float]) -> None:
    """Print one line of the table."""
    counts = f"{scores['labels']:>7}{scores['detected']:>10}"
    shares = f"{scores['precision']:>11.3f}{scores['recall']:>8.3f}{scores['exact']:>14.3f}"
    print(f"{title:<44}{counts}{shares}")


def verdict(corrected: dict[str, float], listed: dict[str, float]) -> None:
    """Print whether the tickers that had no part in the development meet the targets."""
    print(f"\nheld-out half, {corrected['labels']:g} labels:")
    for name, least in TARGETS.items():
        word = "meets" if corrected[name] >= least else "MISSES"
        print(
            f"  {name} {corrected[name]:.3f}: {word} {least}; "
            f"{listed[name]:.3f} against the list with its faults"
        )


def by_year(tables: dict[str, pd.DataFrame], labels: pd.DataFrame, tickers: set[str]) -> None:
    """Print precision and recall of each table of actions, by year."""
    theirs = labels[labels["ticker"].isin(tickers)].reset_index(drop=True)
    theirs = theirs.assign(year=theirs["date"].dt.year)
    print("\nraw tickers, faults corrected, factors outside 0.8 to 1.25, by year:")
    print(f"{'year':<6}{'labels':>7}" + "".join(f"{name:>34}" for name in tables))
    print(" " * 13 + f"{'called':>14}{'precision':>11}{'recall':>9}" * len(tables))

    shown = [*range(int(theirs["year"].min()), int(theirs["year"].max()) + 1), None]
    for year in shown:
        wanted = theirs if year is None else theirs[theirs["year"] == year]
        wanted = wanted.reset_index(drop=True)
        line = f"{year or 'all':<6}{int(large(wanted).sum()):>7}"
        for found in tables.values():
            own = found[found["ticker"].isin(tickers)]
            own = own if year is None else own[own["date"].dt.year == year]
            met = score(own.reset_index(drop=True), wanted, MINIMAL_CONFIDENCE)
            line += f"{met['detected']:>14}{met['precision']:>11.3f}{met['recall']:>9.3f}"
        print(line)


def changed(alone: pd.DataFrame, together: pd.DataFrame, tickers: set[str]) -> None:
    """Print the applied actions that only one of the two tables has."""
    sure = [
        {(a.ticker, str(a.date.date()), round(a.factor, 4)) for a in table.itertuples()}
        for table in (
            alone[(alone["confidence"] >= MINIMAL_CONFIDENCE) & alone["ticker"].isin(tickers)],
            together[
                together["confidence"].ge(MINIMAL_CONFIDENCE) & together["ticker"].isin(tickers)
            ],
        )
    ]
    print(f"only alone: {sorted(sure[0] - sure[1])}")
    print(f"only united: {sorted(sure[1] - sure[0])}")


def unite(quotes: Path, company: Path) -> pd.DataFrame:
    """The events that change shares, announced and detected united."""
    announcements = real_announcements(company)
    columns = "ticker, date, open, high, low, close, volume, type"
    relation = f"(SELECT {columns} FROM '{quotes}/b3_daily.parquet')"

    with duckdb.connect() as connection:
        united = united_events(connection, relation, NO_RENAMES, announcements)
    events = united.events
    shares = events[events["source"].eq("announced") & events["factor"].ne(1)]
    reached = shares[shares["date"].dt.year.between(2010, 2023)]
    print(
        f"announced: {len(announcements.rows):,} rows, of which "
        f"{(announcements.rows['answer'] == 'supplement_stock').sum()} are of shares; "
        f"{len(reached)} events of shares fall into these quotes: "
        + ", ".join(
            f"{e.ticker} {e.date.date()} {e.factor:g} {e.state}" for e in reached.itertuples()
        )
    )
    print(united.findings.groupby("kind").size().to_string())
    acting = events[events["state"].isin(APPLIED) & events["factor"].ne(1)]
    product = acting.groupby(["ticker", "date"], as_index=False)
    return product.agg({"factor": "prod", "confidence": "max", "evidence": "first"})


def against_jumps(folder: Path, actions: pd.DataFrame) -> None:
    """Print how many of the largest jumps were called actions, by kind."""
    jumps = pd.read_csv(folder / "price_jumps.csv", parse_dates=["date"])
    certain = actions[actions["confidence"] >= MINIMAL_CONFIDENCE]
    called = pd.MultiIndex.from_frame(jumps[["ticker", "date"]]).isin(
        pd.MultiIndex.from_frame(certain[["ticker", "date"]])
    )
    jumps = jumps.assign(called=called)[jumps["source_file"] == "b3_daily"]
    print("\nprice_jumps.csv (close moved over 40 %): kind, jumps, called an action")

    for kind, own in jumps.groupby("kind"):
        print(f"  {kind:<28}{len(own):>4}{own['called'].sum():>5}")
        odd = own[own["called"] != kind.startswith("split_listed")]
        for j in odd.itertuples():
            print(
                f"    {j.ticker} {j.date.date()}: {j.prev_close} to {j.close}, "
                f"adjusted change {j.adjusted_change:+.3f}"
            )


def main() -> None:
    """Print all measures, and every miss and false alarm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("quotes", type=Path, nargs="?", help="folder with b3_daily.parquet")
    parser.add_argument("company", type=Path, nargs="?", help="folder with cash_dividends.parquet")
    folders = parser.parse_args()
    if folders.quotes is None or folders.company is None:
        print("skipped: give the folders of the quotes and of the announcements")
        return
    measure(folders.quotes, folders.company)


def measure(folder: Path, company: Path) -> None:
    """Print all measures of the quotes and announcements of two folders."""
    rows = vendor(folder)
    started = time.perf_counter()
    with duckdb.connect() as connection:
        columns = "ticker, date, open, high, low, close, volume"
        found = detect_actions(connection, f"(SELECT {columns} FROM '{folder}/b3_daily.parquet')")
    seconds = time.perf_counter() - started
    print(machine())
    print(
        f"{len(rows):,} rows in {seconds:.2f} s; {len(found)} candidates, "
        f"applied from confidence {MINIMAL_CONFIDENCE} on"
    )

    basis = pd.read_csv(folder / "b3_daily_tickers.csv").set_index("ticker")["price_basis"]
    raw = sorted(basis[basis.isin(["raw", "mostly raw"])].index)
    halves = {
        "development half": set(raw[::2]),
        "held-out half": set(raw[1::2]),
        "all raw tickers": set(raw),
    }
    halves["the other tickers"] = set(basis.index) - set(raw)
    actions = found.merge(rows[["ticker", "date", "row"]], on=["ticker", "date"])
    labels = rows[rows["factor"] != 1][["ticker", "date", "row", "factor"]].reset_index(drop=True)
    faults = proven_faults(folder, rows)
    fixed = faults[["ticker", "date", "row", "split_factor"]].rename(
        columns={"split_factor": "factor"}
    )
    kept = ~pd.MultiIndex.from_frame(labels[["ticker", "date"]]).isin(
        pd.MultiIndex.from_frame(fixed[["ticker", "date"]])
    )
    corrected = pd.concat([labels[kept], fixed[fixed["factor"] != 1]], ignore_index=True)

    mine, theirs = (x[x["ticker"].isin(halves["development half"])] for x in (actions, corrected))
    print(f"best threshold on the development half: {best_threshold(mine, theirs):.2f}")
    heads = f"{'labels':>7}{'detected':>10}{'precision':>11}{'recall':>8}{'factor exact':>14}"
    print(f"\n{'factors outside 0.8 to 1.25':<44}{heads}")
    met = {}
    for half, tickers in halves.items():
        for name, truth in (("as listed", labels), ("faults corrected", corrected)):
            own = (x[x["ticker"].isin(tickers)].reset_index(drop=True) for x in (actions, truth))
            met[half, name] = score(*own, MINIMAL_CONFIDENCE)
            show(f"{half}, {name}", met[half, name])
    verdict(met["held-out half", "faults corrected"], met["held-out half", "as listed"])

    print()
    together = unite(folder, company).merge(rows[["ticker", "date", "row"]], on=["ticker", "date"])
    tables = {"detector alone": actions, "united with announcements": together}
    by_year(tables, corrected, set(raw))
    changed(actions, together, set(raw))

    print("\nBRAP4's distribution in kind and MRFG3's dividend that no price shows:")
    for ticker, day in (("BRAP4", "2021-12-17"), ("MRFG3", "2021-12-20")):
        own = found[(found["ticker"] == ticker) & (found["date"] == day)]
        print(
            f"  {ticker} {day}: "
            + (
                f"{own['factor'].iloc[0]:g} with {own['confidence'].iloc[0]:.2f}"
                if len(own)
                else "nothing"
            )
        )
    print("\nfaults of the vendor's list, each with its witness:")
    for f in faults.itertuples():
        print(
            f"  {f.ticker} {f.date.date()}: listed {f.factor:g}, is {f.split_factor:g} "
            f"({f.witness}): {f.reason}"
        )
    unlisted = rows[
        (rows["factor"] == 1) & (np.abs(np.log(rows["implied"])) > LIMIT) & rows["ticker"].isin(raw)
    ]
    print(
        "all rows whose adjusted_close implies an unlisted factor "
        "(those without a jump are payments, or faults of adjusted_close):"
    )
    for u in unlisted.itertuples():
        print(
            f"  {u.ticker} {u.date.date()}: {u.previous:g} to {u.close:g}, implies {u.implied:.3f}"
        )
    reliability(actions, corrected, halves["all raw tickers"])
    misses(actions, corrected, halves["all raw tickers"])
    against_jumps(folder, found)
    with duckdb.connect() as connection:
        official = detect_actions(connection, f"'{folder}/b3_cotahist_days.parquet'")
    marks = (official["kind"] == "ex_mark").sum()
    print(f"\nofficial days (DISMES, ISIN, ESPECI): {marks} ex-marks and")
    print(
        official[official["kind"] != "ex_mark"]
        .drop(columns=["dividend", "source"])
        .to_string(index=False)
    )


def reliability(actions: pd.DataFrame, labels: pd.DataFrame, tickers: set[str]) -> None:
    """Print how often detections of a confidence are right."""
    own, theirs = (x[x["ticker"].isin(tickers)].reset_index(drop=True) for x in (actions, labels))
    judged, _ = matched(own, theirs)
    print("\nconfidence: detections of any size, share that is right")
    for band, rows in judged.groupby(
        pd.cut(judged["confidence"], [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0]), observed=True
    ):
        print(f"  {band!s:<14}{len(rows):>5}{rows['right'].mean():>8.2f}")


def misses(actions: pd.DataFrame, labels: pd.DataFrame, tickers: set[str]) -> None:
    """Print what was missed, what was called wrongly, and how the small factors fare."""
    certain = actions[
        (actions["confidence"] >= MINIMAL_CONFIDENCE) & actions["ticker"].isin(tickers)
    ].reset_index(drop=True)
    certain, labels = matched(
        certain, labels[labels["ticker"].isin(tickers)].reset_index(drop=True)
    )
    small = labels[~large(labels)]
    print(
        f"small factors, no target: {len(small)} listed, "
        f"{int(small['right'].sum())} found from prices and volumes alone"
    )
    _, all_found = matched(actions, labels.drop(columns=["right", "found", "confidence"]))
    print("missed:")

    for m in all_found[large(labels) & ~labels["right"]].itertuples():
        print(
            f"  {m.ticker} {m.date.date()}: {m.factor:g}; "
            f"candidate {m.found:g} with {m.confidence:.2f}"
        )
    print("wrongly called:")
    for w in certain[large(certain) & ~certain["right"]].itertuples():
        print(f"  {w.ticker} {w.date.date()}: {w.factor:g} with {w.confidence:.2f}; {w.evidence}")
    inexact = labels[
        labels["right"] & large(labels) & (np.abs(labels["found"] / labels["factor"] - 1) >= 0.01)
    ]
    print("right day, other factor:")
    for i in inexact.itertuples():
        print(f"  {i.ticker} {i.date.date()}: {i.factor:g} as {i.found:g}")


if __name__ == "__main__":
    main()
