"""Streams and the Responses API through the chat clients: each piece passes as it comes, and is remembered."""

import asyncio
import gc

import openai
import pytest
from chat_api import run_program, tool_call
from doors import AwaitingDoor, BlockingDoor, Rig, at, settings
from pydantic import BaseModel

from perdure import MemorySettings, SyncMemory
from perdure.openai import OpenAI

ASKED = ("user", "Where is my home?")


class Place(BaseModel):
    city: str


def plain(api, **how):
    """Return what the official client gets."""
    with openai.OpenAI(api_key="k", base_url=api.url) as client:
        said = [{"role": "user", "content": "Where is my home?"}]
        return list(client.chat.completions.create(model="m", messages=said, stream=True, **how))


def pieces(events):
    return "".join(event.choices[0].delta.content or "" for event in events if event.choices)


# -- chats


def test_a_stream_gives_what_the_official_one_gives(rig):
    """X2, X1: every chunk, that with the usage among them; it is one of the official class."""
    how = {"stream_options": {"include_usage": True}, "n": 2}
    stream = rig.chat("Where is my home?", stream=True, **how)
    assert isinstance(stream, openai.Stream | openai.AsyncStream)
    assert (stream.memory.status, stream.memory.remembered) == ("miss", "waiting")
    events = rig.door.events(stream)
    assert events == plain(rig.api, **how)
    assert events[-1].usage.total_tokens == 7
    assert stream.response.is_closed
    assert stream.memory.remembered == "accepted"
    assert rig.remembered() == [ASKED, ("assistant", "Lisbon.")]


def test_each_chunk_passes_before_the_next_one_is_there(rig):
    """X2: the server holds the second piece back until the first has been read."""
    reply = rig.api.reply("Lis", "bon.", held_at=2)
    stream = rig.chat("Where is my home?", stream=True)
    assert pieces(rig.door.events(stream, most=2)) == "Lis"
    reply.released.set()
    assert pieces(rig.door.events(stream)) == "bon."
    assert rig.remembered() == [ASKED, ("assistant", "Lisbon.")]


def test_calls_of_tools_pass_in_pieces(rig):
    """X2: nothing of them is remembered."""
    rig.api.reply(tool_calls=(tool_call(city="Lisbon"),), finish="tool_calls")
    events = rig.door.events(rig.chat("Where is my home?", stream=True))
    calls = [event.choices[0].delta.tool_calls[0] for event in events if event.choices[0].delta.tool_calls]
    assert calls[0].function.name == "look_up"
    assert "".join(call.function.arguments for call in calls) == '{"city": "Lisbon"}'
    assert rig.remembered() == [ASKED]


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "client closed"])
def test_what_came_of_an_abandoned_stream_is_remembered(rig, closed):
    """X3: at once where it is closed, and else when the client is; the answer says that it is not whole."""
    reply = rig.api.reply("Lis", "bon.", held_at=2)
    stream = rig.chat("Where is my home?", stream=True)
    rig.door.events(stream, most=2)
    if closed:
        rig.door.do(stream.close())
        assert stream.memory.remembered == "accepted"
    rig.door.do(rig.client.close())
    reply.released.set()
    assert stream.memory.remembered == "accepted"
    assert rig.remembered() == [ASKED, ("assistant", "Lis")]
    answer = rig.door.do(rig.memory.get_all(user_id="u1")).results[-1]
    assert answer.metadata == {"incomplete": True}


def remembered_after_a_call(rig):
    """Call until a stream that nobody holds is gone: an event loop takes a turn or two to let go of it."""
    for _ in range(20):
        rig.remembered()
        gc.collect()
        rig.chat("Hello")
        if ASKED in (found := set(rig.remembered())):
            break
    return found


def test_a_stream_that_was_let_go_of_is_remembered_at_the_next_call(rig):
    """X3: nobody holds it any more; a blocking client may do nothing while garbage is collected."""
    rig.door.events(rig.chat("Where is my home?", stream=True), most=2)
    assert remembered_after_a_call(rig) == {ASKED, ("assistant", "Lis"), ("user", "Hello"), ("assistant", "Lisbon.")}


def test_a_stream_that_was_let_go_of_is_remembered_where_nothing_is_recalled(door, api):
    """X3: the next call remembers it, also when that has nothing to look for."""
    rig = Rig(door, api, settings(), recall_limit=0)
    rig.door.events(rig.chat("Where is my home?", stream=True), most=2)
    assert remembered_after_a_call(rig) == {ASKED, ("assistant", "Lis"), ("user", "Hello"), ("assistant", "Lisbon.")}


def let_go(door, api, **options):
    """Return what a stream tells that is left half-read by a client with a memory of its own, and closed."""
    client = door.client_class(api_key="k", base_url=api.url, **options)
    said = [{"role": "user", "content": "Where is my home?"}]
    stream = door.do(client.chat.completions.create(model="m", messages=said, user_id="u1", stream=True))
    door.events(stream, most=2)
    memory = stream.memory
    del stream
    gc.collect()
    door.do(client.close())
    return memory


def found_in(where):
    with SyncMemory(MemorySettings(store=str(where / ".perdure"))) as memory:
        assert memory.flush(30)
        return [one.memory for one in memory.get_all(user_id="u1").results]


def test_a_stream_that_was_let_go_of_is_remembered_where_nothing_opened_the_memory(door, api, tmp_path, monkeypatch):
    """X3: a client that recalls nothing opens it for that alone."""
    monkeypatch.chdir(tmp_path)
    assert let_go(door, api, recall_limit=0).remembered == "accepted"
    assert found_in(tmp_path) == ["Where is my home?", "Lis"]


@pytest.mark.parametrize("limit", [0, 3])
def test_a_stream_that_was_let_go_of_says_that_the_memory_cannot_be_opened(door, api, tmp_path, monkeypatch, limit):
    """X3, X4: what is lost is not lost in silence."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".perdure").write_text("in the way")
    memory = let_go(door, api, recall_limit=limit)
    assert memory.remembered == "failed"
    assert ".perdure" in memory.reason


def test_a_stream_of_a_client_that_was_closed_meanwhile_says_that_it_is_lost(api):
    """X3, X4: by another thread, say, while the request was on its way; no end comes any more."""
    with OpenAI(api_key="k", base_url=api.url, recall_limit=0) as client:
        client.remembering.close()
        said = [{"role": "user", "content": "Where is my home?"}]
        stream = client.chat.completions.create(model="m", messages=said, user_id="u1", stream=True)
        assert (stream.memory.remembered, stream.memory.reason) == ("failed", "The chat client is closed.")
        assert pieces(stream) == "Lisbon."


UNREAD = """
import gc
from perdure.openai import OpenAI
client = OpenAI(recall_limit=0)
said = [{"role": "user", "content": "Where is my home?"}]
stream = client.chat.completions.create(model="m", messages=said, user_id="u1", stream=True)
next(stream), next(stream)
del stream
gc.collect()
"""


def test_the_end_of_the_process_remembers_a_stream_also_where_nothing_opened_the_memory(api, tmp_path):
    """X3: and nobody closed the client."""
    run_program(UNREAD, api, tmp_path)
    assert found_in(tmp_path) == ["Where is my home?", "Lis"]


@pytest.mark.parametrize("most", [0, 1])
def test_a_stream_that_is_closed_before_it_said_anything_leaves_the_question(rig, most):
    """X3: the client hung up."""
    stream = rig.chat("Where is my home?", stream=True)
    rig.door.events(stream, most=most)
    rig.door.do(stream.close())
    assert rig.remembered() == [ASKED]


@pytest.mark.parametrize("wrong", ["error_at", "cut_at"])
@pytest.mark.parametrize(("place", "left"), [(1, []), (2, [ASKED, ("assistant", "Lis")])])
def test_a_stream_that_breaks_off_raises_the_official_error(rig, wrong, place, left):
    """X5, X3: what came of the answer is remembered; where nothing came, nothing, for it will be asked again."""
    for _ in range(2):
        rig.api.reply("Lis", "bon.", **{wrong: place})
    with pytest.raises(Exception) as official:
        plain(rig.api)
    stream = rig.chat("Where is my home?", stream=True)
    with pytest.raises(type(official.value)):
        rig.door.events(stream)
    assert rig.remembered() == left
    assert stream.memory.remembered == ("accepted" if left else "nothing")


def test_the_official_helper_for_streams_has_the_memory_too(rig):
    """X1, X2: typed events, the parsed answer at the end."""
    rig.api.reply('{"city": ', '"Lisbon"}')
    said = [{"role": "user", "content": "Where is my home?"}]
    call = rig.client.chat.completions.stream(model="m", messages=said, response_format=Place, user_id="u1")
    stream, events = rig.door.whole(call)
    assert [event.delta for event in events if event.type == "content.delta"][-2:] == ['{"city": ', '"Lisbon"}']
    assert rig.door.do(stream.get_final_completion()).choices[0].message.parsed == Place(city="Lisbon")
    assert (stream.memory.status, stream.memory.remembered) == ("miss", "accepted")
    assert rig.remembered() == [ASKED, ("assistant", '{"city": "Lisbon"}')]


def test_a_raw_stream_is_listened_to_when_it_is_parsed(rig):
    """X1: as any other answer."""
    said = [{"role": "user", "content": "Where is my home?"}]
    raw = rig.door.do(
        rig.client.chat.completions.with_raw_response.create(model="m", messages=said, user_id="u1", stream=True)
    )
    stream = raw.parse()
    assert pieces(rig.door.events(stream)) == "Lisbon."
    assert raw.memory.remembered == stream.memory.remembered == "accepted"


def test_answers_that_are_read_as_bytes_pass(api):
    """X1: with_streaming_response; what is never parsed is not remembered, and `memory` says that it waits."""
    with at(BlockingDoor()) as door:
        rig = Rig(door, api, settings())
        said = [{"role": "user", "content": "Where is my home?"}]
        ask = rig.client.chat.completions.with_streaming_response.create
        with ask(model="m", messages=said, user_id="u1") as answer:
            assert b"Lisbon." in answer.read()
        assert answer.memory.remembered == "waiting"
        with ask(model="m", messages=said, user_id="u1") as answer:
            assert answer.parse().memory.remembered == "accepted"
        assert rig.remembered() == [ASKED, ("assistant", "Lisbon.")]


def test_a_cancelled_reader_leaves_what_it_has_read(api):
    """X3, B17: the task that reads is cancelled, as a server does when its client hangs up."""
    with at(AwaitingDoor()) as door:
        rig = Rig(door, api, settings())
        reply = rig.api.reply("Lis", "bon.", held_at=2)
        stream = rig.chat("Where is my home?", stream=True)

        async def read():
            reading = asyncio.Event()

            async def reader():
                async for event in stream:
                    if event.choices[0].delta.content:
                        reading.set()

            task = asyncio.create_task(reader())
            await reading.wait()
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()

        door.do(read())
        reply.released.set()
        assert rig.remembered() == [ASKED, ("assistant", "Lis")]


# -- responses


def test_a_response_is_remembered_and_has_memories_in_its_input(rig):
    """X3, X6: a text as input; the instructions are the caller's."""
    first = rig.respond("I moved to Lisbon last month.", instructions="Be brief.")
    assert first.output_text == "Lisbon."
    assert first.memory.remembered == "accepted"
    assert rig.remembered() == [("user", "I moved to Lisbon last month."), ("assistant", "Lisbon.")]
    assert rig.respond("How is Lisbon?").memory.status == "hit"
    assert "user: I moved to Lisbon last month." in rig.api.bodies[-1]["input"]
    assert rig.api.bodies[0] == {"model": "m", "input": "I moved to Lisbon last month.", "instructions": "Be brief."}


def test_a_text_as_input_is_no_memory_of_itself(rig):
    """X6: what the model reads in any case is left out, also when there is space around it."""
    rig.respond("I live in Lisbon.")
    rig.remembered()
    assert [hit.memory for hit in rig.respond(" I live in Lisbon.\n").memory.hits] == ["Lisbon."]


def test_a_response_takes_a_list_with_what_the_model_did_before(rig):
    """X5, X6: what is new is what comes after; parts are told apart, and calls of tools pass."""
    rig.respond("I moved to Lisbon last month.")
    rig.remembered()
    rig.api.reply(tool_calls=(tool_call(city="Lisbon"),))
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}
    question = {"role": "user", "content": [image, {"type": "input_text", "text": "How is Lisbon?"}]}
    called = rig.respond([question])
    block, *parts = rig.api.bodies[-1]["input"][0]["content"]
    assert (block["type"], parts) == ("input_text", question["content"])
    result = {"type": "function_call_output", "call_id": "call_1", "output": "Sunny."}
    rig.api.reply("It is sunny.")
    rig.respond([question, *called.output, result])
    assert rig.api.bodies[-1]["input"][-1] == result
    assert rig.remembered() == [
        ("user", "I moved to Lisbon last month."), ("assistant", "Lisbon."), ("user", "How is Lisbon?"),
        ("assistant", "It is sunny."),
    ]  # fmt: skip


def test_a_response_as_a_stream(rig):
    """X2: every event of it."""
    stream = rig.respond("Where is my home?", stream=True)
    events = rig.door.events(stream)
    assert events[0].type == "response.created"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Lisbon."
    assert events[-1].response.output_text == "Lisbon."
    assert rig.remembered() == [ASKED, ("assistant", "Lisbon.")]


def test_a_response_that_is_not_whole_says_so(rig):
    """X3: as a stream, and at once."""
    for how in ({"stream": True}, {}):
        rig.api.reply("Lisbon is", finish="length")
        answer = rig.respond("Where is my home?", **how)
        if how:
            rig.door.events(answer)
    rig.remembered()
    answer = rig.door.do(rig.memory.get_all(user_id="u1")).results[-1]
    assert (answer.memory, answer.metadata) == ("Lisbon is", {"incomplete": True})


def test_responses_of_a_type(rig):
    """X1: parse, and the official helper for streams."""
    for _ in range(2):
        rig.api.reply('{"city": ', '"Lisbon"}')
    how = {"model": "m", "input": "Where is my home?", "text_format": Place, "user_id": "u1"}
    answer = rig.door.do(rig.client.responses.parse(**how))
    assert answer.output_parsed == Place(city="Lisbon")
    assert answer.memory.remembered == "accepted"
    stream, _ = rig.door.whole(rig.client.responses.stream(**how))
    assert rig.door.do(stream.get_final_response()).output_parsed == Place(city="Lisbon")
    assert stream.memory.remembered == "accepted"
    assert rig.remembered() == [ASKED, ("assistant", '{"city": "Lisbon"}')]
