"""Errors of the project, one class for each kind of thing that a reader can put right.

Every message says what was wrong (file, line, field, value), what was expected and what to do. No
message ever carries a secret.
"""


class LabelwrightError(Exception):
    """Base of every error that is meant for the person who reads it."""


class ConfigError(LabelwrightError):
    """A run configuration, or an option, is not usable as written."""


class DataError(LabelwrightError):
    """An input file can not be read as asked."""


class PoolError(LabelwrightError):
    """The pool on disk can not be used: another embedder, damaged, or not there."""


class LedgerError(LabelwrightError):
    """The ledger refuses a write or can not be read."""


class BudgetExceeded(LedgerError):
    """A call was not sent because its reservation would pass a cap."""


class EndpointError(LabelwrightError):
    """A configured endpoint does not answer usably."""


class EmbeddingError(LabelwrightError):
    """Texts can not be turned into vectors."""


class PromptError(LabelwrightError):
    """A prompt template is missing, malformed or was given the wrong inputs."""


class LockedError(LabelwrightError):
    """Another process owns this run or this pool."""
