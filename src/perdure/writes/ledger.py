"""Where every write's outcome is entered, once: counted, told to its receipt, to flushes and to the application."""

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic

from perdure.errors import JournalError, PerdureError, StoreError
from perdure.records import CloseReport, Latency, WriteError
from perdure.runtime.notifier import Notifier
from perdure.settings import WriteSection
from perdure.telemetry import WRITES
from perdure.values import redacted
from perdure.writes.failures import WriteErrors
from perdure.writes.flushes import Flushes
from perdure.writes.receipts import Receipt

SAMPLES = 2048


class Ledger:
    """Outcomes and how long they took."""

    def __init__(self, settings: WriteSection) -> None:
        self.errors = WriteErrors(settings.max_write_errors)
        self.notifier = Notifier(
            "on_error", settings.on_error, settings.max_write_errors, lambda error: f"write {error.seq}"
        )
        self.flushes = Flushes()
        self.committed = 0
        self.failed = 0
        self.abandoned = 0
        self.accept_seconds: deque[float] = deque(maxlen=SAMPLES)
        self._commit_seconds: deque[float] = deque(maxlen=SAMPLES)

    def commit(self, settled: Sequence[Receipt], started: float | None = None) -> list[WriteError]:
        """Enter writes that are in the store now; `started` when they were not queued before."""
        now = monotonic()
        for receipt in settled:
            receipt.settle()
            self._commit_seconds.append(now - (started or receipt.accepted_at))
        self.committed += len(settled)
        self.flushes.settle(settled, failed=False)
        return []

    def fail(self, settled: Sequence[Receipt], error: PerdureError) -> list[WriteError]:
        """Enter accepted writes that will not be in the store, unless somebody sends them again."""
        self.failed += len(settled)
        failures = self._report(settled, error)
        for failure in failures:
            WRITES.error("a write failed for good: %s", failure)
        return failures

    def lose(self, count: int) -> None:
        """Count sync writes that were still under way when the time to close ran out."""
        self.abandoned += count

    def abandon(self, left: Sequence[Receipt], count: int, error: PerdureError, *, kept: bool) -> None:
        """Enter accepted writes that outlast the writer: in the journal, where they are no failures, or nowhere."""
        self.abandoned += count
        if not kept:
            self._report(left, error)
            return
        for receipt in left:
            receipt.settle(error)
        self.flushes.abandon()

    def withdraw(self, receipt: Receipt, error: JournalError) -> None:
        """Enter a write that the journal could not take: it was never accepted, and its caller is told."""
        receipt.settle(error)
        self.flushes.withdraw(receipt)

    def refuse(self, receipt: Receipt, error: BaseException) -> None:
        """Enter a write whose caller is told by the exception itself: sync mode."""
        self.failed += 1
        receipt.settle(error if isinstance(error, Exception) else PerdureError("The write was interrupted."))
        self.flushes.settle([receipt], failed=True)

    def _report(self, settled: Sequence[Receipt], error: PerdureError) -> list[WriteError]:
        failures: list[WriteError] = []
        for receipt in settled:
            entry = receipt.entry
            shown = redacted(error, entry.parameters) if isinstance(error, StoreError) else error
            failure = WriteError(entry.statement, entry.parameters, shown, datetime.now(UTC), entry.seq, entry.key)
            receipt.settle(shown)
            self.errors.add(failure)
            self.notifier.add(failure)
            failures.append(failure)
        self.flushes.settle(settled, failed=True)
        return failures

    def closing_report(self, *, kept: bool) -> CloseReport:
        """Sum up the writer's life; `kept` when what is not committed outlives the process."""
        return CloseReport(self.committed, self.failed, self.abandoned, kept)

    def accept_latency(self) -> Latency:
        """Return how long recent writes took to be accepted."""
        return latency(self.accept_seconds)

    def commit_latency(self) -> Latency:
        """Return how long recent writes took from acceptance to commit."""
        return latency(self._commit_seconds)


def latency(samples: Sequence[float]) -> Latency:
    """Return the percentiles of some samples, in seconds."""
    if not samples:
        return Latency(None, None, None)
    ordered = sorted(samples)
    return Latency(ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], ordered[-1])
