"""Memory for AI agents that never makes the agent wait, and never lies about what it saved."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perdure.client import MemoryClient
    from perdure.errors import (
        ClosedError,
        ConfigError,
        ConflictError,
        DurabilityWarning,
        InputError,
        JournalCorruptError,
        JournalError,
        JournalFullError,
        JournalLockedError,
        NotFoundError,
        PerdureError,
        QueueFullError,
        StatementRejectedError,
        StoreError,
        StoreUnavailableError,
        WriteFailed,
    )
    from perdure.records import (
        CloseReport,
        DeadLetter,
        FlushSummary,
        Health,
        Latency,
        RecoveryReport,
        WriteError,
        WriteStats,
    )
    from perdure.settings import MemorySettings
    from perdure.writes import BufferedWriter, Receipt

__all__ = [
    "BufferedWriter",
    "CloseReport",
    "ClosedError",
    "ConfigError",
    "ConflictError",
    "DeadLetter",
    "DurabilityWarning",
    "FlushSummary",
    "Health",
    "InputError",
    "JournalCorruptError",
    "JournalError",
    "JournalFullError",
    "JournalLockedError",
    "Latency",
    "MemoryClient",
    "MemorySettings",
    "NotFoundError",
    "PerdureError",
    "QueueFullError",
    "Receipt",
    "RecoveryReport",
    "StatementRejectedError",
    "StoreError",
    "StoreUnavailableError",
    "WriteError",
    "WriteFailed",
    "WriteStats",
]
__version__ = "0.1.0"

_HOMES = {
    "BufferedWriter": "writes",
    "CloseReport": "records",
    "DeadLetter": "records",
    "FlushSummary": "records",
    "Health": "records",
    "Latency": "records",
    "MemoryClient": "client",
    "MemorySettings": "settings",
    "Receipt": "writes",
    "RecoveryReport": "records",
    "WriteError": "records",
    "WriteStats": "records",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing the package costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'perdure' has no attribute {name!r}")
    value = getattr(import_module(f"perdure.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
