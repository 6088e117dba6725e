"""SyncMemory: Memory for code that does not await."""

from types import TracebackType
from typing import Self

from perdure.memory import Memory
from perdure.records import CloseReport
from perdure.settings import MemorySettings
from perdure.sync.blocking import Blocking, blocking, like
from perdure.sync.client import SyncMemoryClient
from perdure.sync.connection import Connection


class SyncMemory(Blocking[Memory]):
    """Remembers what is said, and finds it again: `Memory`, with calls that wait instead of being awaited.

    It connects at its first call, or in `with`, or by `connect`. Any number of threads may call it at once. It makes
    its own client from `settings`, or borrows a SyncMemoryClient with its event loop and leaves it open.
    """

    def __init__(self, settings: MemorySettings | None = None, *, client: SyncMemoryClient | None = None) -> None:
        memory = Memory(settings, client=client.asynchronous if client else None)
        super().__init__(Connection(memory, lender=client.connection if client else None), lambda: memory)
        self.settings = memory.settings

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
