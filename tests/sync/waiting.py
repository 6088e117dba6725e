"""Waiting for what another thread does."""

from threading import Event
from time import monotonic


def wait_until(predicate, timeout=30.0):
    """Return whether something becomes true in time."""
    deadline = monotonic() + timeout
    while not predicate() and monotonic() < deadline:
        Event().wait(0.001)
    return predicate()
