"""The base class of all parameters."""

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """Parameters that cannot be changed, and that refuse unknown names, NaN and infinity."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )
