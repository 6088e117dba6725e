"""What stands before every language model: its places, its deadline, and a look at what it answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from perdure.errors import ProviderOutputError
from perdure.protocols import LanguageModel
from perdure.runtime.foreign import answering, awaitable
from perdure.runtime.limits import Pool


class GuardedLanguageModel:
    """A language model within limits, that answers in text or raises ProviderError, and nothing else."""

    def __init__(self, model: LanguageModel, pool: Pool) -> None:
        self._model = model
        self._who = f"language model {model.name}"
        self._pool = pool

    @property
    def name(self) -> str:
        """How the model is called in messages."""
        return self._model.name

    async def complete(self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None) -> str:
        """Return the answer. Raises ProviderTimeoutError, RateLimitError, ProviderOutputError or ProviderError."""

        async def asked() -> object:
            with answering(self._who):
                return await awaitable(self._model.complete(messages, schema=schema), "complete", self._who)

        answer = await self._pool.run(asked, provider=self.name)
        if not isinstance(answer, str) or not answer.strip():
            what = "an empty answer" if isinstance(answer, str) else f"{type(answer).__name__}, which is no text"
            raise ProviderOutputError(f"The {self._who} returned {what}.", hint="It returns its answer as text.")
        return answer
