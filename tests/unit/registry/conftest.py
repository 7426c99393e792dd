"""A storage of a test's own, as a folder and on S3."""

from released import folder_storage, storage

__all__ = ["folder_storage", "storage"]
