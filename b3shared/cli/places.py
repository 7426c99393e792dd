"""Where a command reads quotes and keeps models: ``--quotes`` and ``--storage``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from b3shared.core.config import Settings

if TYPE_CHECKING:
    from b3shared.services.b3_model import B3Model


@dataclass
class Places:
    """What a person has chosen; None is the deployment's setting.

    Attributes:
        quotes: Parquet file or folder, DuckDB file, or lake.
        storage: folder or ``s3://`` address.
    """

    quotes: str | None = None
    storage: str | None = None

    def model(self) -> "B3Model":
        """The product with its quotes and its storage in these places."""
        from b3shared.services.b3_model import B3Model  # pandas: not for `--help`

        return B3Model(self.quotes, self.storage)

    def locations(self) -> tuple[str, str]:
        """Storage and quotes, as chosen or else as set for the deployment."""
        settings = Settings.from_environment()
        return self.storage or settings.storage, self.quotes or settings.quotes


def place_options[F: Callable[..., Any]](command: F) -> F:
    """Add ``--quotes`` and ``--storage``, which may stand before or after a command's name."""
    quotes = click.option(
        "--quotes",
        metavar="PATH",
        expose_value=False,
        callback=_keep,
        help="Parquet file or folder, DuckDB file (path#table), or lake; default: B3_QUOTES, else "
        "the quotes that a checkout has.",
    )

    storage = click.option(
        "--storage",
        metavar="PATH",
        expose_value=False,
        callback=_keep,
        help="Folder or s3://bucket/prefix; default: B3_STORAGE, else ./artifacts.",
    )
    return quotes(storage(command))


def _keep(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    places = ctx.ensure_object(Places)
    if value is not None and param.name is not None:
        setattr(places, param.name, value)
