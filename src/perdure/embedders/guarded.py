"""What stands before every embedder: its places, its deadline, and a look at what it answers."""

from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction

import numpy as np
from numpy.typing import NDArray

from perdure.embedders.texts import checked_texts
from perdure.errors import ConfigError, ProviderOutputError
from perdure.protocols import Embedder
from perdure.runtime.foreign import answering, awaitable
from perdure.runtime.limits import Pool
from perdure.runtime.microbatch import Microbatch
from perdure.runtime.numbers import as_numbers
from perdure.vectors import check_dimension

TEXTS_AT_A_TIME = 256
TEXTS_OF_SEVERAL = 64
"""What several callers ask in one call, where each would have to wait for a place."""


class GuardedEmbedder:
    """An embedder within limits, whose answers can be relied on.

    It is asked for at most 256 texts at a time, each time within the deadline, so that a question need not wait for
    a long import. Where callers have to wait, several of them go in one call. A blank text is not sent, and means
    nothing. Raises InputError for what is no text, ProviderTimeoutError, and ProviderOutputError where there is not one
    finite row of its dimension for each text.
    """

    def __init__(self, embedder: Embedder, pool: Pool) -> None:
        self._embedder = embedder
        self._who = f"embedder {embedder.name}"
        self._calls = Microbatch(self._asked, pool, TEXTS_OF_SEVERAL, provider=embedder.name)

    @property
    def name(self) -> str:
        """Which model it is."""
        return self._embedder.name

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return self._embedder.dimension

    async def prepare(self) -> None:
        """Load the model, or ask it for its dimension, where it wants that before it is used.

        Raises ConfigError for a name or a dimension that cannot be.
        """
        prepare: Callable[[], object] | None = getattr(self._embedder, "prepare", None)
        if prepare is not None:
            with answering(self._who):
                await awaitable(prepare(), "prepare", self._who)
        _check_name(self.name)
        check_dimension(self.dimension, least=1)

    async def warm_up(self) -> None:
        """Load a model of this process that is otherwise loaded when it is first asked, if there is such a thing."""
        warm_up: Callable[[], object] | None = getattr(self._embedder, "warm_up", None)
        if iscoroutinefunction(warm_up):
            await warm_up()

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a row for each text."""
        given = checked_texts(texts)
        meant = [place for place, text in enumerate(given) if text and not text.isspace()]
        if len(meant) == len(given) <= TEXTS_AT_A_TIME and given:
            return await self._part(given)
        vectors = np.zeros((len(given), self.dimension), dtype=np.float32)
        for first in range(0, len(meant), TEXTS_AT_A_TIME):
            places = meant[first : first + TEXTS_AT_A_TIME]
            vectors[places] = await self._part([given[place] for place in places])
        return vectors

    async def _part(self, texts: Sequence[str]) -> NDArray[np.float32]:
        answer = await self._calls.ask(texts)
        return answer.whole[answer.first : answer.first + len(texts)]

    async def _asked(self, texts: list[str]) -> NDArray[np.float32]:
        count = len(texts)
        with answering(self._who):
            answer = await awaitable(self._embedder.embed(texts), "embed", self._who)
        return self._checked(answer, count)

    def _checked(self, answer: object, count: int) -> NDArray[np.float32]:
        try:
            vectors = as_numbers(answer, np.float32)
        except (TypeError, ValueError) as error:
            raise self._unusable(f"{type(answer).__name__}, which is no array of numbers") from error
        if vectors.shape != (count, self.dimension):
            raise self._unusable(
                f"an array of shape {vectors.shape} for {count} texts of {self.dimension} numbers each"
            )
        if not np.isfinite(vectors).all():
            raise self._unusable(f"vectors that are not finite, the first of them for texts[{_first_bad(vectors)}]")
        return vectors

    def _unusable(self, what: str) -> ProviderOutputError:
        return ProviderOutputError(
            f"The embedder {self.name} returned {what}.",
            hint="An embedder returns a float32 array with a row for each text, as wide as its `dimension`.",
        )


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"The embedder's name is {name!r}, and it should be a text: which model it is.")


def _first_bad(vectors: NDArray[np.float32]) -> int:
    return int(np.argmin(np.isfinite(vectors).all(axis=1)))
