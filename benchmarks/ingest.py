"""How many memories a second are kept verbatim: Memory.add(infer=False) on its embedded stores beside mem0's.

Both embed with Perdure's static model, and keep what they store in files: Perdure in kglite, SQLite and its journal,
mem0 in Qdrant's local mode, its default and quicker than its faiss, and in SQLite. A list is one call with as many
messages, one by one is a call for each; calls follow each other.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.apart import apart
from benchmarks.cli import Run
from benchmarks.figures import Figure, Side, absent, faster, progress, rotated
from benchmarks.memories import RIVAL, provide, rival_class, rival_is_installed
from perdure import Memory, MemorySettings
from perdure.embedders.static import StaticEmbedder

LIST = 100
Message = Mapping[str, str]
Add = Callable[[Sequence[Message]], Any]


def messages(number: int) -> list[Message]:
    """Return messages, no two of which are the same."""
    said = json.loads(files("perdure.demo").joinpath("conversation.json").read_text(encoding="utf-8"))
    return [{"role": "user", "content": f"{said[n % len(said)]['content']} ({n})"} for n in range(number)]


@asynccontextmanager
async def perdure_on_files() -> AsyncGenerator[Add]:
    """Open Perdure's Memory as it is by default, in a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as directory:
        async with Memory(MemorySettings(data_dir=Path(directory))) as memory:
            yield partial(memory.add, user_id="reader", infer=False)


@asynccontextmanager
async def rival_on_files() -> AsyncGenerator[Add]:
    """Open mem0's AsyncMemory on Qdrant's local mode, with Perdure's embedder."""
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as directory:
        async_memory, config = rival_class(directory)
        provide("StaticModel")
        place = {"path": f"{directory}/qdrant", "embedding_model_dims": StaticEmbedder.dimension}
        vectors = {"provider": "qdrant", "config": place}
        history = str(Path(directory) / "history.db")
        memory = async_memory(config(vector_store=vectors, history_db_path=history))
        yield partial(memory.add, user_id="reader", infer=False)
        memory.close()


SIDES = {"Perdure": perdure_on_files, RIVAL: rival_on_files}


async def one_round(who: str, number: int, each: int) -> float:
    """Return how many memories a second one side keeps, of lists so long."""
    said = messages(number + each)
    async with SIDES[who]() as add:
        await add(said[:each])
        started = perf_counter()
        for first in range(each, number + each, each):
            await add(said[first : first + each])
        return number / (perf_counter() - started)


def round_of(who: str, number: int, each: int) -> float:
    """Measure one side: what each process runs."""
    return asyncio.run(one_round(who, number, each))


async def ingest(run: Run) -> list[Figure]:
    """Measure lists, and messages one by one."""
    if not rival_is_installed():
        return [absent("memories kept verbatim", f"{RIVAL} is not installed")]
    figures: list[Figure] = []
    for name, number, each in (
        (f"lists of {LIST}", run.scaled(2000, 300), LIST),
        ("one by one", run.scaled(500, 50), 1),
    ):
        rates: dict[str, list[float]] = {who: [] for who in SIDES}
        for turn in range(run.scaled(3, 1)):
            for who in rotated(list(SIDES), turn):
                progress(f"ingest: {name}, {who}…")
                rates[who].append(await apart(round_of, who, number, each))
        ours, theirs = (Side(who, rates[who], "/s") for who in SIDES)
        figures.append(faster(f"memories kept verbatim, {name}", ours, theirs))
    return figures
