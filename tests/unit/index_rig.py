"""A client's graph, vector store and embedder, each of which a test can hold up or break."""

import asyncio
from contextlib import asynccontextmanager

from perdure import MemoryClient, MemorySettings
from perdure.stores.embedded import EmbeddedGraphStore
from perdure.testing import FakeEmbedder, FakeVectorStore

MARKED = "MATCH (n) WHERE n.unindexed > '' RETURN count(n) AS n"


class Vectors(FakeVectorStore):
    """A vector store that is told when it fails, and keeps what was asked of it."""

    def __init__(self):
        super().__init__()
        self.failing: Exception | None = None
        self.upserts = 0

    async def upsert(self, records, *, mark=None):
        if self.failing is not None:
            raise self.failing
        self.upserts += 1
        await super().upsert(records, mark=mark)


class Embedder(FakeEmbedder):
    """An embedder that can be held up, and told to fail."""

    def __init__(self):
        super().__init__()
        self.failing: Exception | None = None
        self.free = asyncio.Event()
        self.free.set()
        self.asked = asyncio.Event()

    async def embed(self, texts):
        self.asked.set()
        await self.free.wait()
        if self.failing is not None:
            raise self.failing
        return await super().embed(texts)


class Gated(EmbeddedGraphStore):
    """An embedded graph whose batches with a word in them wait."""

    def __init__(self):
        super().__init__(None)
        self.word = ""
        self.free = asyncio.Event()

    async def apply(self, batch):
        if self.word and any(self.word in repr(entry.parameters) for entry in batch.entries):
            await self.free.wait()
        return await super().apply(batch)


class Rig:
    """A client over a graph, a vector store and an embedder that outlive it."""

    def __init__(self):
        self.graph = Gated()
        self.vectors = Vectors()
        self.embedder = Embedder()

    @asynccontextmanager
    async def client(self, **memory):
        memory = {"durability": "memory", **memory}
        settings = MemorySettings(
            store=Kept(self.graph), vector_store=self.vectors, embedder=self.embedder, memory=memory
        )
        async with MemoryClient(settings) as client:
            yield client

    async def marked(self):
        [row] = await self.graph.read(MARKED, {})
        return row["n"]


class Kept:
    """A graph that its clients leave open."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def connect(self):
        """Stay connected."""

    async def close(self):
        """Stay open."""
