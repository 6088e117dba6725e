"""SyncMemoryClient: MemoryClient for code that does not await."""

from types import TracebackType
from typing import Self, cast
from weakref import finalize

from perdure.client import MemoryClient
from perdure.records import CloseReport
from perdure.settings import MemorySettings, OnError
from perdure.sync.blocking import blocking, like
from perdure.sync.connection import Connection
from perdure.sync.typed import SyncTypedMemory
from perdure.sync.writes import SyncBufferedWriter, SyncGraphQuery
from perdure.writes.failures import WriteErrors


class SyncMemoryClient(SyncTypedMemory):
    """An agent's memory, as `MemoryClient`, with calls that wait where those are awaited.

    It connects at its first call, or in `with`, or by `connect`; close it, or the end of the process does. Any number
    of threads may use it at once. A call raises ConfigError on a thread with a running event loop, which it would
    stop (a notebook's cells may call it), and in a process that was forked after it had connected.
    """

    def __init__(
        self, settings: MemorySettings | None = None, *, on_error: OnError | None = None, reindex: bool = False
    ) -> None:
        self._client = client = MemoryClient(settings, on_error=on_error, reindex=reindex)
        self.settings = client.settings
        super().__init__(Connection(client, on_sigterm=client.settings.memory.close_on_sigterm), lambda: client)
        finalize(self, self._connection.warn_if_open).atexit = False

    @property
    def connection(self) -> Connection[MemoryClient]:
        """What `SyncMemory` stands on; not for applications."""
        return self._connection

    @like(MemoryClient.connect)
    def connect(self) -> Self:
        self._connection.connect()
        return self

    @like(MemoryClient.close)
    def close(self, timeout: float | None = None) -> CloseReport:
        return cast("CloseReport", self._connection.close(timeout))

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    @like(MemoryClient.buffered)
    def buffered(self) -> SyncBufferedWriter:
        return SyncBufferedWriter(self._connection, lambda: self._client.buffered)

    @property
    @like(MemoryClient.query)
    def query(self) -> SyncGraphQuery:
        return SyncGraphQuery(self._connection, lambda: self._client.query)

    @property
    @like(MemoryClient.write_errors)
    def write_errors(self) -> WriteErrors:
        return self._client.write_errors

    flush = blocking(MemoryClient.flush)
    wait_for_pending = blocking(MemoryClient.wait_for_pending)
    health = blocking(MemoryClient.health)
    rebuild_index = blocking(MemoryClient.rebuild_index)
