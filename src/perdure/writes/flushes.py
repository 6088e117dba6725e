"""Barriers: what a flush waits for, and what it reports."""

import asyncio
from collections.abc import Sequence

from perdure.records import FlushSummary
from perdure.writes.receipts import Receipt


class Barrier:
    """The writes that were unsettled when a flush began."""

    def __init__(self, last: int, pending: int) -> None:
        self.last = last
        self.left = pending
        self.committed = 0
        self.failed = 0
        self.done = asyncio.Event()
        if not pending:
            self.done.set()

    def covers(self, settled: Sequence[Receipt]) -> int:
        """Return how many of these writes, in order, the flush waits for."""
        if settled[-1].seq <= self.last:
            return len(settled)
        return sum(receipt.seq <= self.last for receipt in settled)

    def settle(self, count: int, *, failed: bool) -> None:
        """Count writes off."""
        if failed:
            self.failed += count
        else:
            self.committed += count
        self.forget(count)

    def forget(self, count: int) -> None:
        """Take writes off without an outcome."""
        self.left -= count
        if not self.left:
            self.done.set()


class Flushes:
    """Keeps the barriers of flushes under way, and what settled between flushes, so that each write is reported."""

    def __init__(self) -> None:
        self._open: list[Barrier] = []
        self._committed = 0
        self._failed = 0

    def settle(self, settled: Sequence[Receipt], *, failed: bool) -> None:
        """Tell every flush of writes that have their outcome."""
        covered = 0
        for barrier in self._open:
            count = barrier.covers(settled)
            barrier.settle(count, failed=failed)
            covered = max(covered, count)
        self._add(0 if failed else len(settled) - covered, len(settled) - covered if failed else 0)

    def withdraw(self, receipt: Receipt) -> None:
        """Wait no more for a write that was not accepted after all."""
        for barrier in self._open:
            barrier.forget(barrier.covers([receipt]))

    def abandon(self) -> None:
        """Let every flush go: nothing more will be settled."""
        for barrier in self._open:
            barrier.done.set()

    async def wait(self, last: int, pending: int, timeout: float | None) -> FlushSummary:  # noqa: ASYNC109  as flush
        """Wait until the `pending` writes up to `last` are settled, at most `timeout` seconds, and sum up."""
        barrier = Barrier(last, pending)
        barrier.committed, barrier.failed = self._committed, self._failed
        self._committed = self._failed = 0
        self._open.append(barrier)
        try:
            async with asyncio.timeout(timeout):
                await barrier.done.wait()
        except TimeoutError:
            pass
        except BaseException:
            self._add(barrier.committed, barrier.failed)
            raise
        finally:
            self._open.remove(barrier)
        return FlushSummary(barrier.committed, barrier.failed, barrier.left)

    def _add(self, committed: int, failed: int) -> None:
        self._committed += committed
        self._failed += failed
