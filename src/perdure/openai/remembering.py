"""What memory does for the chat client: it is asked within a time, and told in the background."""

import asyncio
from functools import partial
from typing import Any

from perdure.errors import ClosedError, PerdureError, QueueFullError, shorten
from perdure.memory import Memory
from perdure.openai.turns import Recalled, Turn
from perdure.records import MAX_HITS
from perdure.results import MemoryHit
from perdure.runtime.tasks import Tasks
from perdure.telemetry import WRITES

SECONDS_FOR_THE_FIRST = 5.0
"""How long the first completion waits, whose memory may have to be opened: so a script of one call has memories."""
SECONDS_FOR_ACCEPTING = 0.1
"""How long an answer may be held up until its turn is in the journal: that takes a millisecond or two."""
MOST_PENDING = 1_000
"""Turns that wait in memory for a journal that takes nothing."""


class Remembering:
    """Asks and tells a memory, one that is lent or one that is opened when it is first needed.

    Nothing that happens to the memory is raised: a turn's `memory` says so.
    """

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory or Memory()
        self._lent = memory is not None
        self._opening: asyncio.Task[Any] | None = None
        self.is_warm = False
        """Whether a completion has waited for memories before."""
        self._tasks = Tasks()
        self._open: set[Turn] = set()

    def patience(self, turn: Turn) -> float:
        """Return how many seconds a completion waits for memories."""
        seconds = turn.recalling.seconds
        return seconds if self.is_warm else max(seconds, SECONDS_FOR_THE_FIRST)

    async def recall(self, turn: Turn, seconds: float) -> Recalled:
        """Return the memories that are found for a turn within some seconds."""
        self._end_dropped()
        if not turn.recalling.limit:
            return Recalled("off")
        query = turn.asked.query()
        if not query:
            return Recalled("miss")
        try:
            search = self._tasks.start(self._search(turn, query), "perdure recall")
        except ClosedError as error:
            return not_recalled(error)
        try:
            await asyncio.wait({search}, timeout=seconds)
        finally:
            search.cancel()
            self.is_warm = True
        if not search.done() or search.cancelled():
            return Recalled("timeout")
        if error := search.exception():
            return not_recalled(error)
        hits = search.result()
        return Recalled("hit" if hits else "miss", hits)

    async def _search(self, turn: Turn, query: str) -> tuple[MemoryHit, ...]:
        """Return what is found, without what the model reads in any case."""
        memory = await self._opened(self._begin_to_open())
        read, limit = turn.asked.texts(), turn.recalling.limit
        most = min(limit + len(read), MAX_HITS)
        found = await memory.search(query, limit=most, **turn.whose)
        new = [hit for hit in found.results if hit.memory.strip() not in read]
        return tuple(new[:limit])

    @property
    def expects(self) -> bool:
        """Whether an answer is on its way."""
        return bool(self._open)

    def expect(self, turn: Turn) -> None:
        """Note a turn whose answer is on its way: what of it has come is remembered also when the rest never does."""
        self._open.add(turn)

    def end(self, turn: Turn) -> None:
        """Begin to remember a turn; where no event loop runs, the next call does so. Safe to call again."""
        if turn.ended:
            return
        if not _on_a_loop():
            turn.dropped = True
            self._open.add(turn)
            return
        self._open.discard(turn)
        turn.ended = True
        messages = turn.messages()
        if not messages:
            why = "The API failed before it answered." if turn.failed else "Nothing was said in words."
            turn.memory.remembered, turn.memory.reason = "nothing", why
        elif self._tasks.running >= MOST_PENDING:
            self.not_remembered(turn, QueueFullError(f"{MOST_PENDING} turns wait for a journal that takes nothing."))
        elif self._tasks.closed:
            self.not_remembered(turn, ClosedError("The chat client is closed."))
        else:
            turn.memory.remembered = "pending"
            turn.kept = self._tasks.start(self._keep(turn, messages, self._begin_to_open()), "perdure turn")
            turn.kept.add_done_callback(partial(self._kept, turn))

    def _end_dropped(self) -> None:
        for turn in [each for each in list(self._open) if each.dropped]:
            self.end(turn)

    async def settled(self, turn: Turn) -> None:
        """End a turn, and wait a moment for the journal to have it."""
        self._end_dropped()
        self.end(turn)
        if turn.kept is not None and not turn.kept.done():
            await asyncio.wait({turn.kept}, timeout=SECONDS_FOR_ACCEPTING)

    async def _keep(self, turn: Turn, messages: list[dict[str, Any]], opening: asyncio.Task[Any] | None) -> None:
        memory = await self._opened(opening)
        await memory.add(messages, wait="accepted", **turn.whose)
        turn.memory.remembered = "accepted"

    def _kept(self, turn: Turn, task: asyncio.Task[Any]) -> None:
        error = ClosedError("The chat client was closed first.") if task.cancelled() else task.exception()
        if error is not None:
            self.not_remembered(turn, error)

    def lose(self, error: BaseException) -> None:
        """Say on every turn whose answer is on its way that it is lost."""
        for turn in list(self._open):
            self.not_remembered(turn, error)

    def not_remembered(self, turn: Turn, error: BaseException) -> None:
        """Say on a turn why it is lost."""
        turn.ended = True
        self._open.discard(turn)
        turn.memory.remembered, turn.memory.reason = "failed", str(error)
        _warn("a turn is not remembered", error)

    def _begin_to_open(self) -> asyncio.Task[Any] | None:
        """Have a memory of our own opened, anew where that failed, and return the task; one that is lent is open."""
        if self._lent:
            return None
        opening = self._opening
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception())):
            self._opening = opening = self._tasks.start(self._memory.connect(), "perdure open")
        return opening

    async def _opened(self, opening: asyncio.Task[Any] | None) -> Memory:
        """Return the memory when it is open."""
        if opening is not None:
            await asyncio.shield(opening)
        return self._memory

    async def close(self, seconds: float | None = None) -> None:
        """Remember what is left, and close a memory of our own; one that is lent stays open. Safe to call again.

        Wait `seconds` for what is being remembered; None is as long as the settings say.
        """
        for turn in list(self._open):
            self.end(turn)
        await self._tasks.close(self._memory.settings.memory.close_timeout_seconds if seconds is None else seconds)
        if not self._lent:
            await self._memory.close()


def not_recalled(error: BaseException) -> Recalled:
    """Return that nothing could be looked for, and why."""
    _warn("nothing could be recalled", error)
    return Recalled("failed", error=error)


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _warn(what: str, error: BaseException) -> None:
    name = "" if isinstance(error, PerdureError) else f"{type(error).__name__}: "
    WRITES.warning("%s: %s%s", what, name, shorten(str(error), 200))
