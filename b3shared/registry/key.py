"""The key of a model in the release: ``<namespace>/<type>``, such as ``models/rf``."""

from dataclasses import dataclass
from typing import Self

from b3shared.params.models import model_spec


@dataclass(frozen=True, order=True)
class ModelKey:
    """Names one model of which at most one version is live. ``str(key)`` is its stored form.

    Attributes:
        namespace: ``model_dir`` of the Python and the HTTP API.
        model_type: as the catalogue names it, such as ``rf``.
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
        return cls(namespace, model_spec(model_type).name)

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
