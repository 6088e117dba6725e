"""What an application is told of typed calls, and that it cannot get into their way."""

import asyncio

import pytest

from perdure import MemoryClient, MemorySettings, Message, ToolCall
from perdure.graph import hooks
from perdure.testing import FakeEmbedder, FakeVectorStore

MODES = ("sync", "buffered", "deferred")


def client(on_record, mode="sync"):
    memory = {"write_mode": mode, "durability": "memory", "on_record": on_record}
    return MemoryClient(
        MemorySettings(store="memory://", embedder=FakeEmbedder(), vector_store=FakeVectorStore(), memory=memory)
    )


async def turn(memory):
    """Record one of each kind; return what the calls returned."""
    message = await memory.short_term.add_message("s", "user", "hello")
    several = await memory.short_term.add_messages("s", [{"role": "tool", "content": text} for text in "ab"])
    ada = await memory.long_term.add_entity("Ada", "person")
    place = await memory.long_term.add_entity("London", "place")
    link = await memory.long_term.add_relationship(ada, "LIVES_IN", place)
    fact = await memory.long_term.add_fact("Ada", "lives in", "London")
    preference = await memory.long_term.add_preference("drinks", "tea")
    trace = await memory.reasoning.start_trace("s", "task", triggered_by=message.id)
    step = await memory.reasoning.add_step(trace, thought="look")
    call = await memory.reasoning.record_tool_call(step, "search", touched=[ada])
    done = await memory.reasoning.complete_trace(trace, success=True)
    return [message, *several, ada, place, link, fact, preference, trace, step, call, done]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_hook_is_told_of_each_record_in_order(mode, asynchronous):
    """M16: whole, as the call returned it, and all of them before close returns."""
    told = []

    async def tell(made):
        told.append(made)

    async with client(tell if asynchronous else told.append, mode) as memory:
        made = await turn(memory)
    assert told == made


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("error", [RuntimeError("secret"), asyncio.CancelledError()])
async def test_failing_hooks_never_break_recording(mode, error, caplog):
    """M16: every call returns, everything is stored, and the log says which record, without what was said."""

    async def fail(_):
        raise error

    async with client(fail, mode) as memory:
        made = await turn(memory)
        trace = await memory.reasoning.get_trace(made[-1])
        assert len((await memory.short_term.get_conversation("s")).messages) == 3
        assert trace.steps[0].tool_calls == [each for each in made if isinstance(each, ToolCall)]
        assert list(memory.write_errors) == []
    assert f"on_record raised {type(error).__name__} for message {made[0].id}" in caplog.text
    assert "secret" not in caplog.text


async def test_a_hook_that_never_returns_delays_nobody(monkeypatch, caplog):
    """M16: calls go on, what it does not take is let go, and close has its own limit."""
    monkeypatch.setattr(hooks, "MOST_WAITING", 2)
    begun = asyncio.Event()

    async def wait(_):
        begun.set()
        await asyncio.Event().wait()

    memory = await client(wait).connect()
    made = await turn(memory)
    await begun.wait()
    assert len((await memory.short_term.get_conversation("s")).messages) == 3
    await memory.close(timeout=0.01)
    assert f"on_record is not told of message {made[1].id}" in caplog.text
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "perdure on_record"]


async def test_a_hook_may_write_and_close_the_client():
    """M16: what it writes it is told of as well."""
    told, closed = [], asyncio.Event()

    async def answer(made):
        told.append(made)
        if isinstance(made, Message) and made.role == "user":
            await memory.short_term.add_message("s", "assistant", "an answer")
        else:
            await memory.close()
            closed.set()

    memory = await client(answer).connect()
    await memory.short_term.add_message("s", "user", "a question")
    await closed.wait()
    await memory.close()
    assert [made.content for made in told] == ["a question", "an answer"]
