"""``b3 predict``: forecasts from the newest quotes."""

import click

from b3shared.cli.forecasts import forecast_table
from b3shared.cli.model_options import model_options
from b3shared.cli.places import Places, place_options
from b3shared.core.clock import today


@click.command()
@click.argument("tickers", nargs=-1, help="Tickers, such as PETR4; none: all of them.")
@click.option("--version", "model_version", help="Version of the model; default: the live one.")
@model_options
@place_options
@click.pass_obj
def predict(
    places: Places,
    tickers: tuple[str, ...],
    model_version: str | None,
    model_type: str,
    model_dir: str,
) -> None:
    """Forecast from the newest quotes.

    The quotes are those that the version was made from, unless --quotes or B3_QUOTES names others.
    """
    model = places.model()
    wanted = list(tickers) or None
    quotes = model.newest_quotes(
        model_dir, model_type=model_type, model_version=model_version, tickers=wanted
    )
    print(f"quotes {quotes.attrs['report']['source']}")

    answer = model.predict(
        quotes, model_dir, model_type=model_type, model_version=model_version, tickers=wanted
    )
    print(forecast_table(answer, today()))
