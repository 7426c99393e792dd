"""The options that name a model: ``--model-type`` and ``--model-dir``."""

from collections.abc import Callable
from typing import Any

import click

from b3shared.params.run import MODEL_TYPES


def model_options[F: Callable[..., Any]](command: F) -> F:
    """Add ``--model-type`` and ``--model-dir``."""
    model_type = click.option(
        "--model-type",
        default="rf",
        show_default=True,
        metavar=f"[{'|'.join(dict.fromkeys(MODEL_TYPES.values()))}]",
        callback=lambda _ctx, _param, name: MODEL_TYPES.get(name, name),
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
