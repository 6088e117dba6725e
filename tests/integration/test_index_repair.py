"""What is searched is derived from the graph: undone, lost, old or of another embedder, it is noticed and mended."""

import shutil

import pytest

from perdure import ConfigError, MemoryClient, MemorySettings, ProviderError
from perdure.stores.sqlite_vectors import SqliteVectorStore
from perdure.testing import FakeEmbedder

KILLED = """
import asyncio, os, signal, sys
from perdure import MemoryClient, MemorySettings
from perdure.testing import FakeEmbedder

class Silent(FakeEmbedder):
    async def embed(self, texts):
        await asyncio.Event().wait()

async def main():
    memory = {"write_mode": sys.argv[2]}
    client = await MemoryClient(MemorySettings(store=sys.argv[1], embedder=Silent(), memory=memory)).connect()
    await client.short_term.add_message("s", "user", "green tea", user_id="ada")
    await client.short_term.add_messages("s", [{"role": "user", "content": f"tea {n}"} for n in range(3)],
                                         user_id="ada")
    await client.long_term.add_entity("Grace", "person", user_id="ada")
    await client.long_term.add_fact("Grace", "likes", "tea", user_id="ada")
    await client.long_term.add_preference("drinks", "tea", user_id="ada")
    await client.reasoning.start_trace("s", "make tea", user_id="ada")
    if sys.argv[3] == "committed":
        await client.flush()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture
def memory_in(tmp_path):
    """Make a client over a directory: `memory_in(embedder=…)`."""

    def make(embedder=None, *, reindex=False, **more):
        settings = MemorySettings(store=str(tmp_path / "store"), embedder=embedder or FakeEmbedder(), **more)
        return MemoryClient(settings, reindex=reindex)

    return make


@pytest.fixture
def vectors(tmp_path):
    """The directory of the vectors."""
    return tmp_path / "store" / "vectors"


async def contents(client, query, user_id="ada", **more):
    """Return the contents of the messages a search finds."""
    found = await client.short_term.search_messages(query, user_id=user_id, limit=100, **more)
    return {hit.item.content for hit in found}


async def say(client, *texts, user_id="ada"):
    """Add messages, and have them indexed."""
    for text in texts:
        await client.short_term.add_message("s", "user", text, user_id=user_id)
    await contents(client, "x", user_id)


@pytest.mark.parametrize(
    ("mode", "state"), [("sync", "committed"), ("deferred", "committed"), ("deferred", "accepted")]
)
async def test_what_a_killed_process_had_not_indexed_is_found_after_the_next_start(
    memory_in, python, tmp_path, mode, state
):
    """M5, B41: everything it had accepted, of every kind, at the first search."""
    killed = python(KILLED, str(tmp_path / "store"), mode, state, check=False)
    assert killed.returncode == -9, killed.stderr
    async with memory_in(memory={"write_mode": mode}) as client:
        memory = client.scope(user_id="ada")
        assert await contents(client, "tea") == {"green tea", "tea 0", "tea 1", "tea 2"}
        assert [hit.item.name for hit in await memory.long_term.search_entities("Grace")] == ["Grace"]
        assert [hit.item.object for hit in await memory.long_term.search_facts("tea")] == ["tea"]
        assert [hit.item.preference for hit in await memory.long_term.search_preferences("tea")] == ["tea"]
        assert [hit.item.task for hit in await memory.reasoning.search_traces("tea")] == ["make tea"]


async def test_lost_vectors_are_made_anew(memory_in, vectors):
    """M5: the whole directory may go; and what is new is found as well."""
    async with memory_in() as client:
        await say(client, "green tea")
        await client.long_term.add_entity("Grace", "person", user_id="ada")
    shutil.rmtree(vectors)
    async with memory_in() as client:
        await client.short_term.add_message("s", "user", "black tea", user_id="ada")
        assert await contents(client, "tea") == {"green tea", "black tea"}
        assert len(await client.long_term.search_entities("Grace", user_id="ada")) == 1


async def test_damaged_vectors_are_made_anew(memory_in, vectors):
    """M5: a file that is no database any more is one that is not there."""
    async with memory_in() as client:
        await say(client, "green tea")
    [file] = vectors.glob("*.db")
    file.write_bytes(b"not a database at all" * 1000)
    async with memory_in() as client:
        assert await contents(client, "tea") == {"green tea"}


async def test_vectors_from_an_older_copy_are_noticed_and_mended(memory_in, vectors, tmp_path):
    """M5, T9: what was written since is found, and what was deleted since is not kept."""
    async with memory_in() as client:
        await say(client, "green tea", "old tea")
        await say(client, "bob's tea", user_id="bob")
    shutil.copytree(vectors, tmp_path / "copy")
    async with memory_in() as client:
        await say(client, "black tea")
        [old] = [hit.item for hit in await client.short_term.search_messages("old", user_id="ada", limit=1)]
        assert await client.short_term.delete_message(old.id, user_id="ada")
        await client.users.delete("bob")
    shutil.rmtree(vectors)
    shutil.copytree(tmp_path / "copy", vectors)
    async with memory_in() as client:
        assert await contents(client, "tea") == {"green tea", "black tea"}
    left = SqliteVectorStore(vectors)
    await left.connect(embedder="fake", dimension=32)
    try:
        assert await left.count() == 2
    finally:
        await left.close()


async def test_a_graph_from_an_older_copy_does_not_find_what_it_does_not_hold(memory_in, tmp_path):
    """M5: the vectors are ahead of it; hits are what the graph has."""
    async with memory_in() as client:
        await say(client, "green tea")
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    async with memory_in() as client:
        await say(client, *(f"newer tea {n}" for n in range(60)))
    for each in (tmp_path / "store").iterdir():
        if each.is_file():
            each.unlink()
    for each in (tmp_path / "copy").iterdir():
        if each.is_file():
            shutil.copy(each, tmp_path / "store")
    async with memory_in() as client:
        assert await contents(client, "tea") == {"green tea"}


async def test_rebuilding_tells_how_far_it_is(memory_in):
    """M5: and finds everything afterwards."""
    told = []
    async with memory_in() as client:
        await say(client, *(f"tea {n}" for n in range(300)))
        count = await client._graph.index.rebuild(lambda done, total: told.append((done, total)))
        assert len(await contents(client, "tea")) == 100
    assert count == 300
    assert told == [(256, 300), (300, 300)]


@pytest.mark.parametrize(
    "other", [FakeEmbedder(16), FakeEmbedder(32, name="another")], ids=["another dimension", "another name"]
)
async def test_another_embedder_is_refused_at_connect_and_leaks_nothing(memory_in, other):
    """M27: both are named, nothing stays open or locked, and the right one connects, also from the same client."""
    async with memory_in() as client:
        await say(client, "green tea")
    client = memory_in(other, memory={"write_mode": "deferred"})
    for _ in range(2):
        with pytest.raises(ConfigError) as raised:
            await client.connect()
        for word in ("'fake'", "32", repr(other.name), str(other.dimension)):
            assert word in str(raised.value)
    client.settings.embedder = FakeEmbedder()
    async with client:
        assert await contents(client, "tea") == {"green tea"}
    async with memory_in() as client:
        assert await contents(client, "tea") == {"green tea"}


@pytest.mark.parametrize(("first", "second"), [("none", "static"), ("static", "none")])
async def test_everything_is_indexed_anew_for_another_embedder(memory_in, first, second):
    """M27, M5: of every kind, once that is asked for; from then on it is that embedder's."""
    async with memory_in(first) as client:
        await say(client, "My bicycle has a flat tyre.")
        await client.long_term.add_fact("Ada", "lives in", "Lisbon", user_id="ada")
    with pytest.raises(ConfigError, match="perdure reindex"):
        await memory_in(second).connect()
    async with memory_in(second, reindex=True) as client:
        assert await contents(client, "bicycles") == {"My bicycle has a flat tyre."}
    async with memory_in(second) as client:
        [hit] = await client.short_term.search_messages("bicycle", user_id="ada")
        assert (hit.why["cosine"] > 0) is (second == "static")
        assert [hit.item.object for hit in await client.long_term.search_facts("lisbon", user_id="ada")] == ["Lisbon"]
        assert await client.rebuild_index() == 2
    with pytest.raises(ConfigError, match="perdure reindex"):
        await memory_in(first).connect()


class Failing(FakeEmbedder):
    """Fails from its second batch on."""

    async def embed(self, texts):
        if self.texts:
            raise ProviderError("The model is gone.")
        return await super().embed(texts)


async def test_an_index_that_was_made_anew_by_half_is_made_anew_again(memory_in, vectors):
    """M5: what an earlier start did not come to is found after the next one, though the index is not empty."""
    async with memory_in() as client:
        await say(client, *(f"tea {n}" for n in range(300)))
    other = FakeEmbedder(name="another")
    client = memory_in(Failing(name="another"), reindex=True)
    await client.connect()
    with pytest.raises(ProviderError):
        await client.rebuild_index()
    await client.close(0)
    left = SqliteVectorStore(vectors)
    await left.connect(embedder="another", dimension=32)
    assert await left.count() == 256
    await left.close()
    async with memory_in(other) as client:
        found = await client.short_term.search_messages("tea", user_id="ada", limit=400)
        assert len(found) == 300
