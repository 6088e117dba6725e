"""Every error Perdure raises on purpose, in one tree.

    PerdureError
    ├── ConfigError                    settings, wiring or the way an object is used
    ├── InputError                     an argument of this call; nothing was sent or stored
    ├── ClosedError                    the client is closed, or was never connected
    ├── NotFoundError                  the thing named is not there (or not yours)
    ├── ConflictError                  it is there already, with other content
    ├── QueueFullError                 no room among the pending writes; nothing was accepted
    ├── WriteFailed                    an accepted write that will not be committed
    ├── ProviderError                  a language model, an embedder or a reranker gave no answer that can be used
    │   ├── ProviderUnavailableError   … because it cannot be reached or cannot answer now; try again
    │   ├── ProviderTimeoutError       … within its deadline
    │   ├── RateLimitError             … because it was asked too often
    │   └── ProviderOutputError        … but one that cannot be read
    ├── StoreError                     a database said no
    │   ├── StoreUnavailableError      … because it cannot be reached or cannot answer now; try again
    │   └── StatementRejectedError     … to this statement; trying again changes nothing
    └── JournalError                   the queue of accepted writes is in trouble
        ├── JournalFullError           … because its disk, or the size it may have, is full; nothing was accepted
        ├── JournalLockedError         … because another process, or another client of this one, holds it
        └── JournalCorruptError        … because its files are damaged, or are not a journal this version can read

Each carries `code` (stable, for programs), `retryable` and `hint` (what to do next, for people). Messages hold
no parameter values.
"""

from typing import ClassVar, Literal

Relief = Literal["wait", "again", "smaller"]
READ_ONLY = "query.cypher only reads, and this statement writes."
READ_ONLY_HINT = "Use client.buffered.submit for writes."
ENDINGS = (".", ":", "?", "!", "…")


class PerdureError(Exception):
    """Something went wrong that Perdure can name."""

    code: ClassVar[str] = "perdure_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        if self.hint is None:
            return self.message
        return f"{self.message}{'' if self.message.endswith(ENDINGS) else '.'} {self.hint}"


class ConfigError(PerdureError):
    """A setting, or the way an object is used, cannot work."""

    code = "config"


class InputError(PerdureError):
    """An argument cannot be accepted; nothing was sent or stored."""

    code = "input"


class ClosedError(PerdureError):
    """The client is not open."""

    code = "closed"


class NotFoundError(PerdureError):
    """What was asked for is not there."""

    code = "not_found"


class ConflictError(PerdureError):
    """What was to be made is there already, with other content."""

    code = "conflict"


class QueueFullError(PerdureError):
    """There is no room among the pending writes; nothing was accepted."""

    code = "queue_full"
    retryable = True


class WriteFailed(PerdureError):  # noqa: N818  the name users of agent-memory libraries know
    """An accepted write will not be committed.

    `error` is why; `query` is the statement's text.
    """

    code = "write_failed"

    def __init__(self, query: str, error: Exception) -> None:
        super().__init__(f"The write {shorten(query)!r} was not committed: {error}")
        self.query = query
        self.error = error

    def __reduce__(self) -> tuple[type["WriteFailed"], tuple[str, Exception]]:
        return type(self), (self.query, self.error)


class ProviderError(PerdureError):
    """A language model, an embedder or a reranker gave no answer that can be used."""

    code = "provider"


class ProviderUnavailableError(ProviderError):
    """A provider cannot be reached, or cannot answer now."""

    code = "provider_unavailable"
    retryable = True


class ProviderTimeoutError(ProviderError):
    """A provider did not answer within its deadline."""

    code = "provider_timeout"
    retryable = True


class RateLimitError(ProviderError):
    """A provider was asked too often."""

    code = "rate_limit"
    retryable = True


class ProviderOutputError(ProviderError):
    """A provider's answer cannot be read."""

    code = "provider_output"


class StoreError(PerdureError):
    """A store could not do what was asked."""

    code = "store"


class StoreUnavailableError(StoreError):
    """The store cannot be reached, or cannot answer now."""

    code = "store_unavailable"
    retryable = True

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        relief: Relief = "wait",
    ) -> None:
        super().__init__(message, hint=hint)
        self.relief: Relief = relief
        """What helps: to wait a while, to try again within milliseconds, or to send less at a time."""


class StatementRejectedError(StoreError):
    """The store refused a statement; the same statement will be refused again.

    `position` is the index of that statement in the batch it was sent with, where the store can tell.
    """

    code = "statement_rejected"

    def __init__(self, message: str | None = None, *, hint: str | None = None, position: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.position = position


class JournalError(PerdureError):
    """The queue of accepted writes cannot do its work."""

    code = "journal"


class JournalFullError(JournalError):
    """The journal has no room on its disk; nothing was accepted."""

    code = "journal_full"
    retryable = True


class JournalLockedError(JournalError):
    """The journal is in use by another process or client."""

    code = "journal_locked"


class JournalCorruptError(JournalError):
    """The journal's files are damaged, or are not a journal that this version can read."""

    code = "journal_corrupt"


class DurabilityWarning(UserWarning):
    """Accepted writes are held with less safety than the settings ask for."""


def shorten(text: str, limit: int = 80) -> str:
    """Return `text` on one line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
