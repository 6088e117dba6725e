"""Journal tests work on real files; nothing in them may block the event loop."""

import os

import pytest


@pytest.fixture(scope="module", autouse=True)
def _nothing_in_perdure_blocks(nothing_blocks_in_this_file):
    """Watch every test."""


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    """Take the settings of whoever runs the tests out of the environment."""
    for name in list(os.environ):
        if name.upper().startswith("PERDURE_"):
            monkeypatch.delenv(name)
