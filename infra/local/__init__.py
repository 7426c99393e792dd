"""Runs the stack of a SAM template on one machine, with emulated AWS services."""

from infra.local.errors import LocalStackError
from infra.local.stack import LocalStack

__all__ = ["LocalStack", "LocalStackError"]
