"""An index that is made from the graph, and does not come to its end at the first try."""

import pytest
from index_rig import Rig, Vectors

from perdure import RateLimitError
from perdure.graph import index as following
from perdure.testing import FakeEmbedder

TEXTS = [f"tea {n}" for n in range(10)]


class Limited(FakeEmbedder):
    """Refuses every third batch of a rebuild."""

    def __init__(self):
        super().__init__()
        self._batches = 0

    async def embed(self, texts):
        self._batches += len(texts) > 1
        if len(texts) > 1 and self._batches % 3 == 0:
            raise RateLimitError("Not so fast.")
        return await super().embed(texts)


@pytest.fixture
async def rig(monkeypatch):
    """A graph of ten messages, all indexed, two at a time."""
    monkeypatch.setattr(following, "AT_ONCE", 2)
    monkeypatch.setattr(following, "SECONDS_TO_TRY_AGAIN", 0)
    made = Rig()
    await made.graph.connect()
    async with made.client() as client:
        for text in TEXTS:
            await client.short_term.add_message("s", "user", text, user_id="ada")
        await found(client)
    made.embedder = Limited()
    yield made
    await made.graph.close()


async def found(client):
    hits = await client.short_term.search_messages("tea", user_id="ada", limit=100)
    return sorted(hit.item.content for hit in hits)


async def test_what_was_made_is_not_made_again_after_a_failure(rig):
    """M5: an embedder that fails now and then, as one with a limit does, gets each text once, and to the end."""
    rig.vectors = Vectors()
    async with rig.client() as client:
        for there in (4, 8):
            with pytest.raises(RateLimitError):
                await client.rebuild_index()
            assert len(rig.vectors.records) == there
        await client.rebuild_index()
        assert await found(client) == TEXTS
    assert sorted(text for text in rig.embedder.texts if text != "tea") == TEXTS


async def test_the_next_start_goes_on_where_an_index_was_left(rig):
    """M5: and takes what changed and went meanwhile as it is by then."""
    rig.vectors = Vectors()
    async with rig.client() as client:
        with pytest.raises(RateLimitError):
            await client.rebuild_index()
    assert len(rig.vectors.records) == 4
    rig.embedder = FakeEmbedder()
    await rig.graph.write("MATCH (n:Message {content: 'tea 0'}) SET n.content = 'new tea', n.unindexed = 'x'", {})
    await rig.graph.write("MATCH (n:Message {content: 'tea 1'}) DETACH DELETE n", {})
    async with rig.client() as client:
        assert await found(client) == ["new tea", *TEXTS[2:]]
    assert sorted(text for text in rig.embedder.texts if text != "tea") == ["new tea", *TEXTS[4:]]
    assert len(rig.vectors.records) == 9


async def test_one_that_is_not_trusted_is_made_anew_from_its_beginning(rig):
    """M5: what an index held before that is not taken for made."""
    async with rig.client() as client:
        with pytest.raises(RateLimitError):
            await client.rebuild_index()
    rig.embedder = FakeEmbedder()
    async with rig.client() as client:
        assert await found(client) == TEXTS
    assert sorted(text for text in rig.embedder.texts if text != "tea") == TEXTS


async def test_an_index_that_only_callers_put_into_is_not_taken_for_whole(rig):
    """M5: as when a memory is added at once after the index of another embedder was emptied."""
    [kept, *_] = rig.vectors.records.values()
    await rig.graph.write("MATCH (k:_PerdureSearch) DETACH DELETE k", {})
    rig.vectors, rig.embedder = Vectors(), FakeEmbedder()
    async with rig.client() as client:
        await client.graph.index.put([kept])
        assert await found(client) == TEXTS
