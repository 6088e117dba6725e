"""FakeGraphStore keeps a store's promises, so that a test over it means something; and it fails as it is told."""

import asyncio

import pytest

from perdure import ClosedError, ConflictError, InputError, StatementRejectedError, StoreUnavailableError
from perdure.records import Batch, JournalEntry
from perdure.testing import FakeGraphStore, Mark, wait_until


def batch(*numbers, epoch=1, text="NOTE", lane="lane"):
    """Return a batch whose entries have these numbers as their place and their parameter."""
    return Batch(lane, epoch, [JournalEntry(n, 0, None, text, {"n": n}, 1) for n in numbers])


# -- promises


async def test_a_batch_sent_again_applies_nothing(store):
    """Entries at or below the lane's mark count as applied."""
    assert await store.apply(batch(0, 1)) == 2
    assert await store.apply(batch(0, 1)) == 2
    assert await store.apply(batch(1, 2)) == 2
    assert store.values("n") == [0, 1, 2]
    assert store.transactions[1] == []
    assert store.marks == {"lane": Mark(seq=2, epoch=1)}


async def test_without_marks_a_batch_sent_again_is_applied_again():
    """Control: for tests that show what exactly-once is for."""
    store = FakeGraphStore(exactly_once=False)
    await store.apply(batch(0))
    await store.apply(batch(0))
    assert store.values("n") == [0, 0]


async def test_an_older_owner_is_turned_away(store):
    """And a newer one goes on where the older one stopped."""
    await store.apply(batch(0, 1, epoch=1))
    await store.apply(batch(1, 2, epoch=2))
    with pytest.raises(ConflictError, match="newer owner"):
        await store.apply(batch(3, epoch=1))
    assert store.values("n") == [0, 1, 2]
    assert store.marks["lane"] == Mark(seq=2, epoch=2)


async def test_lanes_have_marks_of_their_own_which_can_be_forgotten(store):
    """Forgetting one makes its numbers new."""
    await store.apply(batch(0, lane="a"))
    await store.apply(batch(0, lane="b"))
    await store.forget_lanes(["a", "unknown"])
    assert store.marks == {"b": Mark(0, 1)}


async def test_a_refused_batch_applies_nothing(store):
    """And moves no mark."""
    store.reject(lambda _, parameters: parameters["n"] == 2, message="Not two.")
    with pytest.raises(StatementRejectedError, match="Not two") as caught:
        await store.apply(batch(0, 1, 2, 3))
    assert caught.value.position == 2
    assert (store.committed, store.marks) == ([], {})
    store.accept()
    await store.apply(batch(0, 1, 2, 3))
    assert store.values("n") == [0, 1, 2, 3]


async def test_the_position_is_that_in_the_batch_and_may_be_kept_back(store):
    """Entries that are applied already are not run, and count."""
    await store.apply(batch(0, 1))
    store.reject("NOTE", position=True)
    with pytest.raises(StatementRejectedError) as caught:
        await store.apply(batch(0, 1, 2))
    assert caught.value.position == 2
    store.accept()
    store.reject("NOTE", position=False)
    with pytest.raises(StatementRejectedError) as caught:
        await store.apply(batch(2))
    assert caught.value.position is None


async def test_a_prefix_may_be_committed(store):
    """As a store does with statements that need a transaction of their own."""
    store.commit_at_most(2)
    assert await store.apply(batch(0, 1, 2)) == 2
    assert store.values("n") == [0, 1]
    assert store.marks["lane"].seq == 1
    store.commit_at_most(None)
    assert await store.apply(batch(2, 3, 4)) == 3


# -- faults


async def test_faults_happen_in_the_order_they_were_asked_for(store):
    """Each to one write; then all is well."""
    store.fail(1)
    store.lose_answers(1)
    store.break_adapter(1)
    store.fail(1, StatementRejectedError("Mine."))
    outcomes = []
    for _ in range(5):
        try:
            outcomes.append(await store.apply(batch(0)))
        except Exception as error:  # noqa: BLE001  which ones is what is tested
            outcomes.append((type(error), store.values("n")))
    assert outcomes == [
        (StoreUnavailableError, []),
        (StoreUnavailableError, [0]),
        (RuntimeError, [0]),
        (StatementRejectedError, [0]),
        1,
    ]
    assert len(store.batches) == 5


async def test_what_is_held_goes_on_when_it_is_released(store):
    """All writes, or those that match; and it can be waited for that they have come."""
    store.hold("SLOW")
    await store.write("QUICK", {})
    slow = [asyncio.create_task(store.apply(batch(0, text="SLOW"))), asyncio.create_task(store.write("SLOW", {}))]
    await store.arrived(2)
    assert [write.statement for write in store.committed] == ["QUICK"]
    assert store.high_water == 2
    store.release()
    await asyncio.gather(*slow)
    await store.write("SLOW", {})
    assert len(store.committed) == 4


async def test_a_held_write_that_is_cancelled_changes_nothing(store):
    """As a connection that is closed before the commit."""
    store.hold()
    writing = asyncio.create_task(store.write("NOTE", {"n": 1}))
    await store.arrived()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    store.release()
    await store.write("NOTE", {"n": 2})
    assert store.values("n") == [2]


async def test_waiting_for_what_does_not_come_ends(store):
    """With an error, within the deadline."""
    store.hold()
    with pytest.raises(TimeoutError, match=r"0\.01 s"):
        await store.arrived(deadline=0.01)
    with pytest.raises(TimeoutError, match=r"0\.01 s"):
        await wait_until(lambda: store.committed, deadline=0.01)


async def test_a_store_that_is_down_answers_nothing(store):
    """Not even to connect; up again it has what it had."""
    await store.write("NOTE", {"n": 1})
    store.down()
    for call in (store.connect(), store.write("NOTE", {}), store.apply(batch(0)), store.read("X", {})):
        with pytest.raises(StoreUnavailableError):
            await call
    store.up()
    await store.connect()
    assert store.values("n") == [1]


async def test_a_closed_store_says_so(store):
    """Until it is connected again."""
    await store.close()
    await store.close()
    with pytest.raises(ClosedError):
        await store.write("NOTE", {})
    await store.connect()
    await store.write("NOTE", {"n": 1})
    assert store.committed == [("NOTE", {"n": 1})]


async def test_reads_are_answered_by_a_function():
    """It cannot run Cypher, and says so."""
    store = FakeGraphStore(answer=lambda statement, parameters: [{"asked": statement, **parameters}])
    assert await store.read("X", {"n": 1}) == [{"asked": "X", "n": 1}]
    with pytest.raises(InputError, match="cannot run Cypher"):
        await FakeGraphStore().read("X", {})
