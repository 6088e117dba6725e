"""The users of a tenant, and forgetting one of them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from perdure import ids
from perdure.errors import InputError
from perdure.graph import checks
from perdure.graph.rows import properties, record
from perdure.graph.scope import Scope, check_id
from perdure.graph.statements import load
from perdure.graph.transfer import export
from perdure.graph.writing import Graph
from perdure.models import DeletionReport, User
from perdure.plain import encode

TEXTS = load("users")
AT_ONCE = 10_000
KINDS = {
    "tool_calls": TEXTS["tool_calls"],
    "steps": TEXTS["steps"],
    "traces": TEXTS["traces"],
    "messages": TEXTS["messages"],
    "facts": TEXTS["facts"],
    "preferences": TEXTS["preferences"],
    "accepted": TEXTS["accepted"],
    "memories": TEXTS["memories"],
    "history": TEXTS["history"],
    "speakers": TEXTS["speakers"],
    "entities": TEXTS["entities"],
    "names": TEXTS["names"],
    "conversations": TEXTS["conversations"],
}
"""In an order that leaves nothing hanging on what is gone already."""


class Users:
    """Who the users of a tenant are. A user need not stand here to have memory.

    Calls take the user's id, and `tenant` where there are several.
    """

    def __init__(self, graph: Graph, bound: Scope) -> None:
        self._graph = graph
        self._bound = bound

    def _whose(self, user_id: object, tenant: str | None) -> tuple[Scope, Scope]:
        """Return the tenant's scope, in which users are kept, and the user's own."""
        if self._bound.agent_id is not None or self._bound.run_id is not None:
            raise InputError("Users are a tenant's, not an agent's or a run's.", hint="Use client.users.")
        given = {"user_id": check_id("user_id", user_id)} if user_id is not None else {}
        own = self._graph.scope(self._bound, {**given, "tenant": tenant})  # pyright: ignore[reportArgumentType]
        return replace(own, user_id=None), own

    async def upsert(
        self,
        user_id: str,
        *,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tenant: str | None = None,
    ) -> User:
        """Make a user known, or change the name and the metadata of one where these are given; return the user."""
        whose, own = self._whose(user_id, tenant)
        moment = ids.now()
        changes: dict[str, Any] = {} if name is None else {"name": checks.text("name", name)}
        if metadata is not None:
            changes["metadata"] = encode(checks.plain_map("metadata", metadata))
        user = User(user_id=user_id, tenant=own.tenant, created_at=moment, updated_at=moment)
        rows = await self._graph.write_now(
            whose, TEXTS["upsert"], id=whose.key(user_id), user=properties(user), changes=changes
        )
        return _user(rows[0])

    async def get(self, user_id: str, *, tenant: str | None = None) -> User | None:
        """Return a user, or None."""
        whose, _ = self._whose(user_id, tenant)
        found = await self._graph.records(_user, whose, TEXTS["user"], lane=whose.owner, id=whose.key(user_id))
        return found[0] if found else None

    async def list(self, *, limit: int = 100, offset: int = 0, tenant: str | None = None) -> list[User]:
        """Return the users of a tenant in order of their ids."""
        whose, _ = self._whose(None, tenant)
        page: dict[str, Any] = {"limit": checks.limit(limit), "offset": checks.limit(offset, "offset", 0)}
        return await self._graph.records(_user, whose, TEXTS["users"], lane=whose.owner, **page)

    async def delete(self, user_id: str, *, tenant: str | None = None) -> DeletionReport:
        """Forget everything that belongs to a user, and the user; return what that was.

        What this client has queued for the user is committed first, and forgotten with the rest; the report counts
        it. It is gone when this returns; interrupted, it can be called again. Typed calls for the user that became
        dead letters are dropped, where this client has a journal open: in sync mode it need not have.
        """
        whose, own = self._whose(user_id, tenant)
        self._graph.known.forget_owner(own.owner)
        gone = {kind: await self._forget(own, text) for kind, text in KINDS.items()}
        await self._graph.index.forget(own.owner)
        letters = await self._graph.drop_letters(own.owner)
        known = await self._graph.write_now(whose, TEXTS["forget_user"], id=whose.key(user_id))
        return DeletionReport(**gone, dead_letters=letters, users=len(known))

    async def _forget(self, own: Scope, statement: str) -> int:
        count = 0
        while True:
            [row] = await self._graph.write_now(own, statement, most=AT_ONCE)
            count += row["n"]
            if row["n"] < AT_ONCE:
                return count

    async def export(self, user_id: str, path: str | Path, *, tenant: str | None = None) -> int:
        """Write everything that belongs to a user to a file, as `client.export` does; return how many records."""
        _, own = self._whose(user_id, tenant)
        return await export(self._graph, [own], Path(path))


def _user(row: dict[str, Any]) -> User:
    return record(User, row["u"])
