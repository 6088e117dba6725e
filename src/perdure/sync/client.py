"""SyncMemoryClient: MemoryClient for code that does not await."""

from types import TracebackType
from typing import Self

from perdure.client import MemoryClient
from perdure.records import CloseReport
from perdure.settings import MemorySettings, OnError
from perdure.sync.blocking import Blocking, blocking, like
from perdure.sync.connection import Connection


class SyncMemoryClient(Blocking[MemoryClient]):
    """An agent's memory: `MemoryClient`, with calls that wait instead of being awaited."""

    def __init__(self, settings: MemorySettings | None = None, *, on_error: OnError | None = None) -> None:
        client = MemoryClient(settings, on_error=on_error)
        super().__init__(Connection(client), lambda: client)
        self.settings = client.settings

    @property
    def asynchronous(self) -> MemoryClient:
        """The client that it calls; it belongs to an event loop in another thread."""
        return self._where()

    @property
    def connection(self) -> Connection[MemoryClient]:
        """How it is called; not for applications."""
        return self._connection

    @like(MemoryClient.connect)
    def connect(self) -> Self:
        self._connection.connect()
        return self

    @like(MemoryClient.close)
    def close(self, timeout: float | None = None) -> CloseReport:
        return self._connection.close(timeout) or CloseReport(0, 0, 0, kept=False)

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    flush = blocking(MemoryClient.flush)
    wait_for_pending = blocking(MemoryClient.wait_for_pending)
    health = blocking(MemoryClient.health)
    rebuild_index = blocking(MemoryClient.rebuild_index)
    get_context = blocking(MemoryClient.get_context)
    stats = blocking(MemoryClient.stats)
    export = blocking(MemoryClient.export)
    import_ = blocking(MemoryClient.import_)
