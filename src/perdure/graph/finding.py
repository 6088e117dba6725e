"""Searching long-term memory."""

from datetime import datetime
from functools import partial
from typing import Any, Unpack

from perdure.graph import checks
from perdure.graph.facts import Facts
from perdure.graph.scope import ScopeIds, check_id
from perdure.graph.search import question, search
from perdure.graph.times import holds
from perdure.models import Entity, Fact, Hit, Preference, Timed


class Finding(Facts):
    """The part of long-term memory that finds by meaning and by words.

    `limit` is at most 1,000; `threshold` is the least cosine, from 0 to 1, that a hit's meaning has to the query's.
    Raises InputError for a blank query.
    """

    async def search_entities(
        self,
        query: str,
        *,
        type: str | None = None,  # noqa: A002  as add_entity
        limit: int = 10,
        threshold: float | None = None,
        **scope: Unpack[ScopeIds],
    ) -> list[Hit[Entity]]:
        """Return the entities that fit a query best, by their names, aliases and descriptions."""
        whose = self._graph.scope(self._bound, scope)
        where = {"$type": None if type is None else check_id("type", type)}
        asked = question("entity", query, limit=limit, threshold=threshold, where=where)
        return await search(self._graph, whose, asked)

    async def search_facts(
        self,
        query: str,
        *,
        limit: int = 10,
        threshold: float | None = None,
        as_of: datetime | None = None,
        include_expired: bool = False,
        **scope: Unpack[ScopeIds],
    ) -> list[Hit[Fact]]:
        """Return the facts that fit a query best; `as_of` and `include_expired` as for `get_facts_about`."""
        whose = self._graph.scope(self._bound, scope)
        shown = _shown(as_of, include_expired=include_expired)
        return await search(self._graph, whose, question("fact", query, limit=limit, threshold=threshold, **shown))

    async def search_preferences(
        self,
        query: str,
        *,
        limit: int = 10,
        threshold: float | None = None,
        as_of: datetime | None = None,
        include_expired: bool = False,
        **scope: Unpack[ScopeIds],
    ) -> list[Hit[Preference]]:
        """Return the preferences that fit a query best; `as_of` and `include_expired` as for `get_preferences`."""
        whose = self._graph.scope(self._bound, scope)
        shown = _shown(as_of, include_expired=include_expired)
        return await search(
            self._graph, whose, question("preference", query, limit=limit, threshold=threshold, **shown)
        )


def _shown(as_of: datetime | None, *, include_expired: bool) -> dict[str, Any]:
    moment = checks.moment("as_of", as_of)
    wanted: Any = partial(_holds, moment, include_expired)
    return {"include_expired": include_expired or moment is not None, "keep": wanted}


def _holds(moment: datetime | None, include_expired: bool, timed: Timed) -> bool:  # noqa: FBT001  bound by position
    return holds(timed, moment, include_expired=include_expired)
