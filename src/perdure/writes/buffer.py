"""BufferedWriter: accepts writes at once and commits them in the background, in order and in batches."""

import asyncio
import contextlib
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Any, Self, Unpack

from perdure.errors import ClosedError, ConfigError, ConflictError, PerdureError, StoreError
from perdure.journal.memory import MemoryJournal
from perdure.protocols import GraphStore, Journal
from perdure.records import CloseReport, FlushSummary, JournalEntry, RecoveryReport, WriteError, WriteStats
from perdure.runtime.home import Home
from perdure.settings import WriteOptions, WriteSection
from perdure.telemetry import WRITES
from perdure.values import redacted
from perdure.writes.acceptance import Acceptance
from perdure.writes.dead_letters import DeadLetters
from perdure.writes.drain import Drain
from perdure.writes.failures import WriteErrors
from perdure.writes.intake import Write, check, own
from perdure.writes.lanes import Lane
from perdure.writes.ledger import Ledger
from perdure.writes.receipts import Receipt
from perdure.writes.recovery import recover
from perdure.writes.tail import Tail
from perdure.writes.turn import Turn

SECONDS_TO_TIDY = 2.0


class BufferedWriter:
    """Takes Cypher writes without making the caller wait, and commits them in order, in batches, exactly once.

    Works over any connected GraphStore; keywords are those of `MemorySettings.memory`. It belongs to the event loop
    and process that started it: every call from another loop, from no loop, or after a fork raises ConfigError.

    * `write_mode="sync"` (default): `submit` awaits the commit and raises what the store says.
    * `"buffered"`, `"deferred"`: `submit` returns a receipt once the write is accepted, which means: once `journal`
      has it (by default that is memory). Outcomes are on the receipt, in `errors`, and told to `on_error`.

    Close it, or use `async with`: leaving the block drains, also when an exception leaves with it. If close is
    forgotten, the end of the event loop stops the drain at once; what was not committed is logged and announced by a
    ResourceWarning, and stays in the journal, where that is on disk.
    """

    def __init__(self, store: GraphStore, *, journal: Journal | None = None, **options: Unpack[WriteOptions]) -> None:
        self._settings = settings = WriteSection(**options)
        self._store = store
        self._journal: Journal = journal or MemoryJournal()
        self._ledger = Ledger(settings)
        self._acceptance = Acceptance(settings, self._journal, self._ledger)
        self._drains: list[Drain] = []
        self._writing = 0
        self._turn = Turn()
        self._home: Home | None = None
        self._runner: asyncio.Task[None] | None = None
        self._closed = False
        self._close_lock = asyncio.Lock()
        self._report: CloseReport | None = None
        self._recovery = RecoveryReport()

    async def start(self) -> Self:
        """Take the journal over and begin to drain what is in it.

        Raises ClosedError after close, ConfigError when it was started already, JournalError when the journal cannot
        be used, and StoreUnavailableError when the store cannot say how far the journal's writes are applied.
        """
        if self._closed:
            raise ClosedError("The writer is closed; make a new one.")
        if self._home is not None:
            raise ConfigError("The writer is started already.")
        self._home = self._acceptance.home = Home()
        try:
            await self._recover()
            if self.is_buffered or self.pending:
                self._runner = asyncio.create_task(self._run(), name="perdure writes")
                await asyncio.sleep(0)  # a task that is cancelled before its first step would report nothing
        except BaseException:
            self._closed = True
            await self._stop()
            await self._journal.close()
            raise
        return self

    async def _recover(self) -> None:
        epochs: Mapping[int, int] = {}
        if self._journal.durable:
            recovery = await recover(self._store, self._journal, self._acceptance, self._tail)
            self._recovery, epochs = recovery.report, recovery.epochs
        else:
            await self._journal.open()
        self._drains = [self._drain(lane, epochs) for lane in self._acceptance.lanes]

    def _tail(self, lane: int) -> Tail:
        return Tail(
            self._journal,
            lane,
            self._acceptance.hurry,
            max_batch=self._settings.max_batch,
            max_batch_bytes=self._settings.max_batch_bytes,
        )

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _drain(self, lane: Lane, epochs: Mapping[int, int]) -> Drain:
        return Drain(
            lane,
            self._store,
            self._settle,
            owner=self._journal.identity,
            epoch=epochs.get(lane.number, self._journal.epoch),
            max_batch=self._settings.max_batch,
            max_bytes=self._settings.max_batch_bytes,
        )

    async def _run(self) -> None:
        """Own every background task of the writer; whatever ends it, nothing accepted goes unreported."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._ledger.notifier.run(), name="perdure on_error")
                for drain in self._drains:
                    tasks.create_task(drain.run(), name=f"perdure lane {drain.lane.number}")
        except (KeyboardInterrupt, SystemExit):
            return  # the task it came from has raised it through the event loop already
        finally:
            if self._home is not None and not self._home.left:  # a forked child that ends leaves it to its parent
                self._abandon()

    async def close(self, timeout: float | None = None) -> CloseReport:  # noqa: ASYNC109  the surface's own name
        """Refuse further writes, commit those accepted, stop, and report.

        Waits at most `timeout` seconds (None: `close_timeout_seconds`). What is not committed by then stays in the
        journal, where that is on disk, and is committed after the next start; otherwise it has failed and stands in
        `errors`. Either way its receipts raise ClosedError and the report counts it. Safe to call again and from
        several tasks; the first call's report is everybody's. If it is cancelled, the drain stops at once and what is
        left is reported the same way.
        """
        self._check_home()
        self._closed = True
        self._acceptance.room.shut()
        async with self._close_lock:
            if self._report is None:
                await self._shut_down(self._settings.close_timeout_seconds if timeout is None else timeout)
            return self._report or self._ledger.closing_report(kept=self._journal.durable)

    async def _shut_down(self, limit: float | None) -> None:
        try:
            async with asyncio.timeout(limit):
                await self._wait_until_settled(None)
                await self._ledger.notifier.finished()
        except TimeoutError:
            WRITES.warning("close stopped after %s s with %d writes not committed", limit, self.pending)
        finally:
            await self._stop()
            self._ledger.lose(self._writing)
            self._report = self._ledger.closing_report(kept=self._journal.durable)
            await self._journal.close()
        await self._tidy()

    async def _stop(self) -> None:
        if self._runner is not None and not self._runner.done():
            self._runner.cancel()
            await asyncio.wait([self._runner])

    async def _tidy(self) -> None:
        """Remove our lanes' marks from the store when nobody will need them again."""
        used = [drain.name for drain in self._drains if drain.batches]
        if used and not self._journal.durable and not self._ledger.abandoned:
            with contextlib.suppress(PerdureError, TimeoutError):
                async with asyncio.timeout(SECONDS_TO_TIDY):
                    await self._store.forget_lanes(used)

    def _abandon(self) -> None:
        """Settle what no drain will settle any more."""
        expected, self._closed = self._closed, True
        self._acceptance.room.shut()
        left = self._acceptance.room.count
        where = "it is kept in the journal" if (kept := self._journal.durable) else "it was held in memory only"
        error = ClosedError(f"The writer was closed before this write was committed; {where}.")
        self._ledger.abandon(self._acceptance.end(error), left, error, kept=kept)
        if not expected:
            if left:
                WRITES.error(
                    "the event loop ended before close, with %d accepted writes not committed: %s", left, where
                )
            warnings.warn(f"{self!r} was not closed", ResourceWarning, stacklevel=2)
            self._journal.abandon()

    async def submit(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  the surface's own name
    ) -> Receipt:
        """Accept a write and return its receipt; in sync mode, commit it first.

        Buffered writes with the same `key` (None is a key of its own) are committed in the order they were submitted.
        `parameters` are copied: changing them afterwards changes nothing. The same `idempotency_key` again returns
        the first receipt. With no room among the pending writes it waits, at most `timeout` seconds; in sync mode,
        where each call awaits its own commit, neither `key` nor `timeout` means anything.

        Raises InputError before anything is sent when the statement or its parameters cannot work; QueueFullError
        when there is no room in time, or at once under `on_full="raise"`; ClosedError after close; ConflictError when
        the idempotency key came with another write. In sync mode StatementRejectedError and StoreUnavailableError.

        A caller cancelled while it waits for room leaves nothing behind; one cancelled once there is room for it leaves
        a whole write.
        """
        started = monotonic()
        self._check_open()
        write = check(statement, parameters, key, idempotency_key, self._acceptance.room.max_bytes)
        earlier = self._acceptance.repeats.find(write)
        if not self.is_buffered:
            return await (earlier.outcome() if earlier else self._write_through(write, started))
        return earlier or await self._queue(write, started, timeout)

    async def submit_own(self, statement: str, parameters: dict[str, Any], key: str) -> Receipt:
        """Submit a write of typed memory to the queue: its values are checked already, and are not copied."""
        started = monotonic()
        self._check_open()
        return await self._queue(own(statement, parameters, key, self._acceptance.room.max_bytes), started, None)

    async def _queue(self, write: Write, started: float, timeout: float | None) -> Receipt:  # noqa: ASYNC109  as submit
        receipt = await self._acceptance.when_there_is_room(write, started, timeout)
        if receipt.state == "submitted":
            return await receipt.accepted()
        if self._turn.was_long():
            await self._turn.end(sending=any(drain.in_flight for drain in self._drains))
        return receipt

    def try_submit(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Submit a write without ever waiting, also from code that cannot await; otherwise as `submit`.

        With a journal on disk the receipt is `submitted` until the journal has it: `await receipt.accepted()` where
        that matters. Raises QueueFullError when there is no room now, and ConfigError in sync mode, where there is no
        queue.
        """
        started = monotonic()
        self._check_open()
        if not self.is_buffered:
            raise ConfigError(
                "try_submit cannot wait for a commit, which write_mode 'sync' asks for.",
                hint="Set write_mode to 'buffered', or await submit.",
            )
        write = check(statement, parameters, key, idempotency_key, self._acceptance.room.max_bytes)
        earlier = self._acceptance.repeats.find(write)
        return earlier or self._acceptance.now(write, started)

    async def _write_through(self, write: Write, started: float) -> Receipt:
        """Commit a write before returning: sync mode. What an earlier process left in the journal goes first."""
        if self._acceptance.room.count:
            await self._wait_until_settled(None)
        receipt = self._acceptance.receipt(write, 0)
        receipt.keep()
        self._acceptance.repeats.remember(write, receipt)
        self._writing += 1
        try:
            await self._store.write(write.statement, write.parameters)
        except StoreError as error:
            shown = redacted(error, write.parameters)
            self._ledger.refuse(receipt, shown)
            raise shown from None
        except BaseException as error:
            self._ledger.refuse(receipt, error)
            raise
        finally:
            self._writing -= 1
        self._ledger.commit([receipt], started)
        return receipt

    def _settle(self, lane: Lane, count: int, error: PerdureError | None) -> Callable[[], Awaitable[None]] | None:
        """Take the first writes of a lane out of the queue, with their outcome; see drain.Settle."""
        settled = lane.pop(count)
        failures = self._ledger.commit(settled) if error is None else self._ledger.fail(settled, error)
        self._acceptance.release(settled)
        if error is None:
            self._journal.settle(lane.number, settled[-1].seq)
        elif not isinstance(error, ConflictError):  # a newer owner has the journal now, and these writes in it
            return partial(self._bury, [receipt.entry for receipt in settled], failures)
        return None

    async def _bury(self, entries: Sequence[JournalEntry], failures: Sequence[WriteError]) -> None:
        for entry, failure in zip(entries, failures, strict=True):
            code = failure.error.code if isinstance(failure.error, PerdureError) else "unknown"
            await self._journal.bury(entry, str(failure.error), code)

    async def flush(self, timeout: float | None = None) -> FlushSummary:  # noqa: ASYNC109  the surface's own name
        """Wait until every write accepted before this call is settled, at most `timeout` seconds, and sum up.

        The summary counts those writes, and the ones settled since the flush before. Writes accepted meanwhile are
        not waited for. After the timeout `unsettled` says how many are still queued; nothing is dropped, nor when the
        flush is cancelled.
        """
        self._check_home()
        return await self._wait_until_settled(timeout)

    wait_for_pending = flush

    async def _wait_until_settled(self, timeout: float | None) -> FlushSummary:  # noqa: ASYNC109  as flush
        self._acceptance.hurry_all()
        return await self._ledger.flushes.wait(self._acceptance.next_seq - 1, self.pending, timeout)

    @property
    def dead_letters(self) -> DeadLetters:
        """Where writes that failed for good are listed, sent again, or dropped."""
        return DeadLetters(self._journal, self._acceptance, self._check_open, drains=self.is_buffered)

    @property
    def redriven(self) -> int:
        """How many dead letters were sent again."""
        return self._acceptance.redriven

    def journal_health(self) -> tuple[str, str]:
        """Return where accepted writes are kept, and why the journal takes no more of them, if it does not."""
        return self._journal.name, self._journal.trouble

    @property
    def recovery(self) -> RecoveryReport:
        """What was found in the journal at the start."""
        return self._recovery

    @property
    def errors(self) -> WriteErrors:
        """The newest writes that failed for good, newest last; readable after close as well."""
        return self._ledger.errors

    @property
    def pending(self) -> int:
        """Writes accepted and not settled, those in flight among them."""
        return self._writing + self._acceptance.room.count

    @property
    def identity(self) -> str:
        """The journal's name: no other writer has it at the same time."""
        return self._journal.identity

    @property
    def is_buffered(self) -> bool:
        """Whether `submit` returns before the commit."""
        return self._settings.write_mode != "sync"

    def stats(self) -> WriteStats:
        """Return the writer's gauges and counters now; latencies are in seconds over the latest 2,048 writes."""
        oldest = [lane.queue[0].accepted_at for lane in self._acceptance.lanes if lane.queue]
        return WriteStats(
            pending=self.pending,
            in_flight=sum(drain.in_flight for drain in self._drains),
            committed=self._ledger.committed,
            failed=self._ledger.failed,
            retried=sum(drain.retried for drain in self._drains),
            batches=sum(drain.batches for drain in self._drains),
            pending_bytes=self._acceptance.room.bytes,
            high_water=self._acceptance.room.high_water,
            oldest_pending_seconds=monotonic() - min(oldest) if oldest else None,
            accept_latency=self._ledger.accept_latency(),
            commit_latency=self._ledger.commit_latency(),
        )

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._home else "not started"
        return f"<BufferedWriter {self._settings.write_mode} over {self._store.name}, {state}, {self.pending} pending>"

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("The writer is closed; it accepts no more writes.")
        if self._home is None:
            raise ClosedError("The writer is not started.", hint="Use it in `async with`, or call start() first.")
        self._home.check()

    def _check_home(self) -> None:
        if self._home is not None:
            self._home.check()
