"""What was accepted and is still to be remembered: kept in the graph, seen to in the background, never lost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict

from perdure.errors import PerdureError, ProviderError
from perdure.graph.memories import Memories
from perdure.graph.scope import Scope
from perdure.pipelines.statements import Turn
from perdure.plain import decode, encode
from perdure.runtime.tasks import Tasks
from perdure.telemetry import STORES

AT_ONCE = 256
"""What is held in memory at the same time; the rest waits in the graph."""
TRIES = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
Remember = Callable[[Scope, Sequence[Turn], bool, str], Awaitable[object]]


class Inbox:
    """Sees to what was accepted, also by an earlier process with the same journal."""

    def __init__(self, memories: Memories, tasks: Tasks, remember: Remember) -> None:
        self._memories = memories
        self._tasks = tasks
        self._remember = remember
        self._held: set[str] = set()
        self._more = False
        self._looking = False

    async def accept(self, whose: Scope, turns: Sequence[Turn], *, infer: bool) -> None:
        """Return once it is certain that this will be remembered."""
        name = await self._memories.accept(whose, encode({"turns": [asdict(turn) for turn in turns], "infer": infer}))
        self._see_to(whose, name, turns, infer=infer)

    def resume(self) -> None:
        """See to what is left of an earlier process, and of this one."""
        if not self._looking and not self._tasks.closed:
            self._looking = True
            self._tasks.start(self._look(), "perdure inbox")

    def _see_to(self, whose: Scope, name: str, turns: Sequence[Turn], *, infer: bool) -> None:
        if len(self._held) >= AT_ONCE or self._tasks.closed:
            self._more = True
            return
        key = whose.key(name)
        self._held.add(key)
        task = self._tasks.start(self._process(whose, name, turns, infer=infer), "perdure remember")
        task.add_done_callback(lambda _: self._let_go(key))

    def _let_go(self, key: str) -> None:
        self._held.discard(key)
        if self._more and len(self._held) < AT_ONCE // 2:
            self.resume()

    async def _look(self) -> None:
        try:
            self._more = False
            found = await self._memories.to_remember(sorted(self._held), AT_ONCE)
        except PerdureError as error:
            STORES.warning("what was accepted earlier cannot be looked at now: %s", error.message)
            self._more = True
            return
        finally:
            self._looking = False
        for whose, name, said in found:
            entry = decode(said)
            self._see_to(whose, name, [Turn(**turn) for turn in entry["turns"]], infer=entry["infer"])

    async def _process(self, whose: Scope, name: str, turns: Sequence[Turn], *, infer: bool) -> None:
        """Remember what was said; where the model fails again and again, verbatim, so that nothing is lost."""
        pause = FIRST_PAUSE
        for attempt in range(1, TRIES + 1):
            try:
                await self._remember(whose, turns, infer and attempt < TRIES, name)
            except PerdureError as error:
                STORES.warning("what was accepted is not remembered yet (attempt %d): %s", attempt, error.message)
                if attempt == TRIES and isinstance(error, ProviderError):
                    break
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return
        self._more = True
