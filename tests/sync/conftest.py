"""What is synchronous, over stores that leave nothing on disk."""

from contextlib import suppress
from threading import Event
from time import monotonic

import pytest

from perdure import ClosedError, MemorySettings, SyncMemoryClient
from perdure.testing import FakeGraphStore


def wait_until(predicate, timeout=30.0):
    """Return whether something becomes true in time."""
    deadline = monotonic() + timeout
    while not predicate() and monotonic() < deadline:
        Event().wait(0.001)
    return predicate()


@pytest.fixture
def settings():
    """Nothing on disk."""
    return MemorySettings(store="memory://")


@pytest.fixture
def store():
    """A store that is told what goes wrong."""
    return FakeGraphStore()


@pytest.fixture
def client(store):
    """A client whose store can be held; what it holds is let go of at the end."""
    with SyncMemoryClient(MemorySettings(store=store, memory={"write_mode": "sync"})) as client:
        yield client
        with suppress(ClosedError):
            client.connection.run(store.release)
