"""Any batch, any bad statements in it: the good ones are committed in order, the bad ones fail, each for itself."""

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure import BufferedWriter
from perdure.testing import FakeGraphStore
from perdure.writes.batch import split

NOTE = "CREATE (:Note {n: $n})"


@pytest.mark.slow
@settings(max_examples=80)
@given(
    count=st.integers(1, 40),
    bad=st.sets(st.integers(0, 39)),
    position=st.booleans(),
    max_batch=st.integers(1, 40),
    at_most=st.sampled_from([None, None, 1, 3]),
    lost=st.integers(0, 3),
    failed=st.integers(0, 3),
)
async def test_exactly_the_bad_statements_fail(*, count, bad, position, max_batch, at_most, lost, failed):
    """B25, B26: with and without the store's hint, with lost answers and outages between the parts."""
    store = FakeGraphStore()
    store.reject(lambda _, parameters: parameters["n"] in bad, message="Not this one.", position=position)
    store.commit_at_most(at_most)
    store.lose_answers(lost)
    store.fail(failed)
    async with BufferedWriter(store, write_mode="buffered", max_batch=max_batch, linger_seconds=0) as writer:
        receipts = [await writer.submit(NOTE, {"n": n}) for n in range(count)]
    assert store.values("n") == [n for n in range(count) if n not in bad]
    assert [failure.parameters["n"] for failure in writer.errors] == [n for n in range(count) if n in bad]
    for n, receipt in enumerate(receipts):
        assert receipt.state == ("failed" if n in bad else "committed")


async def test_a_hint_saves_tries():
    """B25: told which statement it is, the drain sends its neighbours at once; untold, it halves."""
    tries = {}
    for position in (True, False):
        store = FakeGraphStore()
        store.reject("BAD", position=position)
        async with BufferedWriter(store, write_mode="buffered", linger_seconds=5.0) as writer:  # all in one batch
            for n in range(64):
                await writer.submit("BAD" if n == 31 else NOTE, {"n": n})
        tries[position] = len(store.batches)
    assert tries[True] == 4
    assert tries[True] < tries[False] <= 2 * 6 + 2


@given(count=st.integers(2, 1000), position=st.none() | st.integers(-5, 1005))
def test_a_split_is_smaller_parts_that_make_the_whole(count, position):
    """B25: whatever position a store reports, splitting ends and loses nothing."""
    parts = split(count, position)
    assert sum(parts) == count
    assert all(0 < part < count for part in parts)
    if position is not None and 0 <= position < count:
        assert (position, 1) in zip(accumulate(parts, initial=0), parts, strict=False)
