"""The key of a model in the release: ``<namespace>/<type>``, such as ``models/rf``."""

from dataclasses import dataclass
from typing import Self

from b3shared.core.errors import InvalidParameterError
from b3shared.params.run import MODEL_TYPES


@dataclass(frozen=True, order=True)
class ModelKey:
    """Names one model of which at most one version is live. ``str(key)`` is its stored form.

    Attributes:
        namespace: ``model_dir`` of the Python and the HTTP API.
        model_type: canonical, as in the values of :data:`b3shared.params.run.MODEL_TYPES`.
    """

    namespace: str
    model_type: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.model_type}"

    @classmethod
    def checked(cls, namespace: str, model_type: str) -> Self:
        """Return the key for any accepted name of a type.

        Raises:
            InvalidParameterError: There is no such type.
        """
        return cls(namespace, checked_model_type(model_type))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str(key)`` wrote.

        The type may be one that this code does not know: another release of the code has made it
        live, and changing a release must not lose it.

        Raises:
            ValueError: The text has not one ``/``.
        """
        namespace, model_type = text.split("/")
        return cls(namespace, model_type)


def checked_model_type(name: str) -> str:
    """Return the model type that a name means, such as ``rf`` for ``random_forest``.

    Raises:
        InvalidParameterError: There is no such type.
    """
    if name.lower() not in MODEL_TYPES:
        raise InvalidParameterError(
            f"model_type must be one of {', '.join(MODEL_TYPES)}, got {name!r}",
            parameters=["model_type"],
        )
    return MODEL_TYPES[name.lower()]
