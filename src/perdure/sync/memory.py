"""SyncMemory: Memory for code that does not await."""

from types import TracebackType
from typing import Self

from perdure.memory import Memory, queueing
from perdure.records import CloseReport
from perdure.settings import MemorySettings
from perdure.sync.blocking import Blocking, blocking, like
from perdure.sync.client import SyncMemoryClient
from perdure.sync.connection import Connection


class SyncMemory(Blocking[Memory]):
    """Remembers what is said, and finds it again, as `Memory`, with calls that wait where those are awaited.

    It connects at its first call, or in `with`, or by `connect`; close it, or the end of the process does. Any number
    of threads may use it at once. It makes its own SyncMemoryClient from `settings`, which queues writes whatever its
    `write_mode`, or borrows a `client` that does, and then leaves it open. A call raises ConfigError where one of the
    client would.
    """

    def __init__(self, settings: MemorySettings | None = None, *, client: SyncMemoryClient | None = None) -> None:
        self.settings = client.settings if client is not None else settings or MemorySettings()
        self._client = client or SyncMemoryClient(queueing(self.settings))
        connection = self._client.connection
        memory = Memory(settings if client is not None else None, client=connection.target)
        super().__init__(Connection(memory, lender=connection, owns=client is None), lambda: memory)

    @property
    @like(Memory.client)
    def client(self) -> SyncMemoryClient:
        return self._client

    @property
    def asynchronous(self) -> Memory:
        """The memory that it calls; it belongs to an event loop in another thread."""
        return self._where()

    @property
    def connection(self) -> Connection[Memory]:
        """How it is called; not for applications."""
        return self._connection

    @like(Memory.connect)
    def connect(self) -> Self:
        self._connection.connect()
        return self

    @like(Memory.close)
    def close(self, timeout: float | None = None) -> CloseReport | None:
        return self._connection.close(timeout)

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    flush = blocking(Memory.flush)
    add = blocking(Memory.add)
    search = blocking(Memory.search)
    get = blocking(Memory.get)
    get_all = blocking(Memory.get_all)
    update = blocking(Memory.update)
    delete = blocking(Memory.delete)
    delete_all = blocking(Memory.delete_all)
    history = blocking(Memory.history)
    reset = blocking(Memory.reset)
