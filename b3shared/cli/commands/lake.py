"""``b3 lake``: put the quotes into the lake."""

import click

from b3shared.cli.places import Places, place_options
from b3shared.quotes.ingest.import_quotes import fill_lake
from b3shared.quotes.market.import_files import import_beside
from b3shared.quotes.sources import open_source


@click.command()
@place_options
@click.pass_obj
def lake(places: Places) -> None:
    """Put the quotes into the lake of the storage, one file a year.

    Files of the market beside a local file of quotes (cdi.csv, ibovespa.csv, sectors.csv) go with
    them, unless the storage has its own.
    """
    model = places.model()
    filled = fill_lake(open_source(model.settings.quotes), model.storage)
    for key in filled.keys:
        print(f"{model.storage.url}/{key}")
    for key in import_beside(model.storage, model.settings.quotes):
        print(f"{model.storage.url}/{key}")
    for note in filled.notes():
        print(f"  note: {note}")
