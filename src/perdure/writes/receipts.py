"""What a caller holds of a write it submitted."""

import asyncio
from collections.abc import Callable, Generator, Sequence
from typing import Any

from perdure.errors import WriteFailed
from perdure.records import JournalEntry, ReceiptState

UNSETTLED = ("submitted", "accepted")


class Receipt:
    """Follows one write from `submitted` over `accepted` to `committed` or `failed`.

    It is accepted once the journal has it: `submit` waits for that, `try_submit` does not. `await receipt` returns the
    receipt once the write is in the store, and raises WriteFailed when it will never be. It need not be awaited: a
    failure is also in `write_errors`. Cancelling an await changes nothing for the write.
    """

    __slots__ = ("__weakref__", "_hurry", "_tells", "_waiters", "accepted_at", "entry", "error", "kept", "state")

    def __init__(self, entry: JournalEntry, accepted_at: float, hurry: Callable[["Receipt"], None]) -> None:
        self.entry = entry
        self.accepted_at = accepted_at
        self.state: ReceiptState = "submitted"
        self.error: Exception | None = None
        self.kept = False
        """Whether the journal took it."""
        self._hurry = hurry
        self._waiters: Sequence[asyncio.Future[None]] = ()
        self._tells: Sequence[Callable[[], object]] = ()

    @property
    def seq(self) -> int:
        """The write's place in the order of submission."""
        return self.entry.seq

    @property
    def key(self) -> str | None:
        """The ordering key it was submitted with."""
        return self.entry.key

    def __repr__(self) -> str:
        return f"<Receipt {self.seq} {self.state}>"

    def __await__(self) -> Generator[Any, None, "Receipt"]:
        return self.committed().__await__()

    async def committed(self, timeout: float | None = None) -> "Receipt":  # noqa: ASYNC109  the surface's own name
        """Wait until the write is in the store and return this receipt.

        `timeout` is in seconds. Raises WriteFailed when the write failed for good, TimeoutError when it is neither
        committed nor failed in time (it stays queued), and ConfigError on another event loop than the writer's.
        """
        self.hurry()
        if self.state in UNSETTLED:
            async with asyncio.timeout(timeout):
                while self.state in UNSETTLED:
                    await self._change()
        if self.error is not None:
            raise WriteFailed(self.entry.statement, self.error)
        return self

    def hurry(self) -> None:
        """Have the write committed without waiting for company; it need not be waited for. Raises as `committed`."""
        if self.state in UNSETTLED:
            self._hurry(self)

    async def accepted(self, timeout: float | None = None) -> "Receipt":  # noqa: ASYNC109  as committed
        """Wait until the write is accepted, as `submit` does, and return this receipt.

        Raises the JournalError that kept it from being accepted, and TimeoutError when neither is known in time.
        """
        async with asyncio.timeout(timeout):
            while self.state == "submitted":
                await self._change()
        if self.error is not None and not self.kept:
            raise self.error
        return self

    async def outcome(self) -> "Receipt":
        """Wait as `committed` does, but raise the store's own error."""
        try:
            return await self
        except WriteFailed as failed:
            raise failed.error from None

    async def _change(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters = [*self._waiters, waiter]
        try:
            await waiter
        finally:
            self._waiters = [other for other in self._waiters if other is not waiter]

    def when_settled(self, tell: Callable[[], object]) -> None:
        """Have something called on the event loop once an accepted write is committed or has failed."""
        if self.state in UNSETTLED:
            self._tells = (*self._tells, tell)
        else:
            tell()

    def keep(self) -> None:
        """Record that the journal has it."""
        self.kept = True
        self.state = "accepted"
        if self._waiters:
            self._wake()

    def settle(self, error: Exception | None = None) -> None:
        """Record the outcome and wake whoever waits for it."""
        self.state = "committed" if error is None else "failed"
        self.error = error
        if self._waiters:
            self._wake()
        for tell in self._tells:
            asyncio.get_running_loop().call_soon(tell)
        self._tells = ()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, ()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
