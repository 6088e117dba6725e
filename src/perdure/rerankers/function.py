"""A user's own function as a reranker."""

from collections.abc import Callable, Sequence
from typing import Any

from perdure.runtime.functions import Function
from perdure.runtime.threads import Threads


class FunctionReranker:
    """Calls `function(query, texts)`, which returns a score for each text; async or, in one of the threads, plain."""

    def __init__(self, function: Callable[..., Any], *, threads: Threads) -> None:
        self._function = Function(function, ("query", "texts"), threads)
        self.name = self._function.name

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Return what the function returns."""
        return await self._function(query, list(texts))
