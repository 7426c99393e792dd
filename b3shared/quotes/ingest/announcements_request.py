"""The request for announcements, which the state machine's steps pass on: checks an event."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from b3shared.core.errors import InvalidParameterError
from b3shared.params.messages import explain_event


class NamedCompany(BaseModel):
    """A company of the exchange's list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str
    trading_name: str
    code_cvm: str = ""


class AnnouncementsRequest(BaseModel):
    """What to fetch: without companies, the plan of who is due is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    companies: list[NamedCompany] | None = Field(
        default=None, max_length=1000, description="a batch of the plan"
    )
    issuers: list[str] = Field(
        default=[], max_length=1000, description="plan these roots, however new their answers are"
    )
    failed: list[dict[str, str]] = Field(
        default=[], description="companies that earlier slices could not fetch"
    )
    in_a_row: int = Field(default=0, ge=0, description="how many failed last, one after the other")
    until: AwareDatetime | None = Field(
        default=None, description="no company is begun later; of a plan that names no roots"
    )

    @classmethod
    def from_event(cls, event: Any) -> "AnnouncementsRequest":
        """Check an event.

        Raises:
            InvalidParameterError: It is no such request.
        """
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            raise InvalidParameterError(
                f"not a request for announcements: {explain_event(error.errors())}"
            ) from error
