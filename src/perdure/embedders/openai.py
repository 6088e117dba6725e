"""Embedding models behind OpenAI's API: OpenAI's own, and every server that speaks it."""

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from openai import Omit, omit
from openai.types import CreateEmbeddingResponse

from perdure.errors import ConfigError, ProviderOutputError
from perdure.llms.openai import IS_IT_AN_API, OpenAIServer, mapped

DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
TEXTS_AT_A_TIME = 256
CHARACTERS_AT_A_TIME = 300_000
LONGEST_TEXT = 24_000
"""Characters: OpenAI's models take 8,192 tokens a text and 300,000 a request, which few texts of this length exceed."""


class OpenAIEmbedder:
    """A model behind OpenAI's embeddings API.

    Of a text longer than 24,000 characters the first so many count. `dimensions` shortens the vectors, where the model
    can do that; without it they are as long as OpenAI says, and those of a model it does not have are measured once.
    """

    def __init__(self, model: str, server: OpenAIServer, *, seconds: float, dimensions: int | None = None) -> None:
        self.name = f"openai:{model}{f'@{dimensions}' if dimensions else ''}"
        self._model = model
        self._server = server
        self._seconds = seconds
        self._asked_for: int | Omit = omit if dimensions is None else dimensions
        self._dimension = dimensions or DIMENSIONS.get(model)

    @property
    def dimension(self) -> int:
        """How many numbers a vector has. Raises ConfigError while that is not known."""
        if self._dimension is None:
            raise ConfigError(
                f"How long the vectors of {self.name} are is not known yet.",
                hint="Set openai.dimensions, or await its prepare() first.",
            )
        return self._dimension

    async def prepare(self) -> None:
        """Ask for one vector, if how long they are is not known."""
        if self._dimension is None:
            self._dimension = (await self._request(["dimension"], self._end())).shape[1]

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a row for each text."""
        end = self._end()
        await self.prepare()
        parts = [await self._request(part, end) for part in parted([text[:LONGEST_TEXT] for text in texts])]
        return np.concatenate(parts) if parts else np.zeros((0, self.dimension), dtype=np.float32)

    def _end(self) -> float:
        return asyncio.get_running_loop().time() + self._seconds

    async def _request(self, texts: list[str], end: float) -> NDArray[np.float32]:
        with mapped(f"embedder {self.name}"):
            answer = await self._server.ask(
                lambda client: client.embeddings.create(
                    model=self._model, input=texts, dimensions=self._asked_for, encoding_format="float"
                ),
                end,
            )
            vectors = np.array(_vectors(answer), dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts) or not vectors.size:
            raise ProviderOutputError(
                f"The embedder {self.name} did not send a vector for each of {len(texts)} texts.",
                hint=f"Does the model embed? {IS_IT_AN_API}",
            )
        if self._dimension not in (None, vectors.shape[1]):
            raise ProviderOutputError(
                f"The embedder {self.name} sent vectors of {vectors.shape[1]} numbers, and not of {self._dimension}.",
                hint=f"Set openai.dimensions to {vectors.shape[1]}, or name another model.",
            )
        return vectors


def _vectors(answer: object) -> list[list[float]]:
    """Return an answer's vectors in order; none, if it is none, which the client lets pass."""
    if not isinstance(answer, CreateEmbeddingResponse):
        return []
    return [each.embedding for each in sorted(answer.data or (), key=lambda each: each.index)]


def parted(texts: Sequence[str]) -> list[list[str]]:
    """Return texts in parts that one request may hold."""
    parts: list[list[str]] = []
    size = 0
    for text in texts:
        if not parts or size + len(text) > CHARACTERS_AT_A_TIME or len(parts[-1]) == TEXTS_AT_A_TIME:
            parts.append([])
            size = 0
        parts[-1].append(text)
        size += len(text)
    return parts
