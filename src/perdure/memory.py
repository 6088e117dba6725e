"""Memory: what was said goes in, what is worth remembering comes out when it is asked for."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, Unpack, cast
from weakref import WeakValueDictionary

from perdure import ids
from perdure.client import MemoryClient, not_connected
from perdure.errors import ClosedError, ConfigError, InputError, NotFoundError, shorten
from perdure.filters import matches, parse
from perdure.graph import checks
from perdure.graph.memories import Memories, Written, of_record
from perdure.graph.names import is_uuid
from perdure.graph.scope import Scope, ScopeIds, check_id
from perdure.graph.search import query_text
from perdure.models import DeletionReport, MemoryEvent, MemoryRecord
from perdure.pipelines.add import Adding
from perdure.pipelines.mentions import names
from perdure.pipelines.messages import MAX_CONTENT, turns
from perdure.pipelines.search import Searching, Wanted
from perdure.plain import encode
from perdure.records import MAX_HITS, CloseReport
from perdure.results import AddResult, MemoryPage, SearchResult
from perdure.runtime.tasks import Tasks
from perdure.settings import MemorySettings

Wait = Literal["committed", "accepted"]
PAGE = 200
NOBODY = Scope()


class _Parts(NamedTuple):
    """What a connected memory works with."""

    memories: Memories
    adding: Adding
    searching: Searching


class Memory:
    """Remembers what is said, and finds it again; each call says whose memory it is about.

    Use `async with`, or `connect` and `close`. It makes its own MemoryClient from `settings`, which queues writes
    whatever its `write_mode`, or borrows a connected `client` that does (`write_mode` "buffered" or "deferred"), and
    then leaves it open.
    """

    def __init__(self, settings: MemorySettings | None = None, *, client: MemoryClient | None = None) -> None:
        if settings is not None and client is not None:
            raise ConfigError("A memory takes settings or a client, not both.", hint="The client has settings.")
        self.settings = client.settings if client is not None else settings or MemorySettings()
        self._lent = client
        self._client = client or MemoryClient(queueing(self.settings))
        self._tasks = Tasks()
        self._parts: _Parts | None = None
        self._closed = False
        self._changing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def client(self) -> MemoryClient:
        """The client whose stores it uses."""
        return self._client

    async def connect(self) -> Self:
        """Open the stores, as MemoryClient.connect does, and go on with what an earlier process had accepted.

        Raises what that raises, and ConfigError for a borrowed client that does not queue writes.
        """
        if self._closed:
            raise ClosedError("This memory is closed.", hint="Make a new one.")
        if self._parts is not None:
            raise ConfigError("This memory is connected already.")
        if self._lent is None:
            await self._client.connect()
        try:
            self._parts = self._assembled()
        except BaseException:
            if self._lent is None:
                await self._client.close()
            raise
        return self

    def _assembled(self) -> _Parts:
        if not self._client.buffered.is_buffered:
            raise ConfigError(
                "This client does not queue its writes, and a memory needs that.",
                hint='Set settings.memory.write_mode to "buffered" or "deferred" before it connects.',
            )
        graph = self._client.graph
        providers = self._client.providers
        memories, index, stores = Memories(graph), graph.index, providers.limits.store
        index.begin()
        adding = Adding(memories, index, stores, providers.language_model, self._tasks)
        adding.inbox.resume()
        self._tasks.start(providers.embedder.warm_up(), "perdure warm-up")  # what it raises, the first add does again
        return _Parts(memories, adding, Searching(memories, index, stores, providers.reranker, adding.speakers))

    async def flush(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  as the client's
        """Wait until what was accepted before is remembered, at most `timeout` seconds; return whether it is."""
        self._connected()
        return await self._tasks.finished(timeout)

    async def close(self, timeout: float | None = None) -> CloseReport | None:  # noqa: ASYNC109  as the client's
        """Wait for what is being added, commit what was accepted, and disconnect; see MemoryClient.close.

        A borrowed client stays open, and the report is None. Safe to call again.
        """
        self._closed = True
        limit = self.settings.memory.close_timeout_seconds if timeout is None else timeout
        await self._tasks.close(limit)
        return await self._client.close(timeout) if self._lent is None else None

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- remembering and finding

    async def add(
        self,
        messages: str | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        metadata: Mapping[str, Any] | None = None,
        infer: bool = True,
        observed_at: datetime | None = None,
        wait: Wait = "committed",
        **scope: Unpack[ScopeIds],
    ) -> AddResult:
        """Remember what messages say, and return what that was and which side has it.

        With a language model, what it finds worth remembering; without one, or with `infer=False`, each message
        verbatim, except the system's. `observed_at` (with a zone; by default now) is when messages without a
        `created_at` of their own were said: "yesterday" is the day before. What is known already is not kept twice,
        and what contradicts it takes its place. With `wait="accepted"` this returns as soon as the messages are in the
        journal, and `results` is empty: what is found in them, is so in the background, also after a restart.

        One side that fails does not undo the other: `sides` says so, and the side gets it later. A hundred statements
        are kept as a whole or not at all; a longer list is several such parts, in its order. Raises InputError
        before anything is done, ProviderError with nothing kept, and ClosedError.
        """
        parts, whose = self._about(scope)
        if wait not in ("committed", "accepted"):
            raise InputError(f"wait = {shorten(repr(wait), 40)} should be 'committed' or 'accepted'.")
        moment = checks.moment("observed_at", observed_at) or ids.now()
        said = turns(messages, moment, checks.plain_map("metadata", metadata))
        begin = parts.adding.add if wait == "committed" else parts.adding.accept
        return await begin(whose, said, infer=checks.flag("infer", infer) is not False)

    async def search(  # noqa: PLR0913  what can be said about it
        self,
        query: str,
        *,
        limit: int = 10,
        filters: Mapping[str, Any] | None = None,
        threshold: float | None = None,
        rerank: bool = False,
        explain: bool = False,
        **scope: Unpack[ScopeIds],
    ) -> SearchResult:
        """Return the memories that answer a query best, best first.

        `filters` are about metadata. `threshold`, from 0 to 1, is the least cosine. Never waits for writes: what is
        only accepted is found once it is committed. Raises InputError before anything is done.
        """
        parts, whose = self._about(scope)
        text = query_text(query)
        least = None if threshold is None else checks.share("threshold", threshold)
        most = checks.limit(limit, most=MAX_HITS)
        return await parts.searching.search(whose, Wanted(text, most, parse(filters), least, rerank, explain))

    # -- one by one

    async def get(self, id: str, **scope: Unpack[ScopeIds]) -> MemoryRecord | None:  # noqa: A002  the surface's name
        """Return a memory, or None where there is none of this id in this scope."""
        parts, whose = self._about(scope)
        found = await parts.memories.get(whose, [check_id("id", id)], settled=True)
        return found[0].record if found else None

    async def get_all(
        self,
        *,
        filters: Mapping[str, Any] | None = None,
        limit: int = 100,
        cursor: str | None = None,
        include_expired: bool = False,
        **scope: Unpack[ScopeIds],
    ) -> MemoryPage:
        """Return a scope's memories in the order in which they were made; `cursor` is that of the page before."""
        parts, whose = self._about(scope)
        wanted, most, after = parse(filters), checks.limit(limit), _after(cursor)
        found: list[MemoryRecord] = []
        while True:
            page = await parts.memories.page(whose, after, PAGE, expired=include_expired)
            for mark, each in page:
                if len(found) == most:
                    return MemoryPage(results=found, cursor=after)
                after = mark
                if matches(wanted, each.metadata):
                    found.append(each)
            if len(page) < PAGE:
                return MemoryPage(results=found)

    async def update(
        self,
        id: str,  # noqa: A002  the surface's own name
        text: str,
        *,
        metadata: Mapping[str, Any] | None = None,
        **scope: Unpack[ScopeIds],
    ) -> MemoryRecord:
        """Give a memory another text, add to its metadata, and return it; when it was made stays as it was.

        Raises NotFoundError where there is none of this id in this scope, and InputError.
        """
        parts, whose = self._about(scope)
        after = checks.within("text", checks.filled("text", text), MAX_CONTENT)
        more = checks.plain_map("metadata", metadata)
        key = whose.key(check_id("id", id))
        async with self._changing.setdefault(key, asyncio.Lock()):
            found = await parts.memories.get(whose, [id], settled=True)
            if not found:
                raise NotFoundError(f"There is no memory {shorten(repr(id), 60)}.", hint="It may be somebody else's.")
            return await self._updated(parts, whose, found[0].record, after, more)

    async def _updated(
        self, parts: _Parts, whose: Scope, before: MemoryRecord, text: str, more: Mapping[str, Any]
    ) -> MemoryRecord:
        values = {"memory": text, "metadata": {**before.metadata, **more}, "updated_at": ids.now()}
        after = before.model_copy(update=values)
        changes = {**values, "metadata": encode(after.metadata), "slot": None, "answer": None}
        written = Written(after, "UPDATE", before.memory, changes, mentions=names(text))
        await parts.adding.change(of_record(whose, before), written)
        return after

    async def delete(self, id: str, **scope: Unpack[ScopeIds]) -> bool:  # noqa: A002  the surface's own name
        """Forget a memory, and return whether there was one; its history says so and stays."""
        parts, whose = self._about(scope)
        return await parts.memories.forget(whose, check_id("id", id))

    async def delete_all(self, **scope: Unpack[ScopeIds]) -> DeletionReport:
        """Forget every memory of a scope with its history, and return what is gone.

        What this client has accepted for the scope is committed first, and forgotten with the rest.
        """
        parts, whose = self._about(scope)
        return await parts.memories.forget_all(whose)

    async def history(self, id: str, **scope: Unpack[ScopeIds]) -> list[MemoryEvent]:  # noqa: A002  as get
        """Return what became of a memory, oldest first; also of one that is gone."""
        parts, whose = self._about(scope)
        return await parts.memories.history(whose, check_id("id", id))

    async def reset(self) -> DeletionReport:
        """Forget every memory of everybody, with its history, and return what is gone.

        It is for a development database: what other calls of the client have kept stays.
        """
        return await self._connected().memories.forget_everybody()

    def _about(self, scope: ScopeIds) -> tuple[_Parts, Scope]:
        """Return the parts, and whose memory a call is about: ids are trimmed, and one of the three is needed."""
        parts = self._connected()
        trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in scope.items()}
        whose = self._client.graph.scope(NOBODY, cast("ScopeIds", trimmed))
        if whose.user_id is None and whose.agent_id is None and whose.run_id is None:
            raise InputError(
                "This call does not say whose memory it is about.", hint="Pass user_id, agent_id or run_id."
            )
        return parts, whose

    def _connected(self) -> _Parts:
        if self._parts is None or self._closed:
            raise not_connected("memory")
        return self._parts


def _after(cursor: object) -> str:
    if cursor is None:
        return ""
    if not is_uuid(checks.text("cursor", cursor)):
        raise InputError(f"cursor = {shorten(repr(cursor), 60)} is none that get_all has returned.")
    return str(cursor)


def queueing(settings: MemorySettings) -> MemorySettings:
    """Return settings whose client queues its writes."""
    if settings.memory.write_mode != "sync":
        return settings
    return settings.model_copy(update={"memory": settings.memory.model_copy(update={"write_mode": "buffered"})})
