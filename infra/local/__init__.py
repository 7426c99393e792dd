"""The stack of template.yaml on one machine: an AWS emulator in a process of its own, handlers in child processes."""

from infra.local.errors import LocalStackError
from infra.local.stack import LocalStack

__all__ = ["LocalStack", "LocalStackError"]
