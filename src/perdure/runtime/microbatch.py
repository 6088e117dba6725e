"""One call for several callers: whoever has to wait for a place anyway goes along with the next call that waits."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar, cast

from perdure.errors import PerdureError
from perdure.runtime.limits import Pool

T = TypeVar("T")
A = TypeVar("A")
Verdict = Literal["answered", "again", "alone"]


class Answer(NamedTuple, Generic[A]):
    """What a call returned, and from which item on that is about what was asked."""

    whole: A
    first: int


class _Batch(Generic[T, A]):
    """What one call is about, and those who wait for it besides the one who makes it."""

    def __init__(self, items: Sequence[T]) -> None:
        self.items = list(items)
        self.answer: A | None = None
        self.others: list[asyncio.Future[Verdict]] = []

    def join(self, items: Sequence[T]) -> asyncio.Future[Verdict]:
        """Have the call be about these as well; return what tells whether it was."""
        verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self.others.append(verdict)
        self.items += items
        return verdict

    def end(self, verdict: Verdict) -> None:
        for other in self.others:
            if not other.done():
                other.set_result(verdict)

    def fail(self, error: PerdureError) -> None:
        for other in self.others:
            if not other.done():
                other.set_exception(error)


class Microbatch(Generic[T, A]):
    """Makes calls within a pool's limits; one that waits for its place takes along what is asked meanwhile.

    Nobody waits for company: where there is a place, a call begins at once. One is about at most `most` items. When
    it fails, what it was about is asked for each caller alone, unless the error says that trying again helps: then it
    is everybody's. A caller that is cancelled leaves the others as they are.
    """

    def __init__(self, call: Callable[[list[T]], Awaitable[A]], pool: Pool, most: int, *, provider: str = "") -> None:
        self._call = call
        self._pool = pool
        self._most = most
        self._provider = provider
        self._waiting: _Batch[T, A] | None = None

    async def ask(self, items: Sequence[T]) -> Answer[A]:
        """Return what the call returns, or raise what it raises."""
        while (batch := self._waiting) is not None and len(batch.items) + len(items) <= self._most:
            first = len(batch.items)
            verdict = await batch.join(items)
            if verdict == "answered":
                return Answer(cast("A", batch.answer), first)
            if verdict == "alone":
                return await self._alone(items)
        return await self._lead(_Batch(items), items)

    def part(self) -> None:
        """Have nothing that is asked from now on go along with what waits already."""
        self._waiting = None

    async def _lead(self, batch: _Batch[T, A], items: Sequence[T]) -> Answer[A]:
        if len(items) < self._most:
            self._waiting = batch
        verdict: Verdict = "again"
        try:
            batch.answer = await self._pool.run(lambda: self._begin(batch), provider=self._provider)
            verdict = "answered"
        except PerdureError as error:
            if error.retryable or not batch.others:
                batch.fail(error)
                raise
            verdict = "alone"
        finally:
            self._let_nobody_join(batch)
            batch.end(verdict)
        return Answer(cast("A", batch.answer), 0) if verdict == "answered" else await self._alone(items)

    async def _alone(self, items: Sequence[T]) -> Answer[A]:
        return Answer(await self._pool.run(lambda: self._call(list(items)), provider=self._provider), 0)

    def _begin(self, batch: _Batch[T, A]) -> Awaitable[A]:
        self._let_nobody_join(batch)
        return self._call(batch.items)

    def _let_nobody_join(self, batch: _Batch[T, A]) -> None:
        if self._waiting is batch:
            self._waiting = None
