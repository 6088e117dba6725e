"""What stands before every reranker: its places, its deadline, and a look at what it answers."""

from collections.abc import Sequence

import numpy as np

from perdure.errors import ProviderOutputError
from perdure.protocols import Reranker
from perdure.runtime.foreign import answering, awaitable
from perdure.runtime.limits import Pool
from perdure.runtime.numbers import as_numbers


class GuardedReranker:
    """A reranker within limits, that gives each text a finite score or raises ProviderError, and nothing else."""

    def __init__(self, reranker: Reranker, pool: Pool) -> None:
        self._reranker = reranker
        self._who = f"reranker {reranker.name}"
        self._pool = pool

    @property
    def name(self) -> str:
        """How the reranker is called in messages."""
        return self._reranker.name

    async def prepare(self) -> None:
        """Load the model, where it wants that before it is used."""
        prepare = getattr(self._reranker, "prepare", None)
        if prepare is not None:
            with answering(self._who):
                await awaitable(prepare(), "prepare", self._who)

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Return a score for each text. Raises ProviderTimeoutError, ProviderOutputError or ProviderError."""
        if not texts:
            return []

        async def asked() -> object:
            with answering(self._who):
                return await awaitable(self._reranker.rerank(query, list(texts)), "rerank", self._who)

        return self._checked(await self._pool.run(asked, provider=self.name), len(texts))

    def _checked(self, answer: object, count: int) -> Sequence[float]:
        try:
            scores = as_numbers(answer, np.float64)
        except (TypeError, ValueError) as error:
            raise self._unusable(f"{type(answer).__name__}, which is no list of numbers") from error
        if scores.shape != (count,):
            raise self._unusable(f"scores of shape {scores.shape} for {count} texts")
        if not np.isfinite(scores).all():
            raise self._unusable("scores that are not finite")
        return scores.tolist()

    def _unusable(self, what: str) -> ProviderOutputError:
        return ProviderOutputError(f"The reranker {self.name} returned {what}.", hint="It returns a number per text.")
