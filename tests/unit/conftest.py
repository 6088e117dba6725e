"""Unit tests have no network, and nothing in them may block the event loop."""

import os
import ssl
from functools import cache

import pytest

from perdure import BufferedWriter
from perdure.graph import index
from perdure.testing import FakeGraphStore
from perdure.writes import batch


@pytest.fixture(scope="module", autouse=True)
def _nothing_in_perdure_blocks(nothing_blocks_in_this_file):
    """Watch every unit test."""


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    """Take the settings of whoever runs the tests out of the environment."""
    for name in list(os.environ):
        if name.upper().startswith("PERDURE_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    """Let the drain and the index try again after milliseconds."""
    for name in ("FIRST_WAIT", "LONGEST_WAIT", "QUICK_STEP", "LONGEST_QUICK"):
        monkeypatch.setattr(batch, name, 0.001)
    monkeypatch.setattr(index, "SECONDS_TO_TRY_AGAIN", 0.001)


@pytest.fixture(scope="module", autouse=True)
def _certificates_are_read_once():
    """OpenAI's client reads them for every client, and most tests make one: longer than all else in them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        yield


@pytest.fixture
def store():
    """A store that is told what goes wrong."""
    return FakeGraphStore()


@pytest.fixture
def buffered(store):
    """Make a writer in buffered mode over the store; keywords are settings."""

    def make(**options):
        return BufferedWriter(store, **{"write_mode": "buffered", **options})

    return make
