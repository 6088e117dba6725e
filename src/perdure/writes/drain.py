"""The drain of one lane: batches go into the store in order until nothing is left, whatever happens on the way."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from time import monotonic

from perdure.errors import (
    ConflictError,
    JournalError,
    PerdureError,
    StatementRejectedError,
    StoreError,
    StoreUnavailableError,
)
from perdure.protocols import GraphStore
from perdure.records import Batch
from perdure.runtime.home import cancelled
from perdure.telemetry import WRITES
from perdure.values import redacted
from perdure.writes import batch as decide
from perdure.writes.lanes import Lane
from perdure.writes.receipts import Receipt

Settle = Callable[[Lane, int, PerdureError | None], Callable[[], Awaitable[None]] | None]
"""Take writes out of a lane with their outcome; what it returns is to be done before the next is sent."""
CRASHES_BEFORE_BLAME = 3
TRIES_ALONE = 20
SECONDS_BETWEEN_WARNINGS = 60.0


class Drain:
    """Commits one lane's writes, one batch at a time.

    * The store cannot answer: the same batch again, after a pause, for as long as it takes.
    * The store refuses a batch: smaller parts in order, until the bad statement stands alone and is settled as failed.
    * The store's adapter itself breaks: reported and tried again; after three times in a row the batch is treated as
      refused, so that a statement that breaks its adapter ends alone as well.
    """

    def __init__(  # noqa: PLR0913  what a drain needs, by name
        self, lane: Lane, store: GraphStore, settle: Settle, *, owner: str, epoch: int, max_batch: int, max_bytes: int
    ) -> None:
        self.lane = lane
        self.in_flight = 0
        self.batches = 0
        self.retried = 0
        self._store = store
        self._settle = settle
        self._name = f"{owner}/{lane.number}"
        self._epoch = epoch
        self._max_batch = max_batch
        self._max_bytes = max_bytes
        self._parts: list[int] = []
        self._limit = max_batch
        self._attempt = 0
        self._tries_alone = 0
        self._crashes = 0
        self._before_next: Callable[[], Awaitable[None]] | None = None
        self._warned_at = -SECONDS_BETWEEN_WARNINGS

    @property
    def name(self) -> str:
        """The lane's name in the store."""
        return self._name

    async def run(self) -> None:
        """Drain until cancelled; restart what crashes."""
        while True:
            try:
                await self._keep_what_failed()
                await self.lane.ready()
                await self._send(self._next())
            except JournalError as error:
                await self._stuck(error)
            except asyncio.CancelledError as error:
                if cancelled():
                    raise
                await self._crashed(error)
            except (KeyboardInterrupt, SystemExit, GeneratorExit):
                raise
            except BaseException as error:  # noqa: BLE001  the drain's rim: an adapter's panic must not end it either
                await self._crashed(error)
            if cancelled():
                raise asyncio.CancelledError

    def _next(self) -> list[Receipt]:
        """Return the next part of a batch that is being split, or a fresh batch."""
        limit = self._parts[0] if self._parts else self._limit
        return decide.take(self.lane.queue, limit, self._max_bytes)

    async def _send(self, receipts: list[Receipt]) -> None:
        self.in_flight = len(receipts)
        try:
            applied = await self._store.apply(Batch(self._name, self._epoch, [receipt.entry for receipt in receipts]))
        except StoreUnavailableError as error:
            await self._again(error, receipts)
        except StatementRejectedError as error:
            self._refused(error, len(receipts))
        except ConflictError as error:
            self._done(len(receipts), error)
        else:
            self.batches += 1
            self._done(applied, None)
        finally:
            self.in_flight = 0

    def _done(self, count: int, error: PerdureError | None) -> None:
        """Settle the first `count` writes, and go back to full batches once a split one is through."""
        self._attempt = self._crashes = self._tries_alone = 0
        if self._parts:
            rest = self._parts[0] - count
            self._parts[:1] = [rest] if rest > 0 else []
        if not self._parts:
            self._limit = min(self._limit * 2, self._max_batch)
        self._before_next = self._settle(self.lane, count, error)

    async def _keep_what_failed(self) -> None:
        """Have the journal keep what failed before the lane's mark passes it by."""
        if self._before_next is not None:
            await self._before_next()
            self._before_next = None

    async def _stuck(self, error: JournalError) -> None:
        """Wait for a journal that cannot be read or written."""
        self._attempt += 1
        if monotonic() - self._warned_at >= SECONDS_BETWEEN_WARNINGS:
            self._warned_at = monotonic()
            WRITES.error("lane %d waits for the journal: %s", self.lane.number, error)
        await asyncio.sleep(decide.pause(self._attempt, "wait"))

    def _refused(self, error: StoreError, count: int) -> None:
        if count == 1:
            self._done(1, error)
            return
        position = error.position if isinstance(error, StatementRejectedError) else None
        rest = self._parts[0] - count if self._parts else 0
        self._parts[:1] = decide.split(count, position) + ([rest] if rest > 0 else [])

    async def _again(self, error: StoreUnavailableError, receipts: list[Receipt]) -> None:
        count = len(receipts)
        self._attempt += 1
        self.retried += 1
        self._tries_alone = self._tries_alone + 1 if error.relief == "smaller" and count == 1 else 0
        if error.relief == "smaller" and (count > 1 or self._tries_alone >= TRIES_ALONE):
            self._shrink(error, count)
            return
        self._warn(error, receipts)
        await asyncio.sleep(decide.pause(self._attempt, error.relief))

    def _shrink(self, error: StoreUnavailableError, count: int) -> None:
        """Send less at a time; a write that is too much even alone, again and again, has failed."""
        if count == 1:
            self._done(1, error)
        self._limit = max(1, count // 2)
        self._parts.clear()

    def _warn(self, error: StoreUnavailableError, receipts: list[Receipt]) -> None:
        if error.relief != "again" and monotonic() - self._warned_at >= SECONDS_BETWEEN_WARNINGS:
            self._warned_at = monotonic()
            shown = redacted(error, {"": [receipt.entry.parameters for receipt in receipts]})
            WRITES.warning(
                "lane %d waits for %s with %d writes queued; trying %d of them again (attempt %d): %s",
                self.lane.number, self._store.name, len(self.lane), len(receipts), self._attempt, shown.message,
            )  # fmt: skip

    async def _crashed(self, error: BaseException) -> None:
        self._crashes += 1
        self.retried += 1
        WRITES.error("the drain of lane %d crashed (%s) and restarts", self.lane.number, type(error).__name__)
        WRITES.debug("it crashed here:\n%s", "".join(traceback.format_tb(error.__traceback__)))
        if self._crashes % CRASHES_BEFORE_BLAME == 0 and self.lane.queue:
            self._refused(
                StatementRejectedError(f"{self._store.name} failed unexpectedly: {type(error).__name__}"),
                len(self._next()),
            )
        await asyncio.sleep(decide.pause(self._crashes, "wait"))
