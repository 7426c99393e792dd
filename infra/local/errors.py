"""Errors of the local stack; each message is one line that says what to do."""


class LocalStackError(Exception):
    """The local stack cannot start, or has ended."""


class DeployError(LocalStackError):
    """The template cannot be deployed: it is invalid, or needs what does not exist locally."""


class PortTakenError(LocalStackError):
    """Another program listens on the port that was asked for."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"port {port} is taken by another program: "
            f"stop it, or choose another with PORT={port + 1}"
        )


class ClosingError(LocalStackError):
    """An invocation arrived while the stack was being closed."""
