"""Buffered writes for code that does not await."""

from collections.abc import Sequence
from typing import Any

from perdure.errors import WriteFailed
from perdure.graph.query import GraphQuery
from perdure.records import ReceiptState, RecoveryReport, WriteStats
from perdure.sync.blocking import Blocking, blocking, giving, like
from perdure.sync.connection import Connection
from perdure.writes import BufferedWriter, Receipt
from perdure.writes.dead_letters import DeadLetters
from perdure.writes.failures import WriteErrors
from perdure.writes.receipts import UNSETTLED


class SyncReceipt:
    """Follows one write, as `Receipt` does; `committed` waits for its outcome, where that one is awaited."""

    def __init__(self, connection: Connection[Any], receipt: Receipt) -> None:
        self._connection = connection
        self._receipt = receipt

    @property
    @like(Receipt.seq)
    def seq(self) -> int:
        return self._receipt.seq

    @property
    @like(Receipt.key)
    def key(self) -> str | None:
        return self._receipt.key

    @property
    def state(self) -> ReceiptState:
        """How far the write is: "submitted", "accepted", "committed" or "failed"."""
        return self._receipt.state

    @property
    def error(self) -> Exception | None:
        """Why it failed, where it did."""
        return self._receipt.error

    def __repr__(self) -> str:
        return repr(self._receipt)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SyncReceipt) and self._receipt is other._receipt

    def __hash__(self) -> int:
        return hash(self._receipt)

    @like(Receipt.committed)
    def committed(self, timeout: float | None = None) -> "SyncReceipt":
        if self.state in UNSETTLED:
            self._connection.run(lambda: self._receipt.committed(timeout))
        elif self.error is not None:  # what is settled needs no loop, and can be asked after close
            raise WriteFailed(self._receipt.entry.statement, self.error)
        return self

    @like(Receipt.accepted)
    def accepted(self, timeout: float | None = None) -> "SyncReceipt":
        if self.state == "submitted":
            self._connection.run(lambda: self._receipt.accepted(timeout))
        elif self.error is not None and not self._receipt.kept:
            raise self.error
        return self

    @like(Receipt.outcome)
    def outcome(self) -> "SyncReceipt":
        try:
            return self.committed()
        except WriteFailed as failed:
            raise failed.error from None


def _receipts(connection: Connection[Any], receipts: Sequence[Receipt]) -> Sequence[SyncReceipt]:
    return [SyncReceipt(connection, receipt) for receipt in receipts]


class SyncDeadLetters(Blocking[DeadLetters]):
    """Accepted writes that the store refused for good, as `DeadLetters`."""

    list = blocking(DeadLetters.list)
    get = blocking(DeadLetters.get)
    redrive = giving(_receipts, DeadLetters.redrive)
    drop = blocking(DeadLetters.drop)


class SyncGraphQuery(Blocking[GraphQuery]):
    """Answers Cypher questions, as `GraphQuery`; refuses Cypher that writes."""

    cypher = blocking(GraphQuery.cypher)


class SyncBufferedWriter(Blocking[BufferedWriter]):
    """Takes Cypher writes, as the client's `BufferedWriter`; its gauges can be read after close."""

    submit = giving(SyncReceipt, BufferedWriter.submit)
    try_submit = giving(SyncReceipt, BufferedWriter.try_submit)
    flush = blocking(BufferedWriter.flush)
    wait_for_pending = blocking(BufferedWriter.wait_for_pending)

    @property
    @like(BufferedWriter.dead_letters)
    def dead_letters(self) -> SyncDeadLetters:
        return SyncDeadLetters(self._connection, lambda: self._where().dead_letters)

    @property
    @like(BufferedWriter.recovery)
    def recovery(self) -> RecoveryReport:
        return self._look().recovery

    @property
    @like(BufferedWriter.errors)
    def errors(self) -> WriteErrors:
        return self._look().errors

    @property
    @like(BufferedWriter.pending)
    def pending(self) -> int:
        return self._look().pending

    @property
    @like(BufferedWriter.is_buffered)
    def is_buffered(self) -> bool:
        return self._look().is_buffered

    @like(BufferedWriter.stats)
    def stats(self) -> WriteStats:
        return self._look().stats()

    def __repr__(self) -> str:
        return repr(self._look())
