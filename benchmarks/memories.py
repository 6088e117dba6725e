"""Whose pipeline is measured: Perdure's Memory and mem0's AsyncMemory, each with stubs, or on embedded stores.

mem0 is told what to use through its own factories, by the names of providers it knows. Its telemetry is off, and it
keeps its history in a file, as it does by default. What it does beside needs spaCy and a model of that: without them,
as here, it looks for no entities, and has less to do.
"""

import os
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.stubs import DIMENSION, StubEmbedder, StubGraph, StubModel, StubVectors
from perdure import Memory, MemorySettings

RIVAL = "mem0"
WIDE = 256
"""Calls of each kind at the same time where the figures are not about the limits: more than there are callers."""


@dataclass(frozen=True)
class Contender:
    """A memory that can be told and asked on behalf of a user; `kept` says how many memories it has on each side."""

    add: Callable[[str, str], Awaitable[object]]
    search: Callable[[str, str], Awaitable[object]]
    kept: Callable[[], list[int]]


Open = Callable[[], AbstractAsyncContextManager[Contender]]


def wide() -> dict[str, int]:
    """Return limits that hold nobody up."""
    return {f"{kind}_concurrency": WIDE for kind in ("language_model", "embedder", "store")}


@asynccontextmanager
async def perdure_on_stubs(limits: dict[str, int] | None = None) -> AsyncGenerator[Contender]:
    """Open Perdure's Memory on stubs, with its default limits or others, and with its journal as it is by default."""
    graph, vectors = StubGraph(), StubVectors()
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as directory:
        settings = MemorySettings(
            store=graph,
            vector_store=vectors,
            embedder=StubEmbedder(),
            llm=StubModel(),
            limits=limits or {},
            data_dir=Path(directory),
        )
        async with Memory(settings) as memory:
            yield Contender(
                lambda user, said: memory.add(said, user_id=user),
                lambda user, query: memory.search(query, user_id=user),
                lambda: [len(graph.memories), vectors.found()],
            )


def rival_is_installed() -> bool:
    """Return whether mem0 can be measured."""
    return find_spec("mem0") is not None


def rival_class(directory: str) -> tuple[Any, Any]:
    """Return mem0's AsyncMemory and MemoryConfig, imported so that it tells nobody and keeps its files in a directory.

    Both are read once, when it is imported.
    """
    os.environ |= {"MEM0_TELEMETRY": "False", "MEM0_DIR": directory}
    from mem0 import AsyncMemory  # noqa: PLC0415  may not be installed
    from mem0.configs.base import MemoryConfig  # noqa: PLC0415  as above

    return AsyncMemory, MemoryConfig


def provide(embedder: str, vectors: str | None = None) -> None:
    """Have mem0 take classes of mem0_stubs where its settings name no provider, or faiss for the vectors."""
    from mem0.configs.llms.base import BaseLlmConfig  # noqa: PLC0415  may not be installed
    from mem0.utils.factory import EmbedderFactory, LlmFactory, VectorStoreFactory  # noqa: PLC0415  as above

    LlmFactory.provider_to_class["openai"] = ("benchmarks.mem0_stubs.StubModel", BaseLlmConfig)
    EmbedderFactory.provider_to_class["openai"] = f"benchmarks.mem0_stubs.{embedder}"
    if vectors is not None:
        VectorStoreFactory.provider_to_class["faiss"] = f"benchmarks.mem0_stubs.{vectors}"


@asynccontextmanager
async def rival_on_stubs() -> AsyncGenerator[Contender]:
    """Open mem0's AsyncMemory on stubs."""
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as directory:
        async_memory, config = rival_class(directory)
        provide("StubEmbedder", "StubVectors")
        vectors = {"provider": "faiss", "config": {"path": directory, "embedding_model_dims": DIMENSION}}
        history = str(Path(directory) / "history.db")
        memory = async_memory(config(vector_store=vectors, history_db_path=history))
        yield Contender(
            lambda user, said: memory.add(said, user_id=user),
            lambda user, query: memory.search(query, filters={"user_id": user}),
            lambda: [sum(map(len, memory.vector_store.of.values()))],
        )
        memory.close()
