"""One key: strictly in order. Different keys: side by side. Many writes: few transactions."""

import asyncio
from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure import BufferedWriter
from perdure.records import JournalEntry
from perdure.testing import FakeGraphStore
from perdure.writes.lanes import LaneTable, Pace
from perdure.writes.receipts import Receipt

NOTE = "CREATE (:Note {n: $n})"
MAKE = "CREATE (:Thing {id: $id})"
LINK = "MATCH (a:Thing {id: $a}), (b:Thing {id: $b}) CREATE (a)-[:NEXT]->(b)"
FAULTS = {"fail": FakeGraphStore.fail, "lose": FakeGraphStore.lose_answers, "break": FakeGraphStore.break_adapter}


@pytest.mark.slow
@settings(max_examples=40)
@given(
    producers=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    key=st.sampled_from([None, "k"]),
    max_pending=st.integers(1, 8),
    max_batch=st.integers(1, 8),
    at_most=st.sampled_from([None, 1, 2]),
    faults=st.lists(st.sampled_from(sorted(FAULTS)), max_size=4).filter(lambda faults: faults.count("break") < 3),
)
async def test_one_key_is_committed_in_submission_order(*, producers, key, max_pending, max_batch, at_most, faults):
    """B21: with many producers, under back-pressure, in batches of any size, and with faults on the way."""
    store = FakeGraphStore()
    store.commit_at_most(at_most)
    for fault in faults:
        FAULTS[fault](store)
    submitted = []

    async def produce(producer, count):
        for n in range(count):
            receipt = await writer.submit(NOTE, {"n": (producer, n)}, key=key)
            submitted.append((receipt.seq, (producer, n)))

    options = {"max_pending": max_pending, "max_batch": max_batch, "linger_seconds": 0}
    async with BufferedWriter(store, write_mode="buffered", **options) as writer, asyncio.TaskGroup() as tasks:
        for producer, count in enumerate(producers):
            tasks.create_task(produce(producer, count))
    committed = [tuple(value) for value in store.values("n")]
    assert committed == [value for _, value in sorted(submitted)]
    for producer, count in enumerate(producers):
        assert [n for by, n in committed if by == producer] == list(range(count))


async def test_without_keys_the_whole_order_is_kept(store, buffered):
    """B21: no key is a key of its own: the order of submission is the order of commits."""
    async with buffered(max_batch=7, linger_seconds=10) as writer:
        for n in range(100):
            await writer.submit(NOTE, {"n": n})
    assert store.values("n") == list(range(100))
    assert [len(transaction) for transaction in store.transactions] == [7] * 14 + [2]


async def test_more_keys_than_lanes_keep_their_orders(store, buffered):
    """B21: keys that have to share a lane lose nothing of their order."""
    async with buffered(lanes=2, max_batch=5) as writer:
        for n in range(120):
            await writer.submit(NOTE, {"n": n}, key=f"key {n % 7}")
    committed = store.values("n")
    assert sorted(committed) == list(range(120))
    for key in range(7):
        of_key = [n for n in committed if n % 7 == key]
        assert of_key == sorted(of_key)


async def test_different_keys_run_concurrently(store, buffered):
    """B22: two keys are in the store at the same time, and so is what has no key."""
    store.hold()
    async with buffered() as writer:
        for key in ("a", "b", None):
            await writer.submit(NOTE, {"n": key}, key=key)
        await store.arrived(3)
        store.release()
    assert store.high_water == 3


async def test_one_key_is_in_the_store_once_at_a_time(store, buffered):
    """B21: the next batch of a key is sent when the one before is through."""
    async with buffered(max_batch=1) as writer:
        for n in range(20):
            await writer.submit(NOTE, {"n": n}, key="k")
    assert store.high_water == 1


async def test_lanes_bound_how_much_runs_at_once(store, buffered):
    """B22: `lanes` is the number of keys that can be committing at the same time."""
    store.hold()
    async with buffered(lanes=3) as writer:
        for n in range(12):
            await writer.submit(NOTE, {"n": n}, key=f"key {n}")
        await store.arrived(3)
        store.release()
    assert store.high_water == 3


@pytest.mark.parametrize("max_batch", [1, 2, 3, 200])
async def test_create_then_link_is_never_reordered(store, buffered, max_batch):
    """B23: a link is committed after both of its ends, wherever batches are cut and answers are lost."""
    store.lose_answers(2)
    store.fail(2)
    async with buffered(max_batch=max_batch) as writer:
        await writer.submit(MAKE, {"id": 0})
        for id_ in range(1, 30):
            await writer.submit(MAKE, {"id": id_})
            await writer.submit(LINK, {"a": id_ - 1, "b": id_})
    made = set()
    for write in store.committed:
        if write.statement == MAKE:
            made.add(write.parameters["id"])
        else:
            assert {write.parameters["a"], write.parameters["b"]} <= made
    assert [(write.parameters["a"], write.parameters["b"]) for write in store.committed if write.statement == LINK] == [
        *pairwise(range(30))
    ]


async def test_a_link_whose_end_was_refused_stays_where_it_was(store, buffered):
    """B23: a refused neighbour does not make the rest change places."""
    store.reject(lambda statement, parameters: parameters.get("id") == 3, position=False)
    async with buffered() as writer:
        for id_ in range(6):
            await writer.submit(MAKE, {"id": id_})
            await writer.submit(LINK, {"a": id_, "b": id_})
    order = [(write.statement, write.parameters.get("id", write.parameters.get("a"))) for write in store.committed]
    assert order == [(text, id_) for id_ in range(6) for text in (MAKE, LINK) if (text, id_) != (MAKE, 3)]


async def test_a_burst_takes_far_fewer_transactions_than_writes(store, buffered):
    """B24: a thousand writes of one shape are a handful of transactions."""
    async with buffered() as writer:
        for n in range(1000):
            await writer.submit(NOTE, {"n": n})
        await writer.flush()
        assert len(store.committed) == 1000
        assert len(store.transactions) == writer.stats().batches <= 20


async def test_without_batching_every_write_is_a_transaction(store, buffered):
    """B24: control: it is the batch size that saves the transactions."""
    async with buffered(max_batch=1) as writer:
        for n in range(100):
            await writer.submit(NOTE, {"n": n})
    assert len(store.transactions) == 100


async def test_a_batch_is_bounded_in_bytes(store, buffered):
    """B24: large writes share a transaction only up to max_batch_bytes; a larger one goes alone."""
    async with buffered(max_batch_bytes=2000) as writer:
        for size in (700, 700, 700, 5000, 10, 10):
            await writer.submit(NOTE, {"n": "x" * size})
    assert [[len(write.parameters["n"]) for write in transaction] for transaction in store.transactions] == [
        [700, 700],
        [700],
        [5000],
        [10, 10],
    ]


async def test_one_slow_statement_does_not_stall_other_keys(store, buffered):
    """B38: while one key waits in the store, the others and what has no key are committed."""
    store.hold("Slow")
    async with buffered(lanes=3) as writer:
        slow = await writer.submit("CREATE (:Slow)", key="slow")
        await store.arrived()
        for n in range(30):
            await (await writer.submit(NOTE, {"n": n}, key=("a", "b", None)[n % 3]))
        assert slow.state == "accepted"
        assert sorted(store.values("n")) == list(range(30))
        store.release()


@given(lanes=st.integers(1, 4), steps=st.lists(st.tuples(st.booleans(), st.sampled_from("abcdef")), max_size=60))
def test_keys_share_a_lane_only_when_there_are_more_of_them(lanes, steps):
    """B22: a key stays in its lane while it has writes there; a new one gets a lane for itself if there is one."""
    table = LaneTable(lanes, Pace(10, 1000, 0.0), lambda: False)
    held = defaultdict(list)
    for settles, key in steps:
        if not settles:
            taken = {lane.number for receipts in held.values() for lane, _ in receipts}
            lane = table.bind(key)
            if held[key]:
                assert lane is held[key][0][0]
            elif len(taken) < lanes:
                assert lane.number not in taken
            receipt = Receipt(JournalEntry(0, lane.number, key, "", {}, 1), 0.0, print)
            lane.push(receipt)
            held[key].append((lane, receipt))
        elif held[key]:
            lane, receipt = held[key].pop(0)
            lane.queue.remove(receipt)
            table.release([receipt])
