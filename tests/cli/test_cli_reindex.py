"""`perdure reindex` makes the index anew from the graph."""

import asyncio

from perdure import MemoryClient, MemorySettings


async def remember(data_dir):
    async with MemoryClient(MemorySettings(data_dir=data_dir)) as client:
        await client.short_term.add_message("s", "user", "My bicycle has a flat tyre.", user_id="ada")
        await client.long_term.add_fact("Ada", "lives in", "Lisbon", user_id="ada")


async def found(data_dir):
    async with MemoryClient(MemorySettings(data_dir=data_dir)) as client:
        return [hit.item.content for hit in await client.short_term.search_messages("bicycle", user_id="ada")]


def test_reindex_counts_what_it_indexed(perdure, data_dir):
    """M5: and what it indexed is found."""
    asyncio.run(remember(data_dir))
    assert perdure("reindex").out == "Indexed 2 records.\n"
    assert perdure("reindex", "--json").document == {"indexed": 2}
    assert asyncio.run(found(data_dir)) == ["My bicycle has a flat tyre."]


def test_a_default_is_no_reason_to_give_up_an_index(perdure, data_dir, monkeypatch):
    """M27: a program's embedder may stand in its code, and the command line knows nothing of it."""
    monkeypatch.setenv("PERDURE_EMBEDDER", "none")
    asyncio.run(remember(data_dir))
    monkeypatch.delenv("PERDURE_EMBEDDER")
    assert "PERDURE_EMBEDDER" in perdure("reindex", code=2).err
    monkeypatch.setenv("PERDURE_EMBEDDER", "static")
    perdure("reindex")
    assert asyncio.run(found(data_dir)) == ["My bicycle has a flat tyre."]
