"""Stand-ins that answer after a fixed time, alike for everybody: what is left of a wait is the pipeline's own.

They answer an `await`, as Perdure asks them; mem0_stubs has the same for mem0, whose providers are plain functions.
A language model finds two new statements in whatever it is given, so that nothing is left out as known.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stores import NullStore
from perdure.graph.memories import TEXTS
from perdure.records import Batch, VectorHit, VectorQuery, VectorRecord
from perdure.testing import FakeVectorStore

MODEL_SECONDS, EMBEDDER_SECONDS, STORE_SECONDS = 0.300, 0.020, 0.010
DIMENSION = 256
STATEMENTS = 2
"""What the language model finds in each add."""
_numbers = count()


def statements() -> list[str]:
    """Return what was never said before."""
    number = next(_numbers)
    return [f"The user went to concert {number} with Anna.", f"The user would like to hear song {number} again."]


class StubModel:
    """A LanguageModel."""

    name = "a stub"

    async def complete(self, _messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None) -> str:
        """Return new statements, one of which names somebody."""
        del schema
        await asyncio.sleep(MODEL_SECONDS)
        names: tuple[list[str], list[str]] = (["Anna"], [])
        found = [{"text": text, "turn": 1, "entities": named} for text, named in zip(statements(), names, strict=True)]
        return json.dumps({"statements": found, "relations": []})


class StubEmbedder:
    """An Embedder to which everything means the same."""

    name = "stub"
    dimension = DIMENSION

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a row for each text."""
        await asyncio.sleep(EMBEDDER_SECONDS)
        return np.full((len(texts), DIMENSION), DIMENSION**-0.5, dtype=np.float32)


class StubGraph(NullStore):
    """A GraphStore that keeps new memories, and has only these to return."""

    def __init__(self) -> None:
        super().__init__()
        self.memories: dict[str, Mapping[str, Any]] = {}

    async def read(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return memories by their ids."""
        await asyncio.sleep(STORE_SECONDS)
        if statement != TEXTS["memories"]:
            return []
        return [{"m": {**self.memories[key]}} for key in parameters["ids"] if key in self.memories]

    async def write(self, _statement: str, _parameters: Mapping[str, Any]) -> None:
        """Acknowledge."""
        await asyncio.sleep(STORE_SECONDS)

    async def apply(self, batch: Batch) -> int:
        """Keep the new memories of a batch."""
        await asyncio.sleep(STORE_SECONDS)
        for entry in batch.entries:
            for row in entry.parameters.get("added", ()):
                self.memories[row["id"]] = row["memory"]
        return len(batch.entries)


class StubVectors(FakeVectorStore):
    """A VectorStore that finds the first of an owner's records, whatever is asked."""

    def __init__(self) -> None:
        super().__init__()
        self._of: defaultdict[str, dict[str, VectorRecord]] = defaultdict(dict)

    async def upsert(self, records: Sequence[VectorRecord], *, mark: str | None = None) -> None:
        """Keep records."""
        await asyncio.sleep(STORE_SECONDS)
        del mark
        for record in records:
            self._of[record.owner][record.id] = record

    async def search(self, query: VectorQuery) -> Sequence[VectorHit]:
        """Return them."""
        await asyncio.sleep(STORE_SECONDS)
        return [
            VectorHit(record.id, record.kind, 0.5, 1.0)
            for record in islice(self._of[query.owner].values(), query.limit)
        ]

    def found(self) -> int:
        """Return how many records are findable."""
        return sum(map(len, self._of.values()))
