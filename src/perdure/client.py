"""MemoryClient: the owner of every connection, task and file behind an agent's memory."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from time import monotonic
from types import TracebackType
from typing import Self, cast

from perdure.errors import ClosedError, ConfigError, StoreError
from perdure.graph import schema
from perdure.graph.hooks import Hooks
from perdure.graph.index import Index
from perdure.graph.query import GraphQuery
from perdure.graph.scope import Scope
from perdure.graph.typed import TypedMemory
from perdure.graph.writing import Graph
from perdure.protocols import GraphStore, VectorStore
from perdure.providers import Providers
from perdure.records import CloseReport, FlushSummary, Health
from perdure.runtime.home import Home
from perdure.runtime.termination import closing_on_sigterm
from perdure.settings import MemorySettings, OnError, WriteOptions, WriteSection
from perdure.telemetry import STORES
from perdure.wiring import graph_store, journal, load, vector_store
from perdure.writes import BufferedWriter
from perdure.writes.failures import WriteErrors

ALIVE = "RETURN 1 AS alive"
SECONDS_FOR_HEALTH = 5.0


class MemoryClient(TypedMemory):
    """An agent's memory: typed by `short_term`, `long_term` and `reasoning`, as Cypher by `buffered` and `query`.

    Use `async with`, or `connect` and `close`. Settings are read when it connects. It belongs to the event loop that
    connected it; make one per loop and process. `on_error` is told of each write that fails for good, and overrides
    the one in the settings. With `reindex`, an index that was made for another embedder, which is an error otherwise,
    is emptied, and filled anew from the graph; no other client should use it meanwhile.
    """

    def __init__(
        self, settings: MemorySettings | None = None, *, on_error: OnError | None = None, reindex: bool = False
    ) -> None:
        self.settings = settings or MemorySettings()
        self._on_error = on_error
        self._reindex = reindex
        self._stack = AsyncExitStack()
        self._store: GraphStore | None = None
        self._writer: BufferedWriter | None = None
        self._report: CloseReport | None = None
        self._home: Home | None = None
        self._graph: Graph | None = None
        self._providers: Providers | None = None
        self._schema_trouble: ConfigError | None = None
        super().__init__(self._typed_graph, Scope())

    async def connect(self) -> Self:
        """Open the store and start the drain.

        What an earlier process accepted and did not commit is committed from here on, before what comes after it.

        Raises within seconds when that cannot be: StoreUnavailableError when nothing answers or another process holds
        the files, JournalLockedError when another process holds the journal, JournalCorruptError when its files are
        damaged, ConfigError when the settings cannot work. After a failure it may be called again.
        """
        await load(self.settings)
        if self._report is not None:
            raise ClosedError("This client is closed.", hint="Make a new one.")
        if self._home is not None:
            raise ConfigError("This client is connected already.")
        store = graph_store(self.settings)
        kept = journal(self.settings)
        vectors, separate = vector_store(self.settings, store)
        self._providers = Providers(self.settings)
        self._home = Home()
        try:
            if kept is not None and (self.settings.memory.write_mode != "sync" or await kept.has_writes_left()):
                self._stack.push_async_callback(kept.close)
                await kept.open()
            else:
                kept = None
            await store.connect()
            self._stack.push_async_callback(store.close)
            if self._report is not None:
                raise ClosedError("This client was closed while it connected.")
            self._schema_trouble = await _schema_trouble(store)
            index = await self._follower(self._providers, store, vectors, separate=separate)
            self._writer = await BufferedWriter(store, journal=kept, **self._options()).start()
            self._store = store
            self._graph = self._typed(store, self._writer, index, self._told())
            if self._writer.is_buffered and self.settings.memory.close_on_sigterm:
                self._stack.enter_context(closing_on_sigterm(self.close))
        except BaseException:
            self._home = None
            await self._stack.aclose()
            raise
        return self

    def _options(self) -> WriteOptions:
        """Return the settings that are the writer's."""
        options = self.settings.memory.model_dump(include=set(WriteSection.model_fields))
        if self._on_error is not None:
            options["on_error"] = self._on_error
        return cast("WriteOptions", options)

    async def close(self, timeout: float | None = None) -> CloseReport:  # noqa: ASYNC109  the surface's own name
        """Commit what was accepted, at most `timeout` seconds, stop, and disconnect; see BufferedWriter.close.

        Safe to call again, from several tasks, and before connect.
        """
        if self._home is not None:
            self._home.check()
        limit = self.settings.memory.close_timeout_seconds if timeout is None else timeout
        started = monotonic()

        def left() -> float | None:
            return limit and max(0.0, limit - (monotonic() - started))

        try:
            if self._writer is not None:
                self._report = await self._writer.close(limit)
            if self._graph is not None:
                await self._graph.index.close(left())
                await self._graph.hooks.close(left())
        finally:
            await self._stack.aclose()
        self._report = self._report or CloseReport(0, 0, 0, kept=False)
        return self._report

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def buffered(self) -> BufferedWriter:
        """Where writes are submitted. Raises ClosedError before connect."""
        if self._writer is None:
            raise not_connected("client")
        return self._writer

    @property
    def query(self) -> GraphQuery:
        """Where the graph is read. Raises ClosedError before connect and after close."""
        return GraphQuery(self._connected())

    @property
    def write_errors(self) -> WriteErrors:
        """The newest writes that failed for good, newest last; readable after close as well."""
        return WriteErrors(1) if self._writer is None else self._writer.errors

    async def flush(self, timeout: float | None = None) -> FlushSummary:  # noqa: ASYNC109  the surface's own name
        """Wait until every write accepted before this call is settled; see BufferedWriter.flush."""
        return await self.buffered.flush(timeout)

    wait_for_pending = flush

    async def health(self) -> Health:
        """Return whether the store answers, and how far the writes are behind it. Never raises for an outage."""
        store, stats = self._connected(), self.buffered.stats()
        try:
            async with asyncio.timeout(SECONDS_FOR_HEALTH):
                await store.read(ALIVE, {})
        except StoreError as error:
            detail, reachable = error.message, False
        except TimeoutError:
            detail, reachable = f"no answer within {SECONDS_FOR_HEALTH:g} s", False
        else:
            detail, reachable = "", True
        return Health(
            reachable, store.name, detail, stats.pending, stats.oldest_pending_seconds, *self.buffered.journal_health()
        )

    async def _follower(
        self, providers: Providers, store: GraphStore, vectors: VectorStore, *, separate: bool
    ) -> Index:
        """Return an index that follows the graph until the stack is closed."""
        self._stack.push_async_callback(providers.close, self.settings.memory.close_timeout_seconds)
        await providers.prepare()
        index = Index(store, vectors, providers.embedder, separate=separate)
        self._stack.push_async_callback(index.close)
        return await index.start(anew=self._reindex)

    async def rebuild_index(self, progress: Callable[[int, int], object] | None = None) -> int:
        """Index every memory in the graph anew, whosever it is, and return how many that were.

        Searches go on meanwhile. `progress` is told after each batch how many are done, and of how many. The index
        repairs itself at connect; this is for one that is not trusted.
        """
        return await self._typed_graph().index.rebuild(progress)

    def _told(self) -> Hooks:
        """Return hooks that run until the stack is closed."""
        hooks = Hooks(self.settings.memory.on_record)
        self._stack.push_async_callback(hooks.close, 0)
        return hooks.start()

    def _typed(self, store: GraphStore, writer: BufferedWriter, index: Index, hooks: Hooks) -> Graph:
        memory = self.settings.memory
        deferred = memory.write_mode == "deferred"
        return Graph(store, writer, index, hooks, deferred=deferred, strict=memory.multi_tenant, check=self._connected)

    @property
    def graph(self) -> Graph:
        """What typed memory and `Memory` stand on; not for applications. Raises ClosedError and ConfigError."""
        return self._typed_graph()

    @property
    def providers(self) -> Providers:
        """The embedder, the language model and the reranker, with their limits. Raises ClosedError before connect."""
        self._connected()
        if self._providers is None:
            raise not_connected("client")
        return self._providers

    def _typed_graph(self) -> Graph:
        self._connected()
        if self._graph is None:
            raise not_connected("client")
        if self._schema_trouble is not None:
            raise self._schema_trouble
        return self._graph

    def _connected(self) -> GraphStore:
        if self._store is None or self._report is not None:
            raise not_connected("client")
        if self._home is not None:
            self._home.check()
        return self._store


def not_connected(what: str) -> ClosedError:
    """Return the error for a client, or a memory, that is not open."""
    return ClosedError(f"This {what} is not connected.", hint="Use it in `async with`, or call connect() first.")


async def _schema_trouble(store: GraphStore) -> ConfigError | None:
    """Make the schema of typed memory; where the graph cannot have it, the rest of the client works without."""
    try:
        await schema.ensure(store)
    except ConfigError as error:
        STORES.warning("typed memory cannot be used: %s", error)
        return error
    return None
