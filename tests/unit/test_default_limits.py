"""What the default limits cost many who add at the same time, where computing takes no time (P13).

The clock of these tests stands still while anything computes, and goes on to the next timer when all wait.
"""

import asyncio
import json
import selectors
from itertools import count

from perdure import Memory, MemorySettings
from perdure.testing import FakeEmbedder, FakeGraphStore, FakeVectorStore

MODEL_SECONDS, EMBEDDER_SECONDS, STORE_SECONDS = 0.3, 0.02, 0.01
PATH_SECONDS = MODEL_SECONDS + EMBEDDER_SECONDS + STORE_SECONDS


class Selector(selectors.DefaultSelector):
    """Waits for no timer: it puts the clock forward."""

    def __init__(self):
        super().__init__()
        self.now = 1000.0

    def select(self, timeout=None):
        found = super().select(0 if timeout is not None else None)
        if timeout and not found:
            self.now += timeout
        return found


class Loop(asyncio.SelectorEventLoop):
    """An event loop with that clock."""

    def __init__(self):
        self._clock = Selector()
        super().__init__(self._clock)

    def time(self):
        return self._clock.now + 1e-9


class Graph(FakeGraphStore):
    async def read(self, statement, parameters):
        await asyncio.sleep(STORE_SECONDS)
        return []

    async def write(self, statement, parameters):
        await asyncio.sleep(STORE_SECONDS)
        return []

    async def apply(self, batch):
        await asyncio.sleep(STORE_SECONDS)
        return await super().apply(batch)


class Vectors(FakeVectorStore):
    async def upsert(self, records, *, mark=None):
        await asyncio.sleep(STORE_SECONDS)
        await super().upsert(records, mark=mark)


class Embedder(FakeEmbedder):
    async def embed(self, texts):
        await asyncio.sleep(EMBEDDER_SECONDS)
        return await super().embed(texts)


class Model:
    name = "slow"
    _numbers = count()

    async def complete(self, messages, *, schema=None):
        await asyncio.sleep(MODEL_SECONDS)
        return json.dumps({"statements": [{"text": f"They saw film {next(self._numbers)}.", "turn": 1}]})


async def seconds_for(adds, **given):
    """Return how long so many adds take, each for somebody else."""
    stores = {"store": Graph(), "vector_store": Vectors(), "embedder": Embedder(), "llm": Model()}
    settings = MemorySettings(**stores, memory={"durability": "memory"}, **given)
    async with Memory(settings) as memory:
        await memory.add("We went to the cinema.", user_id="first")
        clock = asyncio.get_running_loop().time
        began = clock()
        await asyncio.gather(*(memory.add("We went to the cinema.", user_id=f"user {n}") for n in range(adds)))
        return clock() - began


def on_that_clock(work):
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(work)


def test_the_default_limits_hold_up_two_hundred_adds_by_an_eighth():
    """A second round of the embedder, and a third and fourth of the stores'."""
    assert on_that_clock(seconds_for(1)) < 1.01 * PATH_SECONDS
    assert on_that_clock(seconds_for(200)) < 1.125 * PATH_SECONDS


def test_narrow_limits_hold_them_up_more():
    """So that this can be seen here."""
    assert on_that_clock(seconds_for(200, limits={"store_concurrency": 8})) > 1.5 * PATH_SECONDS
