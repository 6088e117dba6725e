"""Cross-encoders that sentence-transformers loads."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from perdure.runtime.foreign import LOADING, answering
from perdure.runtime.once import Once
from perdure.runtime.threads import Threads


class SentenceTransformersCrossEncoder:
    """Scores a query and a text read together, by a model of this name or directory, on cpu or cuda."""

    def __init__(self, model: str, *, threads: Threads, device: str = "cpu") -> None:
        self.name = f"cross-encoder:{model}"
        self._model_name = model
        self._device = device
        self._threads = threads
        self._model = Once(self._read)

    async def prepare(self) -> None:
        """Load the model, which may download it. No deadline holds for this."""
        with answering(f"reranker {self.name}", LOADING):
            await self._threads.run(self._model)

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Return a score for each text."""
        return await self._threads.run(self._score, query, texts)

    def _score(self, query: str, texts: Sequence[str]) -> list[float]:
        scores = self._model().predict([(query, text) for text in texts], show_progress_bar=False)
        return np.asarray(scores, dtype=np.float64).tolist()

    def _read(self) -> Any:
        return import_module("sentence_transformers").CrossEncoder(self._model_name, device=self._device)
