"""One class per situation. ``code`` is stable and public: the API, the run's step files and the alarms use it."""

from typing import Any, ClassVar


class B3Error(Exception):
    """Base of every error this project raises on purpose.

    Args:
        message: What happened, naming the value and what is allowed.
        **details: Machine-readable facts (JSON types) that go into the run's record beside the
        message.
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
    """Quotes lack a needed column, hold text where a number belongs, or are otherwise not quotes."""

    code = "INVALID_QUOTES"


class InvalidActionsError(B3Error):
    """A user's table of corporate actions has a row that cannot be meant."""

    code = "INVALID_ACTIONS"


class NoQuotesError(B3Error):
    """The source answered, but nothing is left of it: an empty file, or filters that no row passes."""

    code = "NO_QUOTES"


class MissingSessionsError(B3Error):
    """The source lacks more sessions of the exchange than are allowed; ``details["missing"]`` lists them."""

    code = "MISSING_SESSIONS"


class UnreadableFileError(B3Error):
    """A file of quotes is damaged, truncated, a bomb, a web page, or an archive without the one file that is needed."""

    code = "UNREADABLE_FILE"


class InvalidCotahistError(B3Error):
    """A COTAHIST file contradicts its layout, its name, its trailer or itself."""

    code = "INVALID_COTAHIST"


class SourceUnavailableError(B3Error):
    """The source of quotes cannot be reached or opened; trying again may help."""

    code = "SOURCE_UNAVAILABLE"
    retryable = True


class NotPublishedError(B3Error):
    """The exchange has no such file: a day without a session, or not there yet."""

    code = "NOT_PUBLISHED"


class IncompleteIngestError(B3Error):
    """Some of the files that a lake lacks, or that a folder holds, could not be taken in; the others were."""

    code = "INCOMPLETE_INGEST"


class TooLittleHistoryError(B3Error):
    """There are quotes, but too few sessions for the features, the labels or the split."""

    code = "TOO_LITTLE_HISTORY"


class SupersededError(B3Error):
    """Another attempt at the same training has taken over; this one stopped without writing anything."""

    code = "SUPERSEDED"


class TooManySlicesError(B3Error):
    """A training was interrupted as often as is allowed and is still not done."""

    code = "TOO_MANY_SLICES"


class SingleClassError(B3Error):
    """The labels to learn from are all of one class."""

    code = "SINGLE_CLASS"


class ModelTooLargeError(B3Error):
    """A model would exceed the bound that keeps predict small and fast."""

    code = "MODEL_TOO_LARGE"


class ParityError(B3Error):
    """The exported model does not answer as the trained one does; it must not be saved."""

    code = "PARITY_FAILED"


class DiskFullError(B3Error):
    """The disk for temporary files is too small for the data; trying again does not help, a greater disk does."""

    code = "DISK_FULL"


class OutOfMemoryError(B3Error):
    """The memory is too small for the data; trying again does not help, more memory does."""

    code = "OUT_OF_MEMORY"


class ArtifactNotFoundError(B3Error):
    """A key that should exist does not."""

    code = "ARTIFACT_NOT_FOUND"


class ArtifactCorruptError(B3Error):
    """An artifact's bytes do not have the hash that was recorded for them."""

    code = "ARTIFACT_CORRUPT"


class ConflictError(B3Error):
    """Somebody else changed the same object first (a failed compare-and-swap, or an object that already exists)."""

    code = "CONFLICT"


class UnknownRunError(B3Error):
    """There is no run of this id."""

    code = "UNKNOWN_RUN"


class StepNotReadyError(B3Error):
    """A step was asked for before the step that it builds on has finished."""

    code = "STEP_NOT_READY"


class UnknownTickerError(B3Error):
    """The ticker is not among the quotes."""

    code = "UNKNOWN_TICKER"


class UnknownModelError(B3Error):
    """No model version of this type and name is registered."""

    code = "UNKNOWN_MODEL"


class NothingLiveError(B3Error):
    """No version of the model type is live yet."""

    code = "NOTHING_LIVE"


class IncompatibleFeaturesError(B3Error):
    """The features at hand are not those that the model was trained on."""

    code = "INCOMPATIBLE_FEATURES"


class TooManyRunsError(B3Error):
    """As many runs as are allowed at once are running already."""

    code = "TOO_MANY_RUNS"
    retryable = True


class RunFailedError(B3Error):
    """A run ended in an error that is not one of ours: a crash, a time-out, a missing permission."""

    code = "RUN_FAILED"
