"""What is synchronous, over stores that leave nothing on disk."""

from contextlib import suppress

import pytest

from perdure import ClosedError, MemorySettings, SyncMemoryClient
from perdure.testing import FakeGraphStore


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
