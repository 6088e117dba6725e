"""Typed memory as one object: the client itself, and views of it that know whose memory they are about."""

from collections.abc import Callable
from pathlib import Path
from typing import Unpack

from perdure.errors import InputError
from perdure.graph import checks
from perdure.graph.context import context
from perdure.graph.everybody import everyone
from perdure.graph.importing import Importing
from perdure.graph.long_term import LongTermMemory
from perdure.graph.reasoning import ReasoningMemory
from perdure.graph.scope import Scope, ScopeIds
from perdure.graph.short_term import ShortTermMemory
from perdure.graph.statements import load
from perdure.graph.transfer import Progress, export
from perdure.graph.users import Users
from perdure.graph.writing import Graph

TEXTS = load("typed")
COUNTED = ("messages", "entities", "facts", "preferences", "traces", "steps", "tool_calls", "memories")


class TypedMemory:
    """The kinds of memory, each an attribute. `graph` says where they are, or raises ClosedError."""

    def __init__(self, graph: Callable[[], Graph], bound: Scope) -> None:
        self._where = graph
        self._bound = bound

    @property
    def short_term(self) -> ShortTermMemory:
        """Conversations. Raises ClosedError before connect and after close."""
        return ShortTermMemory(self._where(), self._bound)

    @property
    def long_term(self) -> LongTermMemory:
        """Entities, facts and preferences. Raises ClosedError before connect and after close."""
        return LongTermMemory(self._where(), self._bound)

    @property
    def reasoning(self) -> ReasoningMemory:
        """Traces of tasks. Raises ClosedError before connect and after close."""
        return ReasoningMemory(self._where(), self._bound)

    @property
    def users(self) -> Users:
        """The users of a tenant. Raises ClosedError before connect and after close."""
        return Users(self._where(), self._bound)

    async def get_context(
        self,
        query: str,
        *,
        session_id: str | None = None,
        max_items: int = 10,
        token_budget: int | None = None,
        **scope: Unpack[ScopeIds],
    ) -> str:
        """Return what a prompt should know about a query, as plain text under headings; empty when nothing is known.

        The `max_items` that fit best among facts, preferences, what `Memory` keeps, entities, messages and tasks, and
        the newest `max_items` messages of `session_id`. With `token_budget`, counted as four characters a token, what
        fits least is left out. Each item is one line: what somebody said cannot pass for a heading. It is data, not
        instructions; fence it as such.
        """
        graph = self._where()
        return await context(
            graph, self._bound, query, ShortTermMemory(graph, self._bound).get_conversation,
            session_id=session_id, max_items=max_items, token_budget=token_budget, **scope,
        )  # fmt: skip

    async def stats(self, **scope: Unpack[ScopeIds]) -> dict[str, int]:
        """Return how many records of each kind an owner has."""
        graph = self._where()
        rows = await graph.read(graph.scope(self._bound, scope), TEXTS["counts"])
        return dict.fromkeys(COUNTED, 0) | {row["kind"]: row["count"] for row in rows}

    async def export(
        self,
        path: str | Path,
        *,
        everybody: bool = False,
        progress: Progress | None = None,
        **scope: Unpack[ScopeIds],
    ) -> int:
        """Write all of an owner's memory to a file of JSON Lines, and return how many records that is.

        With `everybody`, and then without a scope, all of all owners' memory, as a backup is. What this client has
        queued is committed first. The file is there as a whole or not at all. `progress` is told how many steps are
        done, and of how many. Raises InputError for `agent_id` and `run_id`, and OSError when the file cannot be
        written.
        """
        graph = self._where()
        if checks.flag("everybody", everybody):
            if self._bound.given or any(scope.values()):
                raise InputError("Everybody's memory has no scope.", hint="Leave the ids out, or everybody.")
            return await export(graph, await everyone(graph), Path(path), progress)
        return await export(graph, [graph.scope(self._bound, scope)], Path(path), progress)

    async def import_(self, path: str | Path, *, progress: Progress | None = None, **scope: Unpack[ScopeIds]) -> int:
        """Write what `export` wrote, under its ids, and return how many records that is.

        With a scope it becomes that owner's; without, it belongs to whom it belonged to. What is there already stays
        as it is, so an import that was interrupted can be repeated. `progress` is told how many records are done, and
        of how many. Raises InputError, before anything is written, for a file that is no export.
        """
        graph = self._where()
        whose = graph.scope(self._bound, scope) if self._bound.given or scope else None
        return await Importing(graph, whose).run(Path(path), progress)

    def scope(self, **scope: Unpack[ScopeIds]) -> "TypedMemory":
        """Return a view of this memory whose calls are all about these ids; a call may add to them, not change them.

        Raises InputError for ids that are blank, padded, too long, or no text.
        """
        return TypedMemory(self._where, self._bound.refined(scope))
