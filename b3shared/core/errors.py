"""Errors: one class per situation, each with a stable, public code.

The code is in answers of the API, in the step files of a run and in the log. HTTP statuses by code
are in :mod:`b3shared.api.errors`.
"""

from typing import Any, ClassVar


class B3Error(Exception):
    """Base of every error that this project raises on purpose.

    Args:
        message: what happened, with the value and what is allowed.
        **details: facts as JSON types, kept in the run's record beside the message.

    Attributes:
        code: name of the situation; unique, stable and public.
        retryable: whether the same call may succeed later.
    """

    code: str = "B3_ERROR"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidParameterError(B3Error):
    """A parameter is unknown, has the wrong type or lies outside its bounds."""

    code = "INVALID_PARAMETER"


class InvalidQuotesError(B3Error):
    """Quotes lack a required column, hold text instead of a number, or are not quotes at all."""

    code = "INVALID_QUOTES"


class InvalidActionsError(B3Error):
    """A user's table of corporate actions has an impossible row."""

    code = "INVALID_ACTIONS"


class InvalidMarketError(B3Error):
    """A file of the market (CDI, Ibovespa, sectors) has a wrong column, date or value."""

    code = "INVALID_MARKET"


class InvalidAnnouncementsError(B3Error):
    """An answer of the exchange about a company is no such answer, or has an unreadable value."""

    code = "INVALID_ANNOUNCEMENTS"


class NoQuotesError(B3Error):
    """The source has no quotes: it is empty, or no row passes the filters."""

    code = "NO_QUOTES"


class MissingSessionsError(B3Error):
    """The source lacks more sessions of the exchange than allowed; see ``details["missing"]``."""

    code = "MISSING_SESSIONS"


class UnreadableFileError(B3Error):
    """A file of quotes is damaged, cut off, a zip bomb, a web page or an archive of others."""

    code = "UNREADABLE_FILE"


class InvalidCotahistError(B3Error):
    """A COTAHIST file contradicts its layout, its name, its trailer or itself."""

    code = "INVALID_COTAHIST"


class SourceUnavailableError(B3Error):
    """The source of quotes cannot be reached or opened; a retry may help."""

    code = "SOURCE_UNAVAILABLE"
    retryable = True


class NotPublishedError(B3Error):
    """The exchange has no such file: there was no session that day, or it is not published yet."""

    code = "NOT_PUBLISHED"


class IncompleteIngestError(B3Error):
    """Some files could not be ingested; all others were."""

    code = "INCOMPLETE_INGEST"


class TooLittleHistoryError(B3Error):
    """There are too few sessions for the features, the labels or the split."""

    code = "TOO_LITTLE_HISTORY"


class SupersededError(B3Error):
    """Another attempt at the same training took over; this one stopped and wrote nothing."""

    code = "SUPERSEDED"


class TooManySlicesError(B3Error):
    """A training is not done after the largest number of slices that is allowed."""

    code = "TOO_MANY_SLICES"


class SingleClassError(B3Error):
    """All labels of the training part are of one class."""

    code = "SINGLE_CLASS"


class ModelTooLargeError(B3Error):
    """A model exceeds the bound that keeps predict small and fast."""

    code = "MODEL_TOO_LARGE"


class ParityError(B3Error):
    """The exported model and the trained one give different answers; it is not saved."""

    code = "PARITY_FAILED"


class DiskFullError(B3Error):
    """The disk for temporary files is too small; a retry does not help, a larger disk does."""

    code = "DISK_FULL"


class OutOfMemoryError(B3Error):
    """The memory is too small; a retry does not help, more memory does."""

    code = "OUT_OF_MEMORY"


class ArtifactNotFoundError(B3Error):
    """A stored object that should exist does not."""

    code = "ARTIFACT_NOT_FOUND"


class ArtifactCorruptError(B3Error):
    """A stored object is damaged: its bytes do not have the recorded hash, or are not JSON."""

    code = "ARTIFACT_CORRUPT"


class ConflictError(B3Error):
    """Somebody else changed or created the same object first: a compare-and-swap failed."""

    code = "CONFLICT"


class UnknownRunError(B3Error):
    """No run has this id."""

    code = "UNKNOWN_RUN"


class StepNotReadyError(B3Error):
    """A step was requested before the step that it depends on has finished."""

    code = "STEP_NOT_READY"


class UnknownTickerError(B3Error):
    """The ticker is not among the quotes."""

    code = "UNKNOWN_TICKER"


class UnknownModelError(B3Error):
    """No version of this model type and name is registered."""

    code = "UNKNOWN_MODEL"


class NothingLiveError(B3Error):
    """No version of the model type is live yet."""

    code = "NOTHING_LIVE"


class IncompatibleFeaturesError(B3Error):
    """The available features are not those that the model was trained on."""

    code = "INCOMPATIBLE_FEATURES"


class TooManyRunsError(B3Error):
    """The allowed number of concurrent runs is reached."""

    code = "TOO_MANY_RUNS"
    retryable = True


class RunFailedError(B3Error):
    """A run failed for another reason than one of these: a crash, a time-out, a permission."""

    code = "RUN_FAILED"
