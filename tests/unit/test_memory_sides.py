"""What becomes of an add when one side, or both, cannot be reached, or when its caller leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from perdure import ClosedError, ConfigError, Memory, MemoryClient, MemorySettings, StoreUnavailableError
from perdure.errors import ProviderTimeoutError
from perdure.graph.memories import Stored
from perdure.graph.rows import IncompleteError
from perdure.stores.embedded import EmbeddedGraphStore
from perdure.testing import FakeEmbedder, FakeVectorStore

ADA = {"user_id": "ada"}
WRITING = {"write", "apply", "upsert", "delete", "forget"}


class Line:
    """Stands before a store: its line can be cut, or held until it is let go."""

    def __init__(self, store):
        self._store = store
        self.down = False
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.waiting = asyncio.Event()

    @property
    def name(self):
        return f"{self._store.name} behind a line"

    def __getattr__(self, name):
        found = getattr(self._store, name)
        return found if name in ("connect", "close") or not asyncio.iscoroutinefunction(found) else self._over(found)

    def _over(self, call):
        async def over(*given, **named):
            if call.__name__ in WRITING and not self.flowing.is_set():
                self.waiting.set()
                await self.flowing.wait()
            if self.down:
                raise StoreUnavailableError(f"{self.name} is down.")
            return await call(*given, **named)

        return over


def over(store, *names):
    """Return a line before a store that satisfies the store's protocol."""
    methods = {name: property(lambda self, name=name: self.__getattr__(name)) for name in names}
    return type("Line", (Line,), methods)(store)


GRAPH = ("read", "write", "apply", "take_over", "forget_lanes", "connect", "close")
VECTORS = ("connect", "close", "upsert", "delete", "forget", "search", "count", "mark", "revisions")


class Sides:
    """A memory whose two sides can fail."""

    def __init__(self, memory, graph, vectors):
        self.memory, self.graph, self.vectors = memory, graph, vectors

    async def texts(self):
        return [each.memory for each in (await self.memory.get_all(**ADA)).results]

    async def found(self, query="tea"):
        return [hit.memory for hit in (await self.memory.search(query, **ADA)).results]

    async def finds(self, *texts):
        """Return once a search finds just these."""
        async with asyncio.timeout(20):
            while sorted(await self.found()) != sorted(texts):  # noqa: ASYNC110  no event tells that it can be found
                await asyncio.sleep(0.02)

    async def has_it(self, text):
        """Return once what was accepted is on both sides."""
        await self.memory.client.flush(20)
        assert await self.texts() == [text]
        await self.finds(text)


@asynccontextmanager
async def sides(**settings) -> AsyncIterator[Sides]:
    graph, vectors = over(EmbeddedGraphStore(None), *GRAPH), over(FakeVectorStore(), *VECTORS)
    given = {"memory": {"durability": "memory"}, "limits": {"store_seconds": 1.0}, **settings}
    async with Memory(MemorySettings(store=graph, vector_store=vectors, embedder=FakeEmbedder(), **given)) as memory:
        yield Sides(memory, graph, vectors)


@pytest.mark.parametrize("down", [{"vector"}, {"graph"}, {"graph", "vector"}], ids=["vector", "graph", "both"])
async def test_a_side_that_fails_has_it_later(down):
    """P9: the other side has it at once, the result says which has not, and nothing of what was accepted is lost."""
    async with sides() as both:
        both.vectors.down, both.graph.down = "vector" in down, "graph" in down
        result = await both.memory.add("I like tea", **ADA)
        assert {name for name, side in result.sides.items() if not side.stored} == down
        assert {name for name, side in result.sides.items() if side.retrying} == down
        assert {name for name, side in result.sides.items() if isinstance(side.error, StoreUnavailableError)} == down
        if not both.graph.down:
            assert await both.texts() == ["I like tea"]
        both.graph.down = both.vectors.down = False
        await both.has_it("I like tea")


async def test_what_only_the_journal_has_is_known_to_the_next_add():
    """P6, P9: a second add of the same is the same, and no more complete than the first."""
    async with sides() as both:
        both.graph.down = True
        await both.memory.add("I like tea", **ADA)
        again = await both.memory.add("i like tea", **ADA)
        assert again.results[0].event == "NONE"
        assert not again.complete
        both.graph.down = False
        await both.has_it("I like tea")


async def test_both_sides_are_written_at_the_same_time():
    """P8: each is under way while the other is."""
    async with sides(limits={"store_seconds": 10}) as both:
        await both.memory.add("warm", **ADA)
        both.graph.flowing.clear()
        both.vectors.flowing.clear()
        adding = asyncio.create_task(both.memory.add("I like tea", **ADA))
        async with asyncio.timeout(10):
            await both.graph.waiting.wait()
            await both.vectors.waiting.wait()
        assert not adding.done()
        both.graph.flowing.set()
        both.vectors.flowing.set()
        assert (await adding).complete


async def test_what_both_sides_have_is_not_marked_as_still_to_be_indexed(tmp_path):
    """P8: the next start has nothing to embed again."""
    async with Memory(MemorySettings(data_dir=tmp_path, embedder=FakeEmbedder())) as memory:
        await memory.client.graph.index.caught_up("")
        assert (await memory.add("I like tea", **ADA)).complete
    graph = EmbeddedGraphStore(tmp_path)
    await graph.connect()
    marks = await graph.read("MATCH (m:Memory) RETURN m.unindexed AS mark", {})
    await graph.close()
    assert marks == [{"mark": None}]


async def test_an_add_whose_caller_leaves_is_whole():
    """P10: it is in the graph and found, or was never begun."""
    async with sides(limits={"store_seconds": 10}) as both:
        both.vectors.flowing.clear()
        adding = asyncio.create_task(both.memory.add("I like tea", **ADA))
        async with asyncio.timeout(10):
            await both.vectors.waiting.wait()
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
        both.vectors.flowing.set()
        await both.finds("I like tea")
        assert await both.texts() == ["I like tea"]


async def test_close_waits_for_what_is_being_added():
    """P24: and nothing is left behind."""
    async with sides(limits={"store_seconds": 10}) as both:
        both.vectors.flowing.clear()
        adding = asyncio.create_task(both.memory.add("I like tea", **ADA))
        async with asyncio.timeout(10):
            await both.vectors.waiting.wait()
        closing = asyncio.create_task(both.memory.close())
        await asyncio.sleep(0)
        both.vectors.flowing.set()
        assert (await adding).complete
        await closing
        with pytest.raises(ClosedError):
            await both.memory.add("more", **ADA)


async def test_a_borrowed_client_has_to_queue_and_stays_open():
    """P24: what it did not open, it does not close."""
    async with MemoryClient(MemorySettings(store="memory://")) as client:
        with pytest.raises(ConfigError, match="write_mode"):
            await Memory(client=client).connect()
    settings = MemorySettings(store="memory://", memory={"write_mode": "deferred", "durability": "memory"})
    async with MemoryClient(settings) as client:
        async with Memory(client=client) as memory:
            await memory.add("I like tea", **ADA)
        assert await client.query.cypher("MATCH (m:Memory) RETURN m.memory AS text", {}) == [{"text": "I like tea"}]


async def test_a_slow_embedder_costs_its_own_call_only():
    """P14: and nothing is stored of it."""
    held = asyncio.Event()

    class Slow(FakeEmbedder):
        async def embed(self, texts):
            if "slow" in texts[0]:
                await held.wait()
            return await super().embed(texts)

    async with Memory(MemorySettings(store="memory://", embedder=Slow(), limits={"embedder_seconds": 1.0})) as memory:
        slow = asyncio.create_task(memory.add("slow", **ADA))
        assert (await memory.add("quick", **ADA)).complete
        with pytest.raises(ProviderTimeoutError, match="embedder_seconds"):
            await slow
        assert [each.memory for each in (await memory.get_all(**ADA)).results] == ["quick"]


async def test_what_is_added_and_updated_is_embedded_once():
    """P3: nor when the index comes by, which it has when the memory is closed."""
    asked = []

    class Listening(FakeEmbedder):
        async def embed(self, texts):
            asked.extend(texts)
            return await super().embed(texts)

    async with Memory(MemorySettings(store="memory://", embedder=Listening())) as memory:
        await memory.client.graph.index.caught_up("")
        [made] = (await memory.add("I like tea", user_id="ada")).results
        await memory.update(made.id, "I like coffee", user_id="ada")
    assert asked == ["I like tea", "I like coffee"]


async def test_an_update_that_meets_a_deletion_leaves_nothing_among_the_vectors():
    """P18: the memory goes while its new words are embedded."""
    embedding, deleted = asyncio.Event(), asyncio.Event()

    class Held(FakeEmbedder):
        async def embed(self, texts):
            if "coffee" in texts[0]:
                embedding.set()
                await deleted.wait()
            return await super().embed(texts)

    async with Memory(MemorySettings(store="memory://", embedder=Held())) as memory:
        index = memory.client.graph.index
        [made] = (await memory.add("I like tea", user_id="ada")).results
        update = asyncio.create_task(memory.update(made.id, "I like coffee", user_id="ada"))
        await embedding.wait()
        await memory.delete_all(user_id="ada")
        deleted.set()
        await update
        await index.caught_up('[null,"ada"]')
        assert not await index.vectors.revisions(limit=1)


@pytest.mark.parametrize("left", [{}, {"public_id": "m"}, {"public_id": "m", "memory": "I like tea"}])
def test_what_is_left_of_a_memory_is_none(left):
    """P18: Neo4j shows a node while it is deleted, without some of its properties; a read is then taken again."""
    with pytest.raises(IncompleteError, match="no memory"):
        Stored({"id": "k", "owner": "o", **left})
