"""HTTP status and body of every error."""

from typing import Any

HTTP_STATUS = {
    "INVALID_PARAMETER": 422,
    "UNKNOWN_TICKER": 404,
    "UNKNOWN_MODEL": 404,
    "UNKNOWN_RUN": 404,
    "ARTIFACT_NOT_FOUND": 404,
    "NOT_PUBLISHED": 404,
    "CONFLICT": 409,
    "SUPERSEDED": 409,
    "STEP_NOT_READY": 409,
    "INCOMPATIBLE_FEATURES": 409,
    "BODY_TOO_LARGE": 413,
    "INVALID_QUOTES": 422,
    "INVALID_ACTIONS": 422,
    "INVALID_MARKET": 422,
    "INVALID_ANNOUNCEMENTS": 422,
    "NO_QUOTES": 422,
    "UNREADABLE_FILE": 422,
    "INVALID_COTAHIST": 422,
    "MISSING_SESSIONS": 422,
    "TOO_LITTLE_HISTORY": 422,
    "SINGLE_CLASS": 422,
    "MODEL_TOO_LARGE": 422,
    "TOO_MANY_SLICES": 422,
    "TOO_MANY_RUNS": 429,
    "SOURCE_UNAVAILABLE": 503,
    "INCOMPLETE_INGEST": 503,
    "NOTHING_LIVE": 503,
    "DISK_FULL": 507,
    "OUT_OF_MEMORY": 507,
}
"""Error code -> HTTP status; a code that is not listed is our fault, 500."""


def error_body(code: str, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the body of an error, in the one form that all have."""
    return {
        "status": "error",
        "code": code,
        "message": message,
        **({"details": details} if details else {}),
    }


def short(value: object) -> str:
    """Return a value's text as an error names it, at most some 100 characters."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
