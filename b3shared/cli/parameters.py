"""Parameters of a run on the command line: as options (``--horizon 5``) or words (``horizon=5``).

Their names, defaults, bounds and descriptions come from :mod:`b3shared.params`, which also checks
the values; nothing is said twice here.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from b3shared.core.errors import InvalidParameterError
from b3shared.params.models import ALIASES, model_of
from b3shared.params.run import flat_schemas
from b3shared.params.steps import Step, owner_of

_TYPES = {"integer": "INTEGER", "number": "NUMBER", "string": "TEXT"}


class ParameterOption(click.Option):
    """An option for a parameter of a run.

    Args:
        section: heading under which help shows it.
    """

    def __init__(self, *args: Any, section: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section


class ParameterCommand(click.Command):
    """A command whose help has a section for each kind of parameters."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record and isinstance(option, click.Option):
                title = option.section if isinstance(option, ParameterOption) else "Options"
                sections.setdefault(title, []).append(record)

        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def parameter_options[F: Callable[..., Any]](command: F) -> F:
    """Add an option for every parameter of a run, and words ``name=value``.

    The function is called with ``words`` and every option; see :func:`given_parameters`.
    """
    schemas = flat_schemas()
    for name in sorted(schemas, key=_step_number)[::-1]:  # a decorator puts its option first
        command = _option(name, schemas[name])(command)
    words = click.argument(
        "words",
        nargs=-1,
        metavar="[NAME=VALUE]...",
        help="Parameters as words, such as horizon=5 tickers=PETR4,VALE3.",
    )
    return words(command)


def _step_number(name: str) -> int:
    owner = owner_of(name)
    return len(Step) if owner is None else list(Step).index(owner)


def _option[F: Callable[..., Any]](name: str, schema: Mapping[str, Any]) -> Callable[[F], F]:
    """Return the decorator that adds a parameter's option."""
    names = [name, *(alias for alias, meant in ALIASES.items() if meant == name)]
    switches = [f"--{each.replace('_', '-')}" for each in names]
    is_flag = schema.get("type") == "boolean"
    if is_flag:
        switches = [f"{switch}/--no-{switch[2:]}" for switch in switches]

    return click.option(
        name,
        *switches,
        cls=ParameterOption,
        section=_section(name),
        default=None,
        type=click.BOOL if is_flag else click.STRING,
        metavar=None if is_flag else _metavar(schema),
        help=_help(schema),
    )


def given_parameters(words: Iterable[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that were given, by name.

    Args:
        words: ``name=value`` each.
        options: value of every option; None where it was not given.

    Raises:
        InvalidParameterError: A word has no ``=``, or a parameter is given in both ways.
    """
    params = parse_words(words)
    for name, value in options.items():
        if value is None:
            continue
        if name in params:
            option = "--" + name.replace("_", "-")
            raise InvalidParameterError(
                f"{name} is given as {option} and as {name}=...; give it once", parameters=[name]
            )
        params[name] = parse_value(name, value) if isinstance(value, str) else value
    return params


def parse_words(words: Iterable[str]) -> dict[str, Any]:
    """Return the parameters of ``name=value`` words.

    Raises:
        InvalidParameterError: A word has no ``=``.
    """
    params: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidParameterError(f"{word!r} must be name=value, such as horizon=5")
        params[name] = parse_value(name, value)
    return params


def parse_value(name: str, text: str) -> Any:
    """Return a parameter's value: JSON if the text is JSON, a list if it may be one, else text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        schema = flat_schemas().get(ALIASES.get(name, name), {})
        if "," in text and _is_list(schema):
            return [_scalar(part.strip()) for part in text.split(",")]
        return text


def _scalar(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def allowed(schema: Mapping[str, Any]) -> str:
    """Return what a JSON schema accepts, in few words (``1 <= n <= 60``); empty for any text."""
    if "anyOf" in schema:
        return ", ".join(filter(None, map(allowed, schema["anyOf"])))
    if choices := _choices(schema):
        return ", ".join(choices)
    if schema["type"] == "array":
        return allowed(schema["items"])
    if "pattern" in schema:
        return str(schema["pattern"])
    return _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    """Return the bounds of a number; empty without any."""
    symbol = {"integer": "n", "number": "x"}.get(schema["type"], "")
    low = [
        f"{schema[key]} {sign}"
        for key, sign in (("minimum", "<="), ("exclusiveMinimum", "<"))
        if key in schema
    ]

    high = [
        f"{sign} {schema[key]}"
        for key, sign in (("maximum", "<="), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    return " ".join([*low, symbol, *high])


def _choices(schema: Mapping[str, Any]) -> list[str]:
    """Return the values that may be chosen from; none if there are others too."""
    if "const" in schema:
        return [str(schema["const"])]
    if "enum" in schema:
        return list(map(str, schema["enum"]))
    if schema.get("type") == "boolean":
        return ["true", "false"]
    if "anyOf" in schema:
        parts = [_choices(kind) for kind in _non_null(schema)]
        return [choice for part in parts for choice in part] if all(parts) else []
    return []


def _non_null(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]


def _is_list(schema: Mapping[str, Any]) -> bool:
    return any(kind.get("type") == "array" for kind in _non_null(schema))


def _metavar(schema: Mapping[str, Any]) -> str:
    """Return how an option's value is written, such as ``INTEGER`` or ``[rf|lstm]``."""
    if choices := _choices(schema):
        return f"[{'|'.join(choices)}]"

    kind = _non_null(schema)[0]
    if kind["type"] == "array":
        return "A,B,..."
    if kind.get("format") == "date":
        return "YYYY-MM-DD"
    return _TYPES[kind["type"]]


def _help(schema: Mapping[str, Any]) -> str:
    """Return a parameter's description with its default and bounds."""
    facts = [f"default: {_text(schema['default'])}"]
    if not _choices(schema) and (limits := allowed(schema)):
        facts.append(limits)
    return f"{schema['description']}  [{'; '.join(facts)}]"


def _text(default: Any) -> str:
    """Return a default as one would type it."""
    if isinstance(default, list):
        return ",".join(map(_text, default))
    return default if isinstance(default, str) else json.dumps(default)


def _section(name: str) -> str:
    """Return the heading under which help shows a parameter."""
    if spec := model_of(name):
        return f"Parameters of model {spec.name}"
    return f"Parameters of step {owner_of(name)}"
