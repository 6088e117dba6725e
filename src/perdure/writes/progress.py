"""How a long backlog goes down, said now and then: after an outage, or a restart with much to replay."""

from time import monotonic

from perdure.telemetry import WRITES

WORTH_TELLING = 2000
"""Writes pending below which nobody wants to hear of it."""
SECONDS_BETWEEN = 5.0


class Progress:
    """Logs how many writes are pending and how fast they are committed, every five seconds while there are many."""

    def __init__(self) -> None:
        self._since = 0.0
        self._settled = 0

    def settled(self, count: int, pending: int) -> None:
        """Count settled writes, with how many are still pending."""
        if pending + count < WORTH_TELLING and not self._settled:
            return
        now = monotonic()
        if not self._settled:
            self._since = now
        self._settled += count
        seconds = now - self._since
        if seconds >= SECONDS_BETWEEN or not pending:
            WRITES.info("%d writes pending; %d settled in %.1f s", pending, self._settled, seconds)
            self._settled = 0
