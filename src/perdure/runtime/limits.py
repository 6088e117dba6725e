"""How much of each kind of work goes on at the same time, and how long each piece may take."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol, TypeVar

from perdure.errors import PerdureError, ProviderTimeoutError, StoreUnavailableError
from perdure.runtime.deadlines import Deadlines
from perdure.runtime.threads import Threads
from perdure.runtime.together import together

T = TypeVar("T")


class PoolStats(NamedTuple):
    """What a pool does at a moment, and what it has done."""

    concurrency: int
    """How many calls may run at the same time."""
    running: int
    """How many do."""
    waiting: int
    """How many wait for a place."""
    ended: int
    """How many have ended, one way or another."""
    timed_out: int
    """How many of those because their deadline had passed."""
    threads: int
    """How many threads there are for its blocking work."""
    busy_threads: int
    """How many of these run something, also where nobody waits for it any more."""


class Pool:
    """Bounds one kind of work: at most `concurrency` calls at the same time, each within `deadline_seconds`.

    Places are given in the order they were asked for. The deadline begins with the place, so that a call is not
    punished for those before it; a hung provider costs the calls that it hangs in. A free place costs a few
    microseconds. `error` is the type of what a passed deadline raises.
    """

    def __init__(
        self,
        kind: str,
        concurrency: int,
        deadline_seconds: float | None,
        *,
        error: type[PerdureError] = ProviderTimeoutError,
    ) -> None:
        self.kind = kind
        self.concurrency = concurrency
        self.deadline_seconds = deadline_seconds
        self.running = 0
        self.waiting = 0
        self.ended = 0
        self.timed_out = 0
        self._error = error
        self._places = asyncio.Semaphore(concurrency)
        self._deadlines = Deadlines()

    async def run(self, call: Callable[[], Awaitable[T]], *, provider: str = "") -> T:
        """Wait for a place, then for what `call()` returns; `provider` is what an error says did not answer.

        Raises ProviderTimeoutError (StoreUnavailableError for a store) when the deadline passes; `call` is cancelled.
        """
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        deadline = self._deadlines.within(self.deadline_seconds)
        try:
            with deadline:
                return await call()
        except TimeoutError as error:
            if not deadline.passed:
                raise
            self.timed_out += 1
            raise self._late(provider) from error
        finally:
            self.running -= 1
            self.ended += 1
            self._places.release()

    def stats(self, threads: Threads | None = None) -> PoolStats:
        """Return what it does and has done, and what the threads for it do."""
        alive, busy = (threads.alive, threads.running) if threads else (0, 0)
        return PoolStats(self.concurrency, self.running, self.waiting, self.ended, self.timed_out, alive, busy)

    def _late(self, provider: str) -> PerdureError:
        who = f"{self.kind.replace('_', ' ')}{f' {provider}' if provider else ''}"
        return self._error(
            f"The {who} did not answer within {self.deadline_seconds:g} s.",
            hint=f"Try again; if it needs longer, raise limits.{self.kind}_seconds.",
        )


class LimitOptions(Protocol):
    """What Limits are made from: the settings of `MemorySettings.limits`."""

    language_model_concurrency: int
    language_model_seconds: float
    embedder_concurrency: int
    embedder_threads: int
    embedder_seconds: float
    reranker_concurrency: int
    reranker_seconds: float
    store_concurrency: int
    store_seconds: float


class Limits:
    """The pools of one client, one for each kind of work, and the threads of the kinds that may block.

    `embeds_here` says that the embedder is in this process, so that it has as many places as threads.
    """

    def __init__(self, options: LimitOptions, *, embeds_here: bool = False) -> None:
        self.language_model = Pool("language_model", options.language_model_concurrency, options.language_model_seconds)
        at_once = options.embedder_threads if embeds_here else options.embedder_concurrency
        self.embedder = Pool("embedder", at_once, options.embedder_seconds)
        self.reranker = Pool("reranker", options.reranker_concurrency, options.reranker_seconds)
        self.store = Pool("store", options.store_concurrency, options.store_seconds, error=StoreUnavailableError)
        self.language_model_threads = Threads("language_model", self.language_model.concurrency)
        self.embedder_threads = Threads("embedder", options.embedder_threads)
        self.reranker_threads = Threads("reranker", self.reranker.concurrency)

    def stats(self) -> Mapping[str, PoolStats]:
        """Return what each pool does and has done, by its kind of work."""
        threads = {each.kind: each for each in self._threads()}
        return {
            pool.kind: pool.stats(threads.get(pool.kind))
            for pool in (self.language_model, self.embedder, self.reranker, self.store)
        }

    async def close(self, timeout: float | None = None) -> int:  # noqa: ASYNC109  its caller has a deadline for it all
        """Let the threads end what they do, for at most `timeout` seconds; return how many hang. Safe to call twice."""
        return sum(await together(each.close(timeout) for each in self._threads()))

    def _threads(self) -> tuple[Threads, ...]:
        return self.language_model_threads, self.embedder_threads, self.reranker_threads
