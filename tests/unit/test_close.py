"""Ends: what close drains, what it refuses, and what it reports."""

import asyncio

import pytest

from perdure import ClosedError, CloseReport, WriteFailed

NOTE = "CREATE (:Note {n: $n})"


async def submit(writer, *values):
    return [await writer.submit(NOTE, {"n": value}) for value in values]


async def test_flush_and_close_may_come_twice_and_together(store, buffered):
    """B8: all callers get their answers, and the report is the same for everybody."""
    store.hold()
    writer = await buffered().start()
    await submit(writer, 1, 2)
    calls = [asyncio.create_task(call()) for call in (writer.flush, writer.close, writer.flush, writer.close)]
    await store.arrived()
    store.release()
    flushed, closed, flushed_too, closed_too = await asyncio.gather(*calls)
    assert flushed.unsettled == flushed_too.unsettled == 0
    assert closed == closed_too == await writer.close() == CloseReport(2, 0, 0, kept=False)
    assert (await writer.flush()).unsettled == 0
    assert store.values("n") == [1, 2]


@pytest.mark.parametrize("mode", ["sync", "buffered"])
async def test_close_drains_and_then_refuses(store, buffered, mode):
    """B10: what was accepted is committed; a later submit is turned away."""
    writer = await buffered(write_mode=mode, linger_seconds=10).start()
    await submit(writer, 1, 2)
    assert await writer.close() == CloseReport(committed=2, failed=0, unsettled=0, kept=False)
    assert store.values("n") == [1, 2]
    with pytest.raises(ClosedError):
        await writer.submit(NOTE, {"n": 3})
    with pytest.raises(ClosedError):
        writer.try_submit(NOTE, {"n": 3})
    with pytest.raises(ClosedError):
        await writer.start()
    assert store.values("n") == [1, 2]


async def test_submit_is_refused_while_close_drains(store, buffered):
    """B10: close is not prolonged by those who go on."""
    store.hold()
    writer = await buffered().start()
    await submit(writer, 1)
    closing = asyncio.create_task(writer.close())
    await store.arrived()
    with pytest.raises(ClosedError):
        await writer.submit(NOTE, {"n": 2})
    store.release()
    assert (await closing).committed == 1
    assert store.values("n") == [1]


async def test_close_tidies_the_marks_of_a_journal_in_memory(store, buffered):
    """B10: nobody will ask for them again."""
    async with buffered() as writer:
        await submit(writer, 1)
        await writer.flush()
        assert len(store.marks) == 1
    assert store.marks == {}


async def test_close_succeeds_when_the_marks_cannot_be_tidied(store, buffered):
    """B10: what is committed is committed; a store that leaves after that is no failure."""
    writer = await buffered().start()
    await submit(writer, 1)
    await writer.flush()
    store.down()
    assert await writer.close() == CloseReport(1, 0, 0, kept=False)


async def test_close_before_start_reports_nothing(buffered):
    """B8: closing what was never opened is no error."""
    assert await buffered().close() == CloseReport(0, 0, 0, kept=False)


@pytest.mark.parametrize("limit", [{"close": 0.01}, {"close": 0}, {"setting": 0.01}])
async def test_close_in_time_reports_what_was_left(store, buffered, limit, caplog):
    """B11: the timeout, or the setting without one, bounds shutdown; what was left is failed, listed and reported."""
    store.reject("BAD")
    writer = await buffered(close_timeout_seconds=limit.get("setting", 3600)).start()
    await submit(writer, 1)
    await writer.submit("BAD")
    await writer.flush()
    store.hold()
    left = await submit(writer, 2, 3, 4)
    report = await writer.close(timeout=limit.get("close"))
    assert report == CloseReport(committed=1, failed=1, unsettled=3, kept=False)
    assert store.values("n") == [1]
    assert [error.query for error in writer.errors] == ["BAD", NOTE, NOTE, NOTE]
    assert [receipt.state for receipt in left] == ["failed"] * 3
    with pytest.raises(WriteFailed) as caught:
        await left[0]
    assert isinstance(caught.value.error, ClosedError)
    assert "close stopped" in caplog.text
    assert "3 writes" in caplog.text


async def test_what_close_left_in_the_store_is_not_applied_afterwards(store, buffered):
    """B11: a write reported as left is not in the store a moment later."""
    store.hold()
    writer = await buffered().start()
    await submit(writer, 1)
    await store.arrived()
    assert (await writer.close(timeout=0.01)).unsettled == 1
    store.release()
    await asyncio.sleep(0)
    assert store.committed == []


async def test_write_errors_stay_readable_after_close(store, buffered):
    """B12: the list outlives the writer."""
    store.reject("BAD")
    async with buffered() as writer:
        await writer.submit("BAD", {"n": 1}, key="k")
    (error,) = writer.errors
    assert (error.query, dict(error.parameters), error.seq, error.key) == ("BAD", {"n": 1}, 0, "k")


@pytest.mark.parametrize("error", [ValueError("Mine."), KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()])
async def test_leaving_on_an_exception_drains_and_lets_it_through(store, buffered, error):
    """B13: the caller's exception is the one that propagates, and nothing accepted is lost."""

    async def work():
        async with buffered(linger_seconds=10) as writer:
            await submit(writer, 1, 2)
            raise error

    with pytest.raises(type(error)) as caught:
        await work()
    assert caught.value is error
    assert store.values("n") == [1, 2]


async def test_closing_turns_away_those_who_wait_for_room(store, buffered):
    """B10: a submitter that waits when close begins gets ClosedError, and what was accepted is committed."""
    store.hold()
    writer = await buffered(max_pending=1).start()
    await submit(writer, 1)
    waiting = [asyncio.create_task(writer.submit(NOTE, {"n": n})) for n in (2, 3)]
    await store.arrived()
    closing = asyncio.create_task(writer.close())
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClosedError, ClosedError]
    store.release()
    assert await closing == CloseReport(1, 0, 0, kept=False)
    assert store.values("n") == [1]


async def test_close_waits_for_a_sync_write_under_way(store, buffered):
    """B10: in sync mode too, what was begun before close is in the store when close returns."""
    store.hold()
    writer = await buffered(write_mode="sync").start()
    submitting = asyncio.create_task(writer.submit(NOTE, {"n": 1}))
    await store.arrived()
    closing = asyncio.create_task(writer.close())
    for _ in range(5):
        await asyncio.sleep(0)
    closed_early = closing.done()
    store.release()
    assert (await submitting).state == "committed"
    assert (await closing).committed == 1
    assert not closed_early
