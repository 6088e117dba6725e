"""When the index follows: soon enough for whoever searches, and late enough to take a turn as one batch."""

import asyncio

from perdure import MemoryClient, MemorySettings
from perdure.graph import index
from perdure.testing import FakeEmbedder, FakeVectorStore


class Batches(FakeEmbedder):
    """Remembers which texts it was given together."""

    def __init__(self):
        super().__init__()
        self.batches = []
        self.full = asyncio.Event()

    async def embed(self, texts):
        self.batches.append(list(texts))
        if len(texts) == index.AT_ONCE:
            self.full.set()
        return await super().embed(texts)


def settings(embedder):
    return MemorySettings(store="memory://", embedder=embedder, vector_store=FakeVectorStore())


async def test_a_search_finds_at_once_what_the_index_would_have_waited_with(monkeypatch):
    """M5: what was written together is embedded together, and a search waits for no company."""
    monkeypatch.setattr(index, "SECONDS_FOR_COMPANY", 3600.0)
    embedder = Batches()
    async with MemoryClient(settings(embedder)) as client, asyncio.timeout(60):
        await client.short_term.add_message("s", "user", "the first")
        assert await client.short_term.search_messages("first")
        for number in range(3):
            await client.short_term.add_message("s", "user", f"organ {number}")
        assert len(await client.short_term.search_messages("organ")) >= 3
    assert [f"organ {number}" for number in range(3)] in embedder.batches


async def test_close_does_not_wait_for_company(monkeypatch):
    """M5: what is left when a client is closed is indexed before it has closed."""
    monkeypatch.setattr(index, "SECONDS_FOR_COMPANY", 3600.0)
    embedder = Batches()
    async with asyncio.timeout(60):
        async with MemoryClient(settings(embedder)) as client:
            await client.short_term.add_message("s", "user", "the first")
            await client.short_term.search_messages("first")
            await client.short_term.add_message("s", "user", "the last")
    assert ["the last"] in embedder.batches


async def test_a_full_batch_does_not_wait_for_company(monkeypatch):
    """M5: nobody has to search for the index to take what is enough for a batch."""
    monkeypatch.setattr(index, "SECONDS_FOR_COMPANY", 3600.0)
    embedder = Batches()
    async with MemoryClient(settings(embedder)) as client, asyncio.timeout(60):
        await client.short_term.add_message("s", "user", "the first")
        await client.short_term.search_messages("first")
        several = [{"role": "user", "content": f"organ {number}"} for number in range(index.AT_ONCE)]
        await client.short_term.add_messages("s", several)
        await embedder.full.wait()
