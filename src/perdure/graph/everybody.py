"""What is about everybody's memories: for emptying everything, and for going on where a process was stopped."""

import contextlib
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from perdure import ids
from perdure.errors import InputError
from perdure.graph.scope import Scope
from perdure.graph.statements import load
from perdure.graph.writing import Graph

TEXTS = load("everybody")
STALE = timedelta(minutes=10)
"""After how long another process's work is taken for left."""


async def owners(graph: Graph) -> list[Scope]:
    """Return everybody who has memories, or a history of them."""
    return _scopes(await graph.for_everybody(TEXTS["owners"], {}))


async def everyone(graph: Graph) -> list[Scope]:
    """Return everybody who has anything at all, also those who have nothing but their name."""
    rows = await graph.for_everybody(TEXTS["all_owners"], {})
    noted = await graph.for_everybody(TEXTS["noted_users"], {})
    users = [Scope(tenant=row["tenant"], user_id=row["user_id"]) for row in noted]
    return list(dict.fromkeys([*_scopes(rows), *users]))


def _scopes(rows: Sequence[dict[str, Any]]) -> list[Scope]:
    """Return the owners of nodes; other libraries use the same labels, and may say `owner` of something else."""
    found: list[Scope] = []
    for row in rows:
        with contextlib.suppress(InputError, ValueError, TypeError):
            tenant, user_id = json.loads(row["owner"])
            whose = Scope(tenant=tenant, user_id=user_id)
            if whose.owner == row["owner"]:
                found.append(whose)
    return found


async def take(graph: Graph, taker: str, held: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """Become the one who sees to what is still to be remembered, but for what is `held` already; return some of it."""
    now = ids.now()
    given = {"taker": taker, "held": list(held), "limit": limit, "now": now, "stale": now - STALE}
    return [row["t"] for row in await graph.for_everybody(TEXTS["take"], given, writes=True)]
