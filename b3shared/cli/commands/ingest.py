"""``b3 ingest``: the exchange's own files into the lake."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

from b3shared.cli.output import ProgressDisplay, first_names
from b3shared.cli.places import Places, place_options
from b3shared.core.errors import IncompleteIngestError, InvalidParameterError
from b3shared.quotes.corporate_actions.rename_table import RENAMES
from b3shared.quotes.ingest.job import FINDINGS_SHOWN
from b3shared.quotes.lake.lake import LAKE
from b3shared.quotes.sources.lake import LakeSource
from b3shared.services.ingestion import B3IngestionService


class _IngestCommand(click.Command):
    """Takes several years after one ``--year``, which Click's options do not."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command's words."""
        return super().parse_args(ctx, list(_repeated(args, "--year")))


def _repeated(words: list[str], option: str) -> Iterator[str]:
    """Repeat an option before each of its values: ``--year 2020 --year 2021``."""
    follows = False
    for word, following in zip_longest(words, words[1:], fillvalue="-"):
        if word == option and not following.startswith("-"):
            follows = True
        elif follows and not word.startswith("-"):
            yield from (option, word)
        else:
            follows = word.startswith(f"{option}=")
            yield word


@click.command(cls=_IngestCommand)
@click.option(
    "--year",
    "years",
    type=int,
    multiple=True,
    metavar="YEAR...",
    help="Whole years from the exchange, such as 2020 2021.",
)
@click.option(
    "--since",
    metavar="YYYY-MM-DD",
    help="Every session from this day on from the exchange.",
)
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="One COTAHIST file: .TXT, .TXT.gz or .ZIP.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="All COTAHIST files of a folder, oldest first.",
)
@click.option("--partial", is_flag=True, help="The files are subsets: replace single rows only.")
@click.option("--force", is_flag=True, help="Replace also what the lake has from files made later.")
@click.option(
    "--market/--no-market",
    default=True,
    help="Fetch the CDI that the storage lacks too, from the central bank; default: with files "
    "from the exchange.",
)
@click.option(
    "--announcements/--no-announcements",
    default=None,
    help="What the exchange announces of dividends and shares, alone or after the files that are "
    "named; a plain `b3 ingest` fetches it too.",
)
@click.option(
    "--company",
    "companies",
    multiple=True,
    metavar="ROOT",
    help="With --announcements: only this company, such as PETR; may be repeated.",
)
@click.option(
    "--announcements-folder",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Announcements from saved answers, such as ABEV_GetListedCashDividends.json.",
)
@place_options
@click.pass_obj
def ingest(
    places: Places,
    years: tuple[int, ...],
    since: str | None,
    file: Path | None,
    folder: Path | None,
    partial: bool,
    force: bool,
    market: bool,
    announcements: bool | None,
    companies: tuple[str, ...],
    announcements_folder: Path | None,
) -> None:
    """Bring the exchange's own files into the lake, and its announcements beside them.

    Without --year, --since, --file, --folder, --announcements or --announcements-folder it fetches
    what the lake lacks up to today, and then the announcements that are due.
    """
    choices = {"--year": years, "--since": since, "--file": file, "--folder": folder}
    chosen = [name for name, value in choices.items() if value]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)} exclude each other")
    if announcements is not None and announcements_folder:
        raise click.UsageError("--announcements and --announcements-folder exclude each other")
    if companies and not announcements:
        raise click.UsageError("--company is for --announcements")
    _check_flags(partial=partial, force=force, local=bool(file or folder))

    model = places.model()
    display = ProgressDisplay()
    service = B3IngestionService(model.settings, display.progress)

    incomplete = None
    if chosen or not (announcements or announcements_folder):
        local = file or folder
        files = (
            service.ingest_local(local, partial=partial, force=force)
            if local
            else service.ingest_published(list(years), since, market=market)
        )
        incomplete = _show_files(files, display)
        lake = f"{model.storage.url}/{LAKE}"
        print(f"{lake}: newest session {LakeSource(lake).newest()}; use it with --quotes {lake}")

    try:
        if announcements_folder:
            _show_announcements(service.import_announcements(announcements_folder))
        elif announcements or (announcements is None and not chosen):
            _show_announcements(service.fetch_announcements(companies))
    finally:
        _show_findings(service)
    if incomplete is not None:
        raise incomplete


def _show_files(
    files: Iterable[dict[str, Any]], display: ProgressDisplay
) -> IncompleteIngestError | None:
    """Show each file that is ingested; return the error of those that were not."""
    try:
        for ingested in files:
            display.ingested(ingested)
    except IncompleteIngestError as error:  # the good files are in the lake: go on with it
        return error
    return None


def _show_announcements(answer: dict[str, Any]) -> None:
    fetched = answer["fetched"]
    words = f"of {len(fetched)} companies: {first_names(fetched)}" if fetched else "nothing was due"
    print(f"  announcements {words}")
    for finding in answer["findings"]:
        print(f"  {finding}")


def _check_flags(*, partial: bool, force: bool, local: bool) -> None:
    if partial and not local:
        raise InvalidParameterError(
            "--partial is for --file and --folder: the exchange's own files are complete"
        )
    if force and not local:
        raise InvalidParameterError(
            "--force is for --file and --folder: the exchange publishes its newest files only"
        )


def _show_findings(service: B3IngestionService) -> None:
    if service.not_published:
        print(f"  not published: {first_names(service.not_published)}")
    if service.actions_changed:
        print("  corporate actions made anew")

    for row in service.overrides_without_effect:
        print(f"  override without effect: {row}")
    for pair in service.possible_renames:
        print(f"  possible rename: {pair} to {RENAMES}")
    if service.market:
        print(
            f"  CDI: {service.market['cdi_added']} days new, newest {service.market['cdi_newest']}"
        )
        for finding in service.market["findings"]:
            print(f"  note: {finding}")
    for finding in service.event_findings[:FINDINGS_SHOWN]:
        print(f"  corporate action: {finding}")
