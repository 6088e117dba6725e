"""`embedder="none"`: nothing is loaded for it, nothing asked of it takes long, and nobody waits in vain."""

import subprocess
import sys

import pytest
from index_rig import Rig

from perdure import InputError, Memory, MemoryClient, MemorySettings
from perdure.embedders.none import NoEmbedder
from perdure.errors import ConfigError
from perdure.protocols import Embedder
from perdure.providers import Providers
from perdure.testing import FakeEmbedder, FakeVectorStore

LOADING = """
import asyncio, sys
from perdure import Memory, MemorySettings

async def main():
    async with Memory(MemorySettings(store="memory://", embedder=sys.argv[1])) as memory:
        await memory.add("My bicycle has a flat tyre.", user_id="ada")
        print(len((await memory.search("bicycles", user_id="ada")).results))
    print([name for name in ("tokenizers", "perdure.embedders.static") if name in sys.modules])

asyncio.run(main())
"""


class Untouched:
    """A graph that fails as soon as it is asked for something."""

    def __init__(self, store):
        self._store = store
        self.asked = []

    def __getattr__(self, name):
        self.asked.append(name)
        return getattr(self._store, name)


async def test_it_keeps_the_protocol():
    """Whoever takes an Embedder takes it: a row a text, of as many numbers as it says."""
    none = NoEmbedder()
    assert isinstance(none, Embedder)
    assert (await none.embed(["one", ""])).shape == (2, none.dimension) == (2, 0)
    assert (await none.embed([])).shape == (0, 0)


def test_the_environment_names_it(monkeypatch):
    """B39."""
    monkeypatch.setenv("PERDURE_EMBEDDER", "none")
    assert MemorySettings().embedder == "none"


async def test_it_waits_for_no_place():
    """P13: there is nothing to bound."""
    async with Providers(MemorySettings(embedder="none")) as providers:
        await providers.embedder.embed(["one"])
        assert providers.stats()["embedder"].ended == 0


async def test_an_embedder_of_ones_own_has_numbers():
    """M27: one that says otherwise has not loaded its model, and is not taken for none."""
    with pytest.raises(ConfigError, match="dimension is 0"):
        await MemoryClient(MemorySettings(store="memory://", embedder=FakeEmbedder(0))).connect()


@pytest.mark.parametrize(("embedder", "loaded"), [("none", []), ("static", ["tokenizers", "perdure.embedders.static"])])
def test_no_model_is_loaded_for_it(embedder, loaded):
    """What it is for: the model's memory, and the time to read it."""
    program = [sys.executable, "-c", LOADING, embedder]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"1\n{loaded}\n"


async def test_a_threshold_is_refused_before_anything_is_asked():
    """P16: of neither store."""
    rig = Rig()
    graph, vectors = Untouched(rig.graph), Untouched(FakeVectorStore())
    await rig.graph.connect()
    memory = {"write_mode": "buffered", "durability": "memory"}
    settings = MemorySettings(store=graph, vector_store=vectors, embedder="none", memory=memory)
    async with MemoryClient(settings) as client, Memory(client=client) as remembering:
        await remembering.add("green tea", user_id="ada")
        graph.asked.clear()
        vectors.asked.clear()
        with pytest.raises(InputError, match="threshold"):
            await remembering.search("tea", user_id="ada", threshold=0.5)
        with pytest.raises(InputError, match="threshold"):
            await client.short_term.search_messages("tea", user_id="ada", threshold=0.5)
        assert (graph.asked, vectors.asked) == ([], [])
        assert len((await remembering.search("tea", user_id="ada")).results) == 1


async def test_what_was_kept_without_vectors_is_carried_to_where_there_are_some(tmp_path):
    """M25: an export has none, so it makes no difference which embedder has been there."""
    async with MemoryClient(MemorySettings(store=str(tmp_path / "words"), embedder="none")) as client:
        await client.short_term.add_message("s", "user", "My bicycle has a flat tyre.", user_id="ada")
        await client.export(tmp_path / "words.jsonl", everybody=True)
    async with MemoryClient(MemorySettings(store=str(tmp_path / "meant"))) as client:
        await client.import_(tmp_path / "words.jsonl")
        [hit] = await client.short_term.search_messages("a puncture in a wheel", user_id="ada")
        assert hit.why["cosine"] > 0
        await client.export(tmp_path / "meant.jsonl", everybody=True)
    assert (tmp_path / "words.jsonl").read_text() == (tmp_path / "meant.jsonl").read_text()
    async with MemoryClient(MemorySettings(store="memory://", embedder="none")) as client:
        await client.import_(tmp_path / "meant.jsonl")
        assert len(await client.short_term.search_messages("bicycles", user_id="ada")) == 1
