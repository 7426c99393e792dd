"""The catalogue of models: one :class:`ModelSpec` per model type, from which all else is derived.

To add a model, write its package under ``b3shared/models``, its parameters beside
:mod:`b3shared.params.lstm`, and one ``register(ModelSpec(...))`` here. Nothing may keep a copy of
the catalogue: it is read when a question is asked, so a model registered later takes part at once.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from b3shared.core.errors import InvalidParameterError
from b3shared.params.base import Params
from b3shared.params.lstm import LSTMParams
from b3shared.params.random_forest import RandomForestParams

SERVED_SUFFIXES = (".onnx", ".json")
"""Suffixes of the files that serve a model, from which the trained model's file differs."""

DEFAULT_MODEL_TYPE = "rf"
"""The model type where a caller names none."""

ALIASES = {"lr": "learning_rate"}
"""Other names that the reference project gives a parameter."""


@dataclass(frozen=True)
class ModelSpec:
    """One model type.

    Attributes:
        name: the model type, as stored in keys and manifests; a run's parameters hold those of the
            model under this name.
        title: how reports call the model.
        params: class of the model's own parameters. Their names must be unique among all models
            and the run, because callers may give them without the model's name.
        implementation: ``module:class`` of the :class:`b3shared.models.base.Model`; imported only
            when the model is trained or loaded.
        file: default name of the trained model's file.
        aliases: other accepted names of the type.
        takes_sequences: whether an input is a window of ``lookback`` sessions and not one row.
        former_params: parameters of the run that were the model's own in earlier versions; stored
            documents of that time have them under the model's name.
        extra: the extra of pyproject.toml that training the model needs.
    """

    name: str
    title: str
    params: type[Params]
    implementation: str
    file: str
    aliases: tuple[str, ...] = ()
    takes_sequences: bool = False
    former_params: frozenset[str] = frozenset()
    extra: str = "train"

    @property
    def suffix(self) -> str:
        """End of the file's name, such as ``.joblib``."""
        return self.file[self.file.rindex(".") :]

    @property
    def names(self) -> tuple[str, ...]:
        """Every accepted name of the type, its own first."""
        return (self.name, *self.aliases)


CATALOGUE: dict[str, ModelSpec] = {}
"""Every model by its name, in the order of registration; :func:`register` adds one."""


def register(spec: ModelSpec) -> None:
    """Add a model to the catalogue.

    Raises:
        ValueError: One of its names, or of its parameters' names, is another model's; or its file
            ends like one of those that serve a model.
    """
    if spec.suffix in SERVED_SUFFIXES:
        raise ValueError(f"file must not end in {' or '.join(SERVED_SUFFIXES)}, got {spec.file!r}")
    for other in CATALOGUE.values():
        same = set(other.names) & set(spec.names)
        same |= other.params.model_fields.keys() & spec.params.model_fields.keys()
        if same:
            raise ValueError(f"{', '.join(sorted(same))}: already of model {other.name}")
    CATALOGUE[spec.name] = spec


def model_specs() -> tuple[ModelSpec, ...]:
    """Every model, in the order of registration."""
    return tuple(CATALOGUE.values())


def model_types() -> tuple[str, ...]:
    """The name of every model type."""
    return tuple(CATALOGUE)


def accepted_names() -> tuple[str, ...]:
    """Every name by which a caller may name a model type, aliases included."""
    return tuple(name for spec in model_specs() for name in spec.names)


def model_spec(name: str) -> ModelSpec:
    """Return the model of a name or alias, in any case of letters.

    Raises:
        InvalidParameterError: No model has the name.
    """
    for spec in model_specs():
        if name.lower() in spec.names:
            return spec
    raise InvalidParameterError(
        f"model_type must be one of {', '.join(accepted_names())}, got {name!r}",
        parameters=["model_type"],
    )


def model_type_of(value: object) -> object:
    """Return the model type of an accepted name; anything else stays as it is, to be refused."""
    known = isinstance(value, str) and value.lower() in accepted_names()
    return model_spec(str(value)).name if known else value


@dataclass(frozen=True)
class OneOf:
    """Annotation of a text field: one of the names that ``names()`` returns at that moment.

    Errors and JSON schema are those of a ``Literal`` of these names.
    """

    names: Callable[[], Iterable[str]]

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Check by :meth:`_checked` only: whatever is not among the names is refused alike."""
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the schema of the names there are now."""
        return {"type": "string", "enum": list(self.names())}

    def _checked(self, value: object) -> str:
        names = tuple(self.names())
        if isinstance(value, str) and value in names:
            return value
        quoted = [repr(name) for name in names]
        expected = " or ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))
        raise PydanticKnownError("literal_error", {"expected": expected})


def canonical(name: str) -> str:
    """Return the canonical name of a parameter."""
    return ALIASES.get(name, name)


def model_of(name: str) -> ModelSpec | None:
    """Return the model that a parameter belongs to; None for the run's and unknown ones."""
    owners = (s for s in model_specs() if canonical(name) in s.params.model_fields)
    return next(owners, None)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Put every parameter where it belongs, under its canonical name.

    A model's own parameters go under the model's name. Callers may also give them on the top
    level, as in the reference API (``units=96``), where they win over the same name further down.
    Parameters that became the run's move up (``ModelSpec.former_params``), and win there: they
    come from a stored document. What is nested already stays as it is. Unknown names stay where
    they are, to be refused.

    Raises:
        InvalidParameterError: Under a model's name stands no mapping.
    """
    given = {canonical(name): value for name, value in values.items()}
    result = {name: value for name, value in given.items() if not model_of(name)}

    for spec in model_specs():
        own = _own(spec.name, result.pop(spec.name, {}))
        result |= {name: own.pop(name) for name in spec.former_params & own.keys()}
        own |= {name: given[name] for name in spec.params.model_fields.keys() & given.keys()}
        if own:
            result[spec.name] = own
    return result


def flat_names(values: Mapping[str, Any]) -> list[str]:
    """Name every parameter of a nested mapping, those of the models without the model's name."""
    return [
        inner
        for name, value in values.items()
        for inner in (value if name in CATALOGUE else (name,))
    ]


def _own(model_type: str, given: object) -> dict[str, Any]:
    """Copy what stands under a model's name, by canonical names."""
    if isinstance(given, Params):
        return given.model_dump()
    if not isinstance(given, Mapping):
        raise InvalidParameterError(
            f"{model_type} must be the model's parameters by name, got {given!r}",
            parameters=[model_type],
        )
    return {canonical(name): value for name, value in given.items()}


register(
    ModelSpec(
        name="rf",
        aliases=("random_forest",),
        title="random forest",
        params=RandomForestParams,
        implementation="b3shared.models.random_forest.model:RandomForestModel",
        file="b3_model.joblib",
    )
)
register(
    ModelSpec(
        name="lstm",
        aliases=("lstm_mtl",),
        title="LSTM",
        params=LSTMParams,
        implementation="b3shared.models.lstm.model:LSTMModel",
        file="b3_lstm_mtl.pt",
        takes_sequences=True,
        former_params=frozenset({"max_gap", "interval_level"}),
        extra="lstm",
    )
)
