"""Kill -9 while memories are added: after a restart each is whole or not there, and each that was promised is."""

import asyncio
import random
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from memory_process import WRITERS
from rounds import repeated

from perdure import Memory, MemorySettings
from perdure.graph.scope import Scope

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).with_name("memory_process.py")
LIVES = 2


async def lived(directory, life, durability="os"):
    """Run the program, kill it when it has promised a few, and return what it promised."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, directory, durability, str(life), stdout=PIPE
    )
    few, promised = random.randrange(1, 120), []
    async with asyncio.timeout(60):
        while len(promised) < few and (line := (await process.stdout.readline()).decode()):
            if not line.startswith("open"):
                promised.append(line.rstrip("\n").partition(" ")[2])
    process.kill()
    rest = (await process.stdout.read()).decode()
    await process.wait()
    return promised + [line.partition(" ")[2] for line in rest.splitlines() if line.startswith(("kept", "accepted"))]


async def found_of(memory, writer):
    """Return what the graph remembers of a writer, once the index has followed it, each with its history."""
    whose = {"user_id": f"user{writer}"}
    await memory.client.graph.index.caught_up(Scope(user_id=f"user{writer}").owner)
    texts, cursor = [], None
    while True:
        page = await memory.get_all(limit=500, cursor=cursor, **whose)
        texts += page.results
        if (cursor := page.cursor) is None:
            break
    for each in texts[-20:]:
        assert [event.event for event in await memory.history(each.id, **whose)] == ["ADD"]
    return [each.memory for each in texts]


async def indexed_of(memory, writer):
    return await memory.client.graph.index.vectors.count(Scope(user_id=f"user{writer}").owner)


async def remembered(directory, durability="os"):
    """Return what is remembered of each writer after a restart."""
    async with Memory(MemorySettings(data_dir=directory, memory={"durability": durability})) as memory:
        assert await memory.flush(60)
        found = [await found_of(memory, writer) for writer in range(WRITERS)]
        if durability != "memory":  # else the vectors of an add may be there, and its graph lost
            rows = await memory.client.query.cypher("MATCH (t:ToRemember) RETURN count(t) AS n", {})
            assert rows == [{"n": 0}]
            assert [await indexed_of(memory, writer) for writer in range(WRITERS)] == [len(texts) for texts in found]
        return found


@repeated(few=2)
async def test_what_add_has_promised_outlives_kill_nine(number, tmp_path, count):
    """P9, P10: of each add both messages, or neither, each once, and each found."""
    promised = []
    for life in range(LIVES):
        promised += await lived(tmp_path, life)
    kept = await remembered(tmp_path)
    texts = [text for of_one in kept for text in of_one]
    asked = {text for text in texts if not text.startswith("Noted: ")}
    assert {f"Noted: {text}" for text in asked} == set(texts) - asked
    assert len(texts) == len(set(texts))
    assert set(promised) <= asked
    count("kill -9 while memories are added", kills=LIVES, promised=len(promised), lost=0)


async def test_in_memory_what_was_accepted_would_be_lost(tmp_path):
    """The control: durability "memory"."""
    for life in range(10):
        promised = await lived(tmp_path, life, "memory")
        kept = {text for of_one in await remembered(tmp_path, "memory") for text in of_one}
        if set(promised) - kept:
            return
    pytest.fail("Nothing was lost.")
