"""One face for both chat clients, so that each promise is tested once and kept by both."""

import asyncio
from contextlib import contextmanager
from itertools import islice

from perdure import Memory, MemorySettings, SyncMemory
from perdure.openai import AsyncOpenAI, OpenAI
from perdure.testing import FakeEmbedder

PATIENCE = 30.0
"""Seconds for what is quick on a machine that has nothing else to do."""


def settings(**given):
    """Return those of a memory that leaves nothing behind."""
    return MemorySettings(**{"store": "memory://", "embedder": FakeEmbedder(), **given})


class BlockingDoor:
    """The blocking client: calls are made as they are."""

    name = "OpenAI"
    client_class, memory_class = OpenAI, SyncMemory

    def __init__(self):
        self._open = []

    def do(self, what):
        return what

    def enter(self, thing):
        entered = thing.__enter__()
        self._open.append(lambda: thing.__exit__(None, None, None))
        return entered

    def events(self, stream, most=None):
        return list(islice(stream, most))

    def whole(self, manager):
        """Run a stream manager; return its stream, and what it gave."""
        with manager as stream:
            return stream, list(stream)

    def leave(self):
        while self._open:
            self._open.pop()()


class AwaitingDoor:
    """The asynchronous client: each call is awaited on one loop, which stands still in between."""

    name = "AsyncOpenAI"
    client_class, memory_class = AsyncOpenAI, Memory

    def __init__(self):
        self._runner = asyncio.Runner()
        self._open = []

    def do(self, what):
        async def awaited():
            return await what if hasattr(what, "__await__") else what

        return self._runner.run(awaited())

    def enter(self, thing):
        entered = self.do(thing.__aenter__())
        self._open.append(lambda: self.do(thing.__aexit__(None, None, None)))
        return entered

    def events(self, stream, most=None):
        async def read():
            found = []
            while len(found) != most and (event := await anext(stream, None)) is not None:
                found.append(event)
            return found

        return self.do(read())

    def whole(self, manager):
        async def read():
            async with manager as stream:
                return stream, [event async for event in stream]

        return self.do(read())

    def leave(self):
        while self._open:
            self._open.pop()()
        self._runner.close()


class Rig:
    """A client at a door, the server that it talks to, and the memory that it was lent."""

    def __init__(self, door, api, settings, **options):
        self.door, self.api = door, api
        self.memory = door.enter(door.memory_class(settings))
        self.client = door.enter(self.made(memory=self.memory, **options))

    def made(self, **options):
        how = {"api_key": "k", "base_url": self.api.url, "max_retries": 0, "recall_timeout": PATIENCE}
        return self.door.client_class(**how | options)

    def chat(self, *messages, user_id="u1", **how):
        said = [{"role": "user", "content": m} if isinstance(m, str) else m for m in messages]
        ids = {} if user_id is None else {"user_id": user_id}
        return self.door.do(self.client.chat.completions.create(model="m", messages=said, **ids, **how))

    def respond(self, given, user_id="u1", **how):
        return self.door.do(self.client.responses.create(model="m", input=given, user_id=user_id, **how))

    def remembered(self, user_id="u1"):
        """Return what is remembered, by role, when all that was accepted is."""
        assert self.door.do(self.memory.flush(30))
        found = self.door.do(self.memory.get_all(user_id=user_id)).results
        return [(one.role, one.memory) for one in found]


@contextmanager
def at(door):
    """Leave a door when done, whatever happened."""
    try:
        yield door
    finally:
        door.leave()


DOORS = [BlockingDoor, AwaitingDoor]
