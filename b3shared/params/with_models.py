"""Parameters that include those of every model of the catalogue."""

from collections.abc import Mapping
from typing import Any

from pydantic import (
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    InstanceOf,
    SerializeAsAny,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from b3shared.params.base import Params
from b3shared.params.models import model_spec, model_specs


class WithModelParams(Params):
    """Holds the parameters of every model under the model's name (``params.rf.n_jobs``).

    The catalogue says which models there are, so theirs are pydantic's "extra" values: instances
    of ``ModelSpec.params``, complete with defaults. :meth:`own` reads them with their type.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, SerializeAsAny[InstanceOf[Params]]] = Field(init=False)

    @model_validator(mode="before")
    @classmethod
    def _with_every_model(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Complete the parameters of every model; those of a document are plain mappings."""
        given = {spec.name: values.get(spec.name, {}) for spec in model_specs()}
        return values | {
            name: model_spec(name).params(**own) if isinstance(own, Mapping) else own
            for name, own in given.items()
        }

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the parameters of every model under its name."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        models = {spec.name: spec.params.model_json_schema() for spec in model_specs()}
        schema["properties"] = schema.get("properties", {}) | models
        schema["additionalProperties"] = False
        return schema

    def own[P: Params](self, kind: type[P]) -> P:
        """Return the parameters of one model, by their class."""
        return next(own for own in self.__pydantic_extra__.values() if isinstance(own, kind))
