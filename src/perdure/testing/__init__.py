"""Fakes for testing agents: they keep the promises of what they stand for, and fail when they are told to."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perdure.testing.graph import Committed, FakeGraphStore, Mark
from perdure.testing.model import Asked, FakeLanguageModel
from perdure.testing.waiting import wait_until

if TYPE_CHECKING:
    from perdure.testing.vectors import FakeEmbedder, FakeVectorStore

__all__ = [
    "Asked",
    "Committed",
    "FakeEmbedder",
    "FakeGraphStore",
    "FakeLanguageModel",
    "FakeVectorStore",
    "Mark",
    "wait_until",
]


def __getattr__(name: str) -> Any:
    """Load what needs numpy when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("perdure.testing.vectors"), name)
