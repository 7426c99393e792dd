"""The options that name a model: ``--model-type`` and ``--model-dir``."""

from collections.abc import Callable
from typing import Any

import click

from b3shared.params.models import (
    DEFAULT_MODEL_TYPE,
    accepted_names,
    model_spec,
    model_types,
)


def _canonical(_ctx: click.Context, _param: click.Parameter, name: str) -> str:
    """Return the model type of a name; an unknown one stays, for the registry to refuse."""
    return model_spec(name).name if name.lower() in accepted_names() else name


def model_options[F: Callable[..., Any]](command: F) -> F:
    """Add ``--model-type`` and ``--model-dir``."""
    model_type = click.option(
        "--model-type",
        default=DEFAULT_MODEL_TYPE,
        show_default=True,
        metavar=f"[{'|'.join(model_types())}]",
        callback=_canonical,
        help="Type of the model.",
    )

    model_dir = click.option(
        "--model-dir",
        default="models",
        show_default=True,
        metavar="NAME",
        help="Namespace in the registry.",
    )
    return model_type(model_dir(command))
