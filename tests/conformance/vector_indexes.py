"""Vector stores for tests: each connected, with owners that nobody else has, and swept when a test is over."""

import secrets
from contextlib import asynccontextmanager

from perdure.filters import parse
from perdure.records import VectorQuery, VectorRecord
from perdure.testing import FakeEmbedder

DIMENSION = 32
MODEL = "fake"
embedder = FakeEmbedder(DIMENSION)


class Index:
    """A connected vector store, and owners that nobody else has."""

    def __init__(self, store, again, embedder):
        self.store = store
        self.again = again
        self.embedder = embedder
        self._mine = secrets.token_hex(6)
        self._owners = set()

    def owner(self, name="ann"):
        self._owners.add(f"{self._mine}/{name}")
        return f"{self._mine}/{name}"

    async def record(self, text, *, id=None, owner=None, kind="memory", **more):  # noqa: A002
        [vector] = await self.embedder.embed([text])
        owner = self.owner() if owner is None else owner
        return VectorRecord(owner=owner, id=id or text, kind=kind, text=text, vector=vector, **more)

    async def keep(self, *texts, mark=None, **more):
        await self.store.upsert([await self.record(text, **more) for text in texts], mark=mark)

    async def search(self, text, *, owner=None, meaning=True, words=True, filters=None, **more):
        [vector] = await self.embedder.embed([text])
        query = VectorQuery(
            self.owner() if owner is None else owner,
            vector=vector if meaning else None,
            text=text if words else "",
            filter=parse(filters),
            **more,
        )
        return await self.store.search(query)

    async def ids(self, text, **more):
        return {hit.id for hit in await self.search(text, **more)}

    async def sweep(self):
        for owner in self._owners:
            await self.store.forget(owner)


@asynccontextmanager
async def opened(store, embedder=embedder):
    await store.connect(embedder=embedder.name, dimension=embedder.dimension)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def lent(store, again, embedder=embedder):
    async with opened(store, embedder):
        index = Index(store, again, embedder)
        yield index
        await index.sweep()
