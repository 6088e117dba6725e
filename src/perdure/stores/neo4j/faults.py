"""What a Neo4j error means for a write: wait and try again, or never try it again.

The question is always whether the *statement* is at fault. Whatever speaks of the server, the session or the login
is not the statement's fault, and a write is never given up for it.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager

from neo4j.exceptions import ConfigurationError, DriverError, Neo4jError

from perdure.errors import (
    READ_ONLY,
    READ_ONLY_HINT,
    ConfigError,
    InputError,
    PerdureError,
    StatementRejectedError,
    StoreUnavailableError,
    shorten,
)

EXPECTED = re.compile(r": expected .*?(?= \(line \d+)|(?<=\))\s*\n.*", re.DOTALL)
"""In a syntax error: the long list of words the parser would have taken, and its drawing of the statement."""
NEEDED = "Perdure needs Neo4j 5.26 or newer, at an address the driver knows."
_AGAIN = {
    "Neo.TransientError.Transaction.DeadlockDetected",
    "Neo.TransientError.Transaction.ConstraintsChanged",
    "Neo.TransientError.Transaction.Outdated",
    "Neo.TransientError.Transaction.LeaseExpired",
}
_TOO_LARGE = {
    "Neo.TransientError.General.MemoryPoolOutOfMemoryError",
    "Neo.ClientError.Transaction.TransactionTimedOut",
    "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration",
}
_STATEMENT = (
    "Neo.ClientError.Statement.",
    "Neo.ClientError.Schema.",
    "Neo.ClientError.Procedure.",
    "Neo.ClientError.General.InvalidArguments",
    "Neo.ClientError.Request.Invalid",
    "Neo.ClientError.Security.Forbidden",
    "Neo.ClientError.Transaction.ForbiddenDueToTransactionType",
    "Neo.DatabaseError.Statement.",
    "Neo.DatabaseError.Schema.",
    "Neo.TransientError.General.StackOverFlowError",
    "Neo.TransientError.General.TransactionMemoryLimit",
    "Neo.TransientError.General.TransactionOutOfMemoryError",
)
_OWN_TRANSACTION = {
    "Neo.ClientError.Transaction.ForbiddenDueToTransactionType",
    "Neo.DatabaseError.Transaction.TransactionStartFailed",
}


class GoneError(StatementRejectedError):
    """The statement met a node or relationship that another transaction was deleting: it may be run again."""


class MadeMeanwhileError(StatementRejectedError):
    """Another client was making what the statement makes: run again, one with `IF NOT EXISTS` finds it there."""


class OwnTransactionError(Exception):
    """A statement that the server runs only in a transaction of its own, at `position` in its batch."""

    def __init__(self, position: int) -> None:
        super().__init__(f"statement {position} needs its own transaction")
        self.position = position


@contextmanager
def translated(position: int | None = None) -> Generator[None]:
    """Turn the driver's errors into Perdure's; `position` is that of the statement being run."""
    try:
        yield
    except (Neo4jError, DriverError) as error:
        if position is not None and needs_own_transaction(error):
            raise OwnTransactionError(position) from error
        raise meaning(error, position) from error
    except OSError as error:
        raise StoreUnavailableError(f"The connection to Neo4j failed: {shorten(str(error), 200)}") from error


def needs_own_transaction(error: Exception) -> bool:
    """Return whether the server would run the statement, but not beside others."""
    return code_of(error) in _OWN_TRANSACTION or "transactional subquery" in str(error)


def code_of(error: Exception) -> str:
    """Return the server's code for an error, or nothing for one the driver found."""
    return (error.code or "") if isinstance(error, Neo4jError) else ""


def text_of(error: Neo4jError | DriverError) -> str:
    """Return what the server said, or what the driver did; the `message` of the driver's own errors says nothing."""
    return (error.message or "") if isinstance(error, Neo4jError) else str(error)


def meaning(error: Neo4jError | DriverError, position: int | None = None) -> PerdureError:
    """Return the error Perdure raises for one of the driver's."""
    code = code_of(error)
    said = EXPECTED.sub("", text_of(error))
    if code == "Neo.ClientError.Statement.AccessMode":
        return InputError(READ_ONLY, hint=READ_ONLY_HINT)
    if code in _AGAIN:
        return StoreUnavailableError(f"Neo4j asks to try again: {said}", relief="again")
    if code in _TOO_LARGE:
        return StoreUnavailableError(f"Neo4j has no memory or no time for this transaction: {said}", relief="smaller")
    if code.startswith(_STATEMENT):
        return _refusal(code, said)(f"Neo4j refused the statement ({code}): {said}", position=position)
    return StoreUnavailableError(f"Neo4j cannot answer now ({code or type(error).__name__}): {said}")


def _refusal(code: str, said: str) -> type[StatementRejectedError]:
    if code == "Neo.ClientError.Statement.EntityNotFound" and "in this transaction" not in said:
        return GoneError
    if code == "Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists":
        return MadeMeanwhileError
    return StatementRejectedError


def meaning_at_connect(error: Neo4jError | DriverError, uri: str, username: str) -> PerdureError:
    """Return what to tell someone whose first connection failed."""
    code = code_of(error)
    said = shorten(text_of(error), 200)
    if code == "Neo.ClientError.Security.CredentialsExpired":
        return ConfigError(
            f"Neo4j at {uri} wants a new password for {username!r} first.",
            hint="Run ALTER CURRENT USER SET PASSWORD FROM 'old' TO 'new' in cypher-shell or the browser.",
        )
    if code.startswith("Neo.ClientError.Security."):
        return ConfigError(
            f"Neo4j at {uri} refused the login of {username!r}: {said}",
            hint="Check neo4j.username and neo4j.password (PERDURE_NEO4J__PASSWORD).",
        )
    if code == "Neo.ClientError.Database.DatabaseNotFound":
        return ConfigError(
            f"Neo4j at {uri} has no such database: {said}", hint="Check neo4j.database, or leave it unset."
        )
    if isinstance(error, ConfigurationError):
        return ConfigError(f"The Neo4j driver cannot use {uri}: {said}", hint=NEEDED)
    if not code:
        return StoreUnavailableError(
            f"No Neo4j answers at {uri}: {said}",
            hint="Start it (docker run -p 7687:7687 -e NEO4J_AUTH=neo4j/your-password neo4j:5.26-community), or check "
            "neo4j.uri (PERDURE_NEO4J__URI).",
        )
    return StoreUnavailableError(f"Neo4j at {uri} cannot answer now: {said} ({code})")
