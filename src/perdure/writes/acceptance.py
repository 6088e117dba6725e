"""From a checked write to an accepted one: its place, its number, its lane, and the journal."""

from collections import deque
from collections.abc import Sequence
from time import monotonic

from perdure.errors import ClosedError, JournalError
from perdure.protocols import Journal
from perdure.records import JournalEntry
from perdure.runtime.home import Home
from perdure.settings import WriteSection
from perdure.writes.intake import Repeats, Write
from perdure.writes.lanes import LaneTable, Pace
from perdure.writes.ledger import Ledger
from perdure.writes.progress import Progress
from perdure.writes.receipts import Receipt
from perdure.writes.room import Room, full


class Acceptance:
    """Accepts writes in the order they come, and hands each to its lane once the journal has it.

    Until then it is `submitted`: it holds a place and a number, and nobody sends it to the store, so that what is in
    the store is in the journal as well.
    """

    def __init__(self, settings: WriteSection, journal: Journal, ledger: Ledger) -> None:
        most = min(settings.max_pending_bytes, journal.max_bytes or settings.max_pending_bytes)
        self.room = Room[Receipt](settings.max_pending, most)
        self.lanes = LaneTable(
            settings.lanes,
            Pace(settings.max_batch, settings.max_batch_bytes, settings.linger_seconds),
            self.room.exhausted,
        )
        self.room.on_exhausted = self.lanes.nudge
        self.repeats = Repeats()
        self.next_seq = 0
        self.redriven = 0
        self.home: Home | None = None
        self._raises = settings.on_full == "raise"
        self._journal = journal
        self._ledger = ledger
        self._progress = Progress()
        self._submitted: deque[Receipt] = deque()
        self._ended: ClosedError | None = None
        journal.on_kept(self.kept)

    async def when_there_is_room(self, write: Write, started: float, timeout: float | None) -> Receipt:  # noqa: ASYNC109  as submit
        """Submit a write now, or when it is its turn; raises QueueFullError as the settings and `timeout` say."""
        if self.room.take(write.size):
            return self._in_its_place(write, started)
        if self._raises and timeout is None:
            raise full(self.room)
        return await self.room.wait(write.size, timeout, lambda: self._in_turn(write, started))

    def now(self, write: Write, started: float) -> Receipt:
        """Submit a write now, or raise QueueFullError."""
        if not self.room.take(write.size):
            raise full(self.room)
        return self._in_its_place(write, started)

    def _in_its_place(self, write: Write, started: float) -> Receipt:
        """Submit a write whose place is taken, or give the place back."""
        try:
            return self._submit(write, started)
        except BaseException:
            self.room.give_back(1, write.size)
            raise

    def _in_turn(self, write: Write, started: float) -> tuple[Receipt, bool]:
        """Submit a write that waited; when the same one came before it meanwhile, it needs no place."""
        earlier = self.repeats.find(write)
        return (earlier, False) if earlier else (self._submit(write, started), True)

    def _submit(self, write: Write, started: float) -> Receipt:
        """Give a write its position in the order, and to the journal."""
        lane = self.lanes.bind(write.key)
        receipt = self.receipt(write, lane.number)
        try:
            kept = self._journal.append(receipt.entry, write.replacing)
        except BaseException:
            self.lanes.release([receipt])
            raise
        self.repeats.remember(write, receipt)
        if kept:
            receipt.keep()
            lane.push(receipt)
            self._ledger.accept_seconds.append(monotonic() - started)
        else:
            self._submitted.append(receipt)
        return receipt

    def kept(self, entries: Sequence[JournalEntry], error: JournalError | None) -> None:
        """Give writes that the journal has to their lanes; those it could not take were not accepted."""
        now = monotonic()
        for _ in entries:
            receipt = self._submitted.popleft()
            if error is not None:
                self._refuse(receipt, error)
                continue
            receipt.keep()
            if self._ended is not None:
                receipt.settle(self._ended)
                continue
            self.lanes[receipt.entry.lane].push(receipt)
            self._ledger.accept_seconds.append(now - receipt.accepted_at)

    def _refuse(self, receipt: Receipt, error: JournalError) -> None:
        self._ledger.withdraw(receipt, error)
        self.release([receipt])

    def receipt(self, write: Write, lane: int) -> Receipt:
        """Return a receipt with the next number."""
        entry = JournalEntry(
            self.next_seq, lane, write.key, write.statement, write.parameters, write.size, 0.0, write.failures
        )
        self.next_seq += 1
        return Receipt(entry, monotonic(), self.hurry)

    def release(self, settled: Sequence[Receipt]) -> None:
        """Free the places and the keys of writes that have their outcome."""
        self.lanes.release(settled)
        self._progress.settled(len(settled), self.room.count - len(settled))
        if self.room.give_back(len(settled), sum(receipt.entry.size for receipt in settled)):
            for lane in self.lanes:
                lane.linger_anew()

    def hurry(self, receipt: Receipt) -> None:
        """Have a write committed without waiting for company. Raises ConfigError away from the writer's home."""
        if self.home is not None:
            self.home.check()
        self.lanes[receipt.entry.lane].hurry(receipt.seq)

    def hurry_all(self) -> None:
        """Have everything that is accepted committed without waiting for company."""
        for lane in self.lanes:
            lane.hurry(self.next_seq - 1)

    def end(self, error: ClosedError) -> Sequence[Receipt]:
        """Take out of the queues all that no drain will settle any more; return what somebody may wait for.

        What the journal has not taken yet will get this error when it has.
        """
        self._ended = error
        left: list[Receipt] = []
        for lane in self.lanes:
            left += lane.pop(len(lane.queue))
            left += lane.tail.held() if lane.tail else ()
        return left
