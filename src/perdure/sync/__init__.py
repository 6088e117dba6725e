"""The same memory for code that does not await: each call is run on an event loop in a thread of its own."""

from perdure.sync.client import SyncMemoryClient
from perdure.sync.memory import SyncMemory

__all__ = ["SyncMemory", "SyncMemoryClient"]
