"""Forecasts as a table for a terminal, with how to read it."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd

from b3shared.core.skill import in_words
from b3shared.core.vocabulary import CLASSES
from b3shared.quotes.calendar import sessions_between

SHOWN = ("PETR4", "VALE3", "ITUB4", "BBDC4", "ABEV3")
"""Tickers whose forecasts a run prints."""

HOW_TO_READ = (
    "buy or sell is a leaning to the more probable side; hold may still be more probable than both"
)


def forecast_table(answer: pd.DataFrame, today: date) -> str:
    """Return predictions of the Python API as a table; with prices if the model expects any.

    Args:
        answer: from :meth:`b3shared.services.B3Model.predict`, not empty.
        today: for the age of the quotes.
    """
    has_prices = "predicted_price" in answer
    lines = [_head(has_prices)]
    for ticker, row in answer.iterrows():
        prices = None
        if has_prices:
            prices = (row["predicted_price"], row["price_low"], row["price_high"])
        lines.append(
            _line(
                str(ticker),
                row["action"],
                [row[name] for name in CLASSES],
                row["last_price"],
                f"{row['as_of']:%Y-%m-%d}",
                prices,
            )
        )

    newest = answer["as_of"].max().date()
    age = sessions_between(newest, today)
    known = zip(answer.index, answer["dividends_known_until"], answer["as_of"], strict=True)
    notes = reading_notes(answer.attrs.get("skill"), str(newest), age)
    notes += dividend_notes(
        {
            str(ticker): None if pd.isna(until) else str(until.date())
            for ticker, until, as_of in known
            if pd.isna(until) or until < as_of
        },
        len(answer),
    )
    return "\n".join([*lines, "", *notes])


def served_forecast_table(answer: Mapping[str, Any]) -> str:
    """Return the answer of ``predict/batch`` as a table, errors by ticker included."""
    predictions = answer["predictions"]
    lines = [_head(any(prediction["interval"] for prediction in predictions))]
    lines += map(_served_line, predictions)
    lines += [
        f"{error['ticker']:<8}{error['code']}: {error['message']}" for error in answer["errors"]
    ]
    if predictions:
        newest = max(predictions, key=lambda prediction: str(prediction["as_of"]))
        notes = reading_notes(answer["skill"], newest["as_of"], newest["data_age_sessions"])
        left_out = {
            str(prediction["ticker"]): prediction["dividends_known_until"]
            for prediction in predictions
            if (prediction["dividends_known_until"] or "") < prediction["as_of"]
        }
        lines += ["", *notes, *dividend_notes(left_out, len(predictions))]
    return "\n".join(lines)


def reading_notes(skill: str | None, newest: str, age: int) -> list[str]:
    """Return what a reader of forecasts must know: skill, age of the quotes, meaning of a side.

    Args:
        skill: verdict of the version's evaluation; None without one.
        newest: date of the newest quote.
        age: sessions of the exchange since then, up to yesterday.
    """
    since = f"{age:,} session{'' if age == 1 else 's'}" if age else "no session"
    return [
        f"skill {skill or 'unknown'}: {in_words(skill)}",
        f"data of {newest}: {since} of the exchange since then",
        HOW_TO_READ,
    ]


def dividend_notes(left_out: Mapping[str, str | None], forecasts: int) -> list[str]:
    """Return a line on dividends that are not known, if there are any.

    Args:
        left_out: ticker -> the last date whose dividend is known, before that of its newest quote;
            None where none is known.
        forecasts: how many tickers have a forecast.
    """
    if not left_out:
        return []
    ticker, until = next(iter(left_out.items()))
    since = f"known until {until}" if until else "not known"
    return [
        f"dividends: returns and features leave them out where they are not known, "
        f"for {len(left_out)} of {forecasts} tickers ({ticker}: {since})"
    ]


def _served_line(prediction: Mapping[str, Any]) -> str:
    interval = prediction["interval"]
    prices = None
    if interval:
        prices = (prediction["predicted_price"], interval["price_low"], interval["price_high"])

    return _line(
        prediction["ticker"],
        prediction["prediction"],
        prediction["probabilities"],
        prediction["last_price"],
        prediction["as_of"],
        prices,
    )


def _head(has_prices: bool) -> str:
    shares = "".join(f"{name:>7}" for name in CLASSES)
    prices = f"{'expected':>12}{'interval':>18}" if has_prices else ""
    return f"{'ticker':<8}{'action':<8}{shares}{'close':>10}  {'as of':<10}{prices}".rstrip()


def _line(
    ticker: str,
    action: str,
    probabilities: Sequence[float],
    close: float,
    as_of: str,
    prices: tuple[float, float, float] | None,
) -> str:
    shares = "".join(f"{p:>7.1%}" for p in probabilities)
    expected = ""
    if prices:
        price, low, high = prices
        interval = f"{low:.2f} to {high:.2f}"
        expected = f"{price:>12.2f}{interval:>18}"
    return f"{ticker:<8}{action:<8}{shares}{close:>10.2f}  {as_of}{expected}"
