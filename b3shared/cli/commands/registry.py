"""``b3 models``, ``promote`` and ``rollback``: the registered versions, and which one is live."""

import getpass
from collections.abc import Callable
from typing import Any

import click

from b3shared.cli.model_options import model_options
from b3shared.cli.places import Places, place_options
from b3shared.registry import promotion
from b3shared.registry.key import ModelKey
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry


def _reason_option[F: Callable[..., Any]](command: F) -> F:
    return click.option(
        "--why",
        default="by hand",
        show_default=True,
        metavar="TEXT",
        help="Reason, kept in the history.",
    )(command)


@click.command()
@model_options
@place_options
@click.pass_obj
def models(places: Places, model_type: str, model_dir: str) -> None:
    """List the registered versions; a star marks the one that is live."""
    storage = places.model().storage
    live = Release(storage).state().live.get(ModelKey(model_dir, model_type))
    for manifest in Registry(storage, model_dir).versions(model_type):
        mark = "*" if manifest["version"] == live else " "
        skill = manifest.get("evaluated", {}).get("skill", "not evaluated")
        trained = f"trained through {manifest['train_end']}"
        print(f"{mark} {manifest['version']}  {trained}  skill {skill}")
    if live is None:
        print("nothing is live")


@click.command()
@click.argument("version", help="As `b3 models` lists it.")
@_reason_option
@model_options
@place_options
@click.pass_obj
def promote(places: Places, version: str, why: str, model_type: str, model_dir: str) -> None:
    """Make a version live."""
    storage = places.model().storage
    promotion.promote(storage, model_dir, model_type, version, who=getpass.getuser(), why=why)
    print(f"live: {version}")


@click.command()
@_reason_option
@model_options
@place_options
@click.pass_obj
def rollback(places: Places, why: str, model_type: str, model_dir: str) -> None:
    """Go back to the version that was live before."""
    storage = places.model().storage
    promotion.rollback(storage, model_dir, model_type, who=getpass.getuser(), why=why)
    print(f"live: {Release(storage).live(model_dir, model_type)}")
