"""``b3 market``: benchmarks and sectors into the storage, and what it has of them."""

from pathlib import Path

import click

from b3shared.cli.places import Places, place_options
from b3shared.quotes.market.cdi import CDI
from b3shared.quotes.market.ibovespa import IBOVESPA
from b3shared.quotes.market.import_files import describe_files, import_files
from b3shared.quotes.market.sectors import SECTORS


@click.command()
@click.option(
    "--cdi",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="CSV with date,rate: the CDI, a fraction a day (0.0004).",
)
@click.option(
    "--ibovespa",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="CSV with date,close: closes of the Ibovespa, for quotes without BOVA11.",
)
@click.option(
    "--sectors",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="CSV with ticker,sector,subsector,segment,read; read is the day of the classification.",
)
@place_options
@click.pass_obj
def market(places: Places, cdi: Path | None, ibovespa: Path | None, sectors: Path | None) -> None:
    """Put CDI, Ibovespa and sectors into the storage, and show what it has.

    A file replaces the one that is there. Runs that load their quotes afterwards use it.
    """
    model = places.model()
    files = {CDI: cdi, IBOVESPA: ibovespa, SECTORS: sectors}
    import_files(model.storage, {key: path for key, path in files.items() if path is not None})

    print(f"storage {model.storage.url}")
    for key, line in describe_files(model.storage, model.settings.quotes).items():
        print(f"  {key:<20} {line}")
