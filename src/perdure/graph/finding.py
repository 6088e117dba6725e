"""Searching long-term memory."""

from datetime import datetime
from functools import partial
from typing import Any, Unpack

from perdure.graph import checks
from perdure.graph.facts import Facts
from perdure.graph.scope import ScopeIds, check_id
from perdure.graph.search import question, search
from perdure.graph.times import holds
from perdure.models import Entity, Fact, Hit, Preference
from perdure.records import VectorKind


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
        asked = question(("entity",), query, limit=limit, threshold=threshold, where=where)
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
        return await self._search_dated(
            "fact", query, scope, limit=limit, threshold=threshold, as_of=as_of, include_expired=include_expired
        )

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
        return await self._search_dated(
            "preference", query, scope, limit=limit, threshold=threshold, as_of=as_of, include_expired=include_expired
        )

    async def _search_dated(  # noqa: PLR0913  what both of the above are asked
        self,
        kind: VectorKind,
        query: str,
        scope: ScopeIds,
        *,
        limit: int,
        threshold: float | None,
        as_of: datetime | None,
        include_expired: bool,
    ) -> list[Hit[Any]]:
        whose = self._graph.scope(self._bound, scope)
        moment = checks.moment("as_of", as_of)
        asked = question(
            (kind,), query, limit=limit, threshold=threshold, include_expired=include_expired or moment is not None,
            keep=partial(holds, as_of=moment, include_expired=include_expired),
        )  # fmt: skip
        return await search(self._graph, whose, asked)
