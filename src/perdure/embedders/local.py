"""Embedders that other libraries load: fastembed and sentence-transformers, each in the threads it is given."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perdure.errors import ConfigError
from perdure.runtime.foreign import LOADING, answering
from perdure.runtime.once import Once
from perdure.runtime.threads import Threads

UNPREPARED = "The embedder's model is not loaded yet."


class _LibraryEmbedder:
    """A model that takes a while to load, and whose dimension is known when it is."""

    library = ""

    def __init__(self, model: str, *, threads: Threads) -> None:
        self.name = f"{self.library}:{model}"
        self._model_name = model
        self._threads = threads
        self._model = Once(self._load)
        self._dimension: int | None = None

    @property
    def dimension(self) -> int:
        """How many numbers a vector has. Raises ConfigError before prepare."""
        if self._dimension is None:
            raise ConfigError(UNPREPARED, hint="Await its prepare() first; a MemoryClient does.")
        return self._dimension

    async def prepare(self) -> None:
        """Load the model, which may download it, and see how long its vectors are. No deadline holds for this."""
        with answering(f"embedder {self.name}", LOADING):
            await self._threads.run(self._measure)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a row for each text."""
        return await self._threads.run(self._embed_measured, list(texts))

    def _embed_measured(self, texts: list[str]) -> NDArray[np.float32]:
        self._measure()
        return self._embed(texts)

    def _measure(self) -> None:
        if self._dimension is None:
            self._dimension = len(self._embed(["dimension"])[0])

    def _load(self) -> Any:
        raise NotImplementedError

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        raise NotImplementedError


class FastEmbedEmbedder(_LibraryEmbedder):
    """Any model that fastembed knows, by onnxruntime, with one thread of its own per call."""

    library = "fastembed"

    def _load(self) -> Any:
        return import_module("fastembed").TextEmbedding(model_name=self._model_name, threads=1)

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        return np.array(list(self._model().embed(texts)), dtype=np.float32)


class SentenceTransformersEmbedder(_LibraryEmbedder):
    """Any model that sentence-transformers loads, on a `device` of torch's: cpu or cuda. Vectors have length one."""

    library = "sentence-transformers"

    def __init__(self, model: str, *, threads: Threads, device: str = "cpu") -> None:
        super().__init__(model, threads=threads)
        self._device = device

    def _load(self) -> Any:
        return import_module("sentence_transformers").SentenceTransformer(self._model_name, device=self._device)

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        vectors = self._model().encode(texts, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(vectors, dtype=np.float32)
