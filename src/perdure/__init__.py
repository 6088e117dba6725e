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
        ProviderError,
        ProviderOutputError,
        ProviderTimeoutError,
        ProviderUnavailableError,
        QueueFullError,
        RateLimitError,
        StatementRejectedError,
        StoreError,
        StoreUnavailableError,
        WriteFailed,
    )
    from perdure.memory import Memory
    from perdure.models import (
        Conversation,
        DeletionReport,
        Entity,
        Fact,
        Hit,
        MemoryEvent,
        MemoryRecord,
        Message,
        Preference,
        ReasoningStep,
        Related,
        Relationship,
        Session,
        ToolCall,
        ToolStats,
        Trace,
        User,
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
    from perdure.results import AddResult, MemoryHit, MemoryPage, Relation, Remembered, SearchResult, Side
    from perdure.settings import MemorySettings
    from perdure.sync import SyncMemory, SyncMemoryClient
    from perdure.writes import BufferedWriter, Receipt

__all__ = [
    "AddResult",
    "BufferedWriter",
    "CloseReport",
    "ClosedError",
    "ConfigError",
    "ConflictError",
    "Conversation",
    "DeadLetter",
    "DeletionReport",
    "DurabilityWarning",
    "Entity",
    "Fact",
    "FlushSummary",
    "Health",
    "Hit",
    "InputError",
    "JournalCorruptError",
    "JournalError",
    "JournalFullError",
    "JournalLockedError",
    "Latency",
    "Memory",
    "MemoryClient",
    "MemoryEvent",
    "MemoryHit",
    "MemoryPage",
    "MemoryRecord",
    "MemorySettings",
    "Message",
    "NotFoundError",
    "PerdureError",
    "Preference",
    "ProviderError",
    "ProviderOutputError",
    "ProviderTimeoutError",
    "ProviderUnavailableError",
    "QueueFullError",
    "RateLimitError",
    "ReasoningStep",
    "Receipt",
    "RecoveryReport",
    "Related",
    "Relation",
    "Relationship",
    "Remembered",
    "SearchResult",
    "Session",
    "Side",
    "StatementRejectedError",
    "StoreError",
    "StoreUnavailableError",
    "SyncMemory",
    "SyncMemoryClient",
    "ToolCall",
    "ToolStats",
    "Trace",
    "User",
    "WriteError",
    "WriteFailed",
    "WriteStats",
]
__version__ = "0.1.0"

_HOMES = {
    "AddResult": "results",
    "BufferedWriter": "writes",
    "CloseReport": "records",
    "Conversation": "models",
    "DeadLetter": "records",
    "DeletionReport": "models",
    "Entity": "models",
    "Fact": "models",
    "FlushSummary": "records",
    "Health": "records",
    "Hit": "models",
    "Latency": "records",
    "Memory": "memory",
    "MemoryClient": "client",
    "MemoryEvent": "models",
    "MemoryHit": "results",
    "MemoryPage": "results",
    "MemoryRecord": "models",
    "MemorySettings": "settings",
    "Message": "models",
    "Preference": "models",
    "ReasoningStep": "models",
    "Receipt": "writes",
    "RecoveryReport": "records",
    "Related": "models",
    "Relation": "results",
    "Relationship": "models",
    "Remembered": "results",
    "SearchResult": "results",
    "Session": "models",
    "Side": "results",
    "SyncMemory": "sync",
    "SyncMemoryClient": "sync",
    "ToolCall": "models",
    "ToolStats": "models",
    "Trace": "models",
    "User": "models",
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
