"""The stand-ins of `stubs`, and Perdure's static embedder, as mem0 takes them.

They are plain functions, which mem0's AsyncMemory calls in threads. The stand-ins wait with `time.sleep`, as a
provider's client does that waits for a socket in a thread.
"""

import json
from itertools import islice
from time import sleep
from types import SimpleNamespace
from typing import Any

from mem0.embeddings.base import EmbeddingBase
from mem0.llms.base import LLMBase
from mem0.vector_stores.base import VectorStoreBase

from benchmarks.stubs import DIMENSION, EMBEDDER_SECONDS, MODEL_SECONDS, STORE_SECONDS, statements
from perdure.embedders.static import StaticEmbedder


class StubModel(LLMBase):
    """A language model."""

    def generate_response(self, messages: Any, *_given: Any, **_named: Any) -> str:
        """Return new statements."""
        del messages
        sleep(MODEL_SECONDS)
        return json.dumps({"memory": [{"text": text} for text in statements()]})


class StubEmbedder(EmbeddingBase):
    """An embedder to which everything means the same; a batch takes it as long as one text."""

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """Return a vector."""
        return self.embed_batch([text], memory_action)[0]

    def embed_batch(self, texts: list[str], _memory_action: str | None = None) -> list[list[float]]:
        """Return a vector for each text."""
        sleep(EMBEDDER_SECONDS)
        return [[DIMENSION**-0.5] * DIMENSION for _ in texts]


class StubVectors(VectorStoreBase):
    """A vector store that finds the first of a user's records, whatever is asked."""

    def __init__(self, **_options: Any) -> None:
        self.of: dict[str, dict[str, Any]] = {}

    def insert(self, vectors: Any, payloads: Any = None, ids: Any = None) -> None:
        """Keep records."""
        sleep(STORE_SECONDS)
        for vector, payload, name in zip(vectors, payloads, ids, strict=True):
            kept = SimpleNamespace(id=name, score=0.5, payload=payload, vector=vector)
            self.of.setdefault(payload["user_id"], {})[name] = kept

    def search(self, query: Any, vectors: Any, top_k: int = 5, filters: Any = None) -> list[Any]:
        """Return them."""
        del query, vectors
        sleep(STORE_SECONDS)
        return list(islice(self.of.get(filters["user_id"], {}).values(), top_k))

    def keyword_search(self, query: str, top_k: int = 5, filters: Any = None) -> list[Any]:
        """Return them."""
        return self.search(query, None, top_k, filters)

    def create_col(self, *given: Any, **named: Any) -> None:
        """Do nothing."""

    delete = update = get = list_cols = delete_col = col_info = list = reset = create_col


class StaticModel(EmbeddingBase):
    """Perdure's static embedder."""

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self._static = StaticEmbedder()

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """Return a vector."""
        return self.embed_batch([text], memory_action)[0]

    def embed_batch(self, texts: list[str], _memory_action: str | None = None) -> list[list[float]]:
        """Return a vector for each text."""
        return self._static._embed(texts).tolist()  # noqa: SLF001  the part that runs in a thread: so does this
