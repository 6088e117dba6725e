"""What an editor knows of the chat clients: checked by pyright, and not run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true
# The lines that ignore an error are the control: without the error they would be one.

from typing import assert_type

import openai
from openai import omit
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from perdure import Memory, SyncMemory
from perdure.openai import AsyncOpenAI, OpenAI, TurnMemory


class Place(BaseModel):
    """A type of answers."""

    city: str


def clients(memory: SyncMemory, asynchronous: Memory) -> None:
    """A client takes the official options and ours, and so does a copy."""
    OpenAI(api_key="k", base_url="http://localhost", timeout=3, max_retries=1)
    client = OpenAI(api_key="k", memory=memory, recall_timeout=0.2, recall_limit=3)
    OpenAI(recall_timeout=0.2)
    OpenAI(recall_limit=3, max_retries=1)
    AsyncOpenAI(api_key="k", memory=asynchronous, timeout=3)
    official: openai.OpenAI = client
    assert_type(client.with_options(timeout=3), OpenAI)
    assert_type(client.with_options(recall_timeout=0.2, timeout=3), OpenAI)
    assert_type(client.copy(recall_limit=3, memory=memory), OpenAI)
    assert_type(client.with_options(memory=None), OpenAI)
    assert_type(client.with_options(recall_timeout=None), OpenAI)
    assert_type(client.with_options(recall_limit=None), OpenAI)
    assert_type(official.with_options(timeout=3).max_retries, int)

    OpenAI(api_kay="k")  # pyright: ignore[reportCallIssue]
    OpenAI(timeout="long")  # pyright: ignore[reportArgumentType]
    OpenAI(memory=asynchronous)  # pyright: ignore[reportArgumentType]
    OpenAI(recall_timeout="long")  # pyright: ignore[reportArgumentType]
    AsyncOpenAI(memory=memory)  # pyright: ignore[reportArgumentType]
    client.with_options(timeuot=3)  # pyright: ignore[reportCallIssue]
    client.with_options(recall_limit="few")  # pyright: ignore[reportArgumentType]


def chats(client: OpenAI) -> None:
    """Each method takes the official parameters and the ids, and gives a memory."""
    chat = client.chat.completions
    chat.create(model="m", messages=[{"role": "user", "content": "Hello"}], user_id="u", tenant="t", seed=3)
    assert_type(chat.create(model="m", messages=[], user_id="u").memory, TurnMemory)
    for chunk in chat.create(model="m", messages=[], user_id="u", stream=True):
        assert_type(chunk, ChatCompletionChunk)
    parsed = chat.parse(model="m", messages=[], user_id="u", agent_id="a", run_id="r", response_format=Place, n=2)
    assert_type(parsed.choices[0].message.parsed, Place | None)
    assert_type(parsed.memory, TurnMemory)
    assert_type(chat.parse(model="m", messages=[]).choices[0].message.parsed, None)
    chat.parse(model="m", messages=[], response_format=omit)
    with chat.stream(model="m", messages=[], user_id="u", response_format=Place, temperature=0) as stream:
        assert_type(stream.memory, TurnMemory)
        assert_type(stream.get_final_completion().choices[0].message.parsed, Place | None)
        for event in stream:
            assert_type(event.type == "chunk", bool)
    raw = chat.with_raw_response.create(model="m", messages=[], user_id="u", extra_headers={"x": "y"})
    assert_type(raw.memory, TurnMemory)
    assert_type(raw.parse().memory, TurnMemory)
    chat.with_raw_response.parse(model="m", messages=[], run_id="r", response_format=Place)
    chat.with_raw_response.retrieve("c1")
    with chat.with_streaming_response.create(model="m", messages=[], user_id="u") as answer:
        assert_type(answer.memory, TurnMemory)
        assert_type(answer.parse().memory, TurnMemory)

    chat.parse(model="m", messages=[], user="u", uesr_id="u")  # pyright: ignore[reportCallIssue]
    chat.parse(model="m", user_id="u")  # pyright: ignore[reportCallIssue]
    chat.stream(model="m", messages=[], user_id=7)  # pyright: ignore[reportArgumentType]
    chat.stream(model="m", messages=[], user_id="u", temperature="hot")  # pyright: ignore[reportArgumentType]
    chat.with_raw_response.create(model="m", messages=[], uesr_id="u")  # pyright: ignore[reportCallIssue]
    chat.with_streaming_response.create(model="m", messages=[], uesr_id="u")  # pyright: ignore[reportCallIssue]
    chat.create(model="m", messages=[], user_id="u", n="two")  # pyright: ignore[reportArgumentType]


def responses(client: OpenAI) -> None:
    """The Responses API as well."""
    assert_type(client.responses.create(model="m", input="Hello", user_id="u").memory, TurnMemory)
    parsed = client.responses.parse(model="m", input="Hello", user_id="u", text_format=Place, verbosity="low")
    assert_type(parsed.output_parsed, Place | None)
    assert_type(parsed.memory, TurnMemory)
    with client.responses.stream(model="m", input="Hello", user_id="u", text_format=Place) as stream:
        assert_type(stream.memory, TurnMemory)
        assert_type(stream.get_final_response().output_parsed, Place | None)
    client.responses.stream(response_id="r1", starting_after=3)
    raw = client.responses.with_raw_response.create(model="m", input="Hello", user_id="u")
    assert_type(raw.memory, TurnMemory)
    client.responses.with_raw_response.parse(model="m", input="Hello", user_id="u", text_format=Place)
    with client.responses.with_streaming_response.create(model="m", input="Hello", user_id="u") as answer:
        assert_type(answer.memory, TurnMemory)

    client.responses.parse(model="m", input="Hello", uesr_id="u")  # pyright: ignore[reportCallIssue]
    client.responses.stream(model="m", input="Hello", uesr_id="u")  # pyright: ignore[reportCallIssue]
    client.responses.with_raw_response.create(model="m", input="H", user_id=7)  # pyright: ignore[reportArgumentType]


async def awaited(client: AsyncOpenAI) -> None:
    """And all of it awaited."""
    chat = client.chat.completions
    parsed = await chat.parse(model="m", messages=[], user_id="u", response_format=Place)
    assert_type(parsed.choices[0].message.parsed, Place | None)
    async with chat.stream(model="m", messages=[], user_id="u", response_format=Place) as stream:
        assert_type(stream.memory, TurnMemory)
        assert_type((await stream.get_final_completion()).choices[0].message.parsed, Place | None)
    raw = await chat.with_raw_response.create(model="m", messages=[], user_id="u")
    assert_type(raw.parse().memory, TurnMemory)
    async with chat.with_streaming_response.create(model="m", messages=[], user_id="u") as answer:
        assert_type((await answer.parse()).memory, TurnMemory)
    response = await client.responses.parse(model="m", input="Hello", user_id="u", text_format=Place)
    assert_type(response.output_parsed, Place | None)
    async with client.responses.stream(model="m", input="Hello", user_id="u") as events:
        assert_type(events.memory, TurnMemory)
    assert_type((await client.responses.with_raw_response.create(model="m", input="H", user_id="u")).memory, TurnMemory)
    assert_type(client.with_options(recall_limit=3), AsyncOpenAI)

    await chat.parse(model="m", messages=[], uesr_id="u")  # pyright: ignore[reportCallIssue]
    await chat.with_raw_response.create(model="m", messages=[], uesr_id="u")  # pyright: ignore[reportCallIssue]
    chat.stream(model="m", messages=[], uesr_id="u")  # pyright: ignore[reportCallIssue]
