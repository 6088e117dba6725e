"""Ids and times that the client gives out."""

import os
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from perdure import ids


def test_ids_are_uuids_of_version_7_in_order():
    """M1: unique, and each later than the last, also within a millisecond."""
    made = [ids.uuid7() for _ in range(20_000)]
    assert made == sorted(set(made))
    first = uuid.UUID(made[0])
    assert (first.version, first.variant, str(first)) == (7, uuid.RFC_4122, made[0])
    age = datetime.now(UTC) - datetime.fromtimestamp((first.int >> 80) / 1000, UTC)
    assert timedelta(0) <= age < timedelta(minutes=1)


def test_ids_and_times_stay_in_order_when_the_clock_steps_back(monkeypatch):
    """M3: a message is never in front of the one it followed."""
    before = ids.uuid7()
    monkeypatch.setattr(ids, "time_ns", lambda: 1)
    assert before < ids.uuid7() < ids.uuid7()
    times = [ids.now() for _ in range(1000)]
    assert times == sorted(set(times))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_gives_out_ids_of_its_own():
    """M1: it does not draw from what its parent has in store."""
    ids.uuid7()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, "".join(ids.uuid7()[-12:] for _ in range(50)).encode())
        os._exit(0)
    mine = {ids.uuid7()[-12:] for _ in range(50)}
    os.waitpid(child, 0)
    answer = os.read(reading, 10_000).decode()
    os.close(reading)
    os.close(writing)
    theirs = {answer[n : n + 12] for n in range(0, len(answer), 12)}
    assert len(theirs) == 50
    assert not mine & theirs
