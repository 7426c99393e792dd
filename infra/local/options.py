"""Options of a local stack and the addresses it returns; both go as JSON between processes."""

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Options:
    """Options that a local stack is started with.

    Attributes:
        template: Path of the SAM template.
        parameters: Values for its parameters.
        port: Port of the HTTP API on 127.0.0.1; 0 for any free one.
        aws_port: Port of the AWS endpoint; 0 for any free one.
        state_dir: Folder in which buckets and logs are kept between runs; None for nothing kept.
        environment: Variables that every function gets besides the template's, such as a token
            that only this machine has.
        integration_timeout: Seconds until the HTTP API gives a function up with a 503 (API Gateway:
            30); None for never.
        retry_delay: Seconds before a failed asynchronous invocation is repeated, twice that before
            the next (Lambda: 60).
        verbose: Whether the functions' output goes to standard error as well.
    """

    template: str = "template.yaml"
    parameters: dict[str, str] = field(default_factory=dict)
    port: int = 0
    aws_port: int = 0
    state_dir: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    integration_timeout: float | None = 600.0
    retry_delay: float = 1.0
    verbose: bool = False

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Options":
        """Read what ``to_json`` wrote."""
        return cls(**json.loads(line))


@dataclass(frozen=True)
class Ready:
    """Addresses, outputs and resources of a started stack.

    Attributes:
        api_url: Address of the HTTP API.
        aws_url: Address of the AWS endpoint (AWS_ENDPOINT_URL).
        outputs: The template's outputs.
        resources: Physical ids by logical id.
        log_dir: Folder of the functions' logs.
    """

    api_url: str
    aws_url: str
    outputs: dict[str, str]
    resources: dict[str, str]
    log_dir: str

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Ready":
        """Read what ``to_json`` wrote."""
        return cls(**json.loads(line))
