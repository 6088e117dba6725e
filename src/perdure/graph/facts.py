"""Dated facts, and preferences: what is superseded stays, and says until when it was true."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar, Unpack

from perdure import ids
from perdure.errors import NotFoundError, shorten
from perdure.graph import checks
from perdure.graph.entities import Entities
from perdure.graph.names import fact_names
from perdure.graph.rows import properties, record
from perdure.graph.scope import ScopeIds, check_id
from perdure.graph.statements import load
from perdure.graph.times import holds, interval
from perdure.models import Entity, Fact, Preference

TEXTS = load("facts")
D = TypeVar("D", Fact, Preference)


class Facts(Entities):
    """The part of long-term memory that is about facts and preferences."""

    async def add_fact(  # noqa: PLR0913  the parts of a fact
        self,
        subject: str | Entity,
        predicate: str,
        object: str | Entity,  # noqa: A002  the surface's own name
        *,
        confidence: float = 1.0,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
        source: str | None = None,
        **scope: Unpack[ScopeIds],
    ) -> Fact:
        """Remember a statement, and since and until when it is true; return the fact.

        It is about every entity that its subject or object names, now or later.
        """
        whose = self._graph.scope(self._bound, scope, subject)
        start, end = interval(valid_from, valid_until)
        fact = Fact(
            id=ids.uuid7(), subject=check_id("subject", _name(subject)), object=checks.filled("object", _name(object)),
            predicate=checks.filled("predicate", predicate), confidence=checks.share("confidence", confidence),
            valid_from=start, valid_until=end, source=checks.optional("source", source), created_at=ids.now(),
            **whose.ids(),
        )  # fmt: skip
        await self._graph.write(
            whose, TEXTS["add_fact"], lane=whose.owner, id=whose.key(fact.id), fact=properties(fact),
            **fact_names(whose, fact.subject, fact.object),
        )  # fmt: skip
        return self._graph.recorded(fact)

    async def get_facts_about(
        self,
        entity: str | Entity,
        *,
        as_of: datetime | None = None,
        include_expired: bool = False,
        **scope: Unpack[ScopeIds],
    ) -> list[Fact]:
        """Return the facts about an entity or a name, oldest first.

        `as_of` asks for what was true at that moment, superseded since or not. Without it, what is superseded is left
        out unless `include_expired`.
        """
        whose = self._graph.scope(self._bound, scope, entity)
        moment = checks.moment("as_of", as_of)
        names = await self._names_of(whose, entity)
        found = await self._graph.records(_fact, whose, TEXTS["facts_about"], lane=whose.owner, names=names)
        return _holding(found, moment, include_expired=include_expired)

    async def supersede_fact(self, old: str | Fact, new: str | Fact, **scope: Unpack[ScopeIds]) -> Fact:
        """Say that one fact takes another's place, and return the old one, expired; it was true until the new one is.

        It is so when this returns, in every mode. Raises NotFoundError.
        """
        return await self._supersede(Fact, TEXTS["supersede_fact"], old, new, scope)

    async def delete_fact(self, fact: str | Fact, **scope: Unpack[ScopeIds]) -> bool:
        """Remove a fact as if it had never been known; return whether there was one."""
        return await self._delete(TEXTS["delete_fact"], fact, scope)

    async def add_preference(
        self,
        category: str,
        preference: str,
        *,
        context: str | None = None,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
        **scope: Unpack[ScopeIds],
    ) -> Preference:
        """Remember what somebody prefers, and return it. Nothing is merged with what sounds like it."""
        whose = self._graph.scope(self._bound, scope)
        start, end = interval(valid_from, valid_until)
        made = Preference(
            id=ids.uuid7(), category=check_id("category", category), preference=checks.filled("preference", preference),
            context=checks.optional("context", context), valid_from=start, valid_until=end, created_at=ids.now(),
            **whose.ids(),
        )  # fmt: skip
        given: dict[str, Any] = {"id": whose.key(made.id), "preference": properties(made)}
        await self._graph.write(whose, TEXTS["add_preference"], lane=whose.owner, **given)
        return self._graph.recorded(made)

    async def get_preferences(
        self,
        *,
        category: str | None = None,
        as_of: datetime | None = None,
        include_expired: bool = False,
        **scope: Unpack[ScopeIds],
    ) -> list[Preference]:
        """Return preferences, oldest first; `as_of` and `include_expired` as for facts."""
        whose = self._graph.scope(self._bound, scope)
        moment = checks.moment("as_of", as_of)
        wanted = checks.optional("category", category)
        found = await self._graph.records(_preference, whose, TEXTS["preferences"], lane=whose.owner, category=wanted)
        return _holding(found, moment, include_expired=include_expired)

    async def supersede_preference(
        self, old: str | Preference, new: str | Preference, **scope: Unpack[ScopeIds]
    ) -> Preference:
        """Say that one preference takes another's place, as `supersede_fact` does, and return the old one."""
        return await self._supersede(Preference, TEXTS["supersede_preference"], old, new, scope)

    async def delete_preference(self, preference: str | Preference, **scope: Unpack[ScopeIds]) -> bool:
        """Remove a preference as if it had never been known; return whether there was one."""
        return await self._delete(TEXTS["delete_preference"], preference, scope)

    async def _supersede(self, kind: type[D], statement: str, old: str | D, new: str | D, scope: ScopeIds) -> D:
        whose = self._graph.scope(self._bound, scope, old)
        given = {"old": whose.key(_id(old)), "new": whose.of(new).key(_id(new))}
        rows = await self._graph.write_now(whose, statement, **given)
        if not rows:
            raise NotFoundError(f"There is no {kind.__name__.lower()} {_shown(old)}, or none {_shown(new)}.")
        return record(kind, rows[0]["old"])

    async def _delete(self, statement: str, given: str | Fact | Preference, scope: ScopeIds) -> bool:
        whose = self._graph.scope(self._bound, scope, given)
        return bool(await self._graph.write_now(whose, statement, id=whose.key(_id(given))))


def _fact(row: dict[str, Any]) -> Fact:
    return record(Fact, row["f"])


def _preference(row: dict[str, Any]) -> Preference:
    return record(Preference, row["p"])


def _holding(found: Iterable[D], moment: datetime | None, *, include_expired: bool) -> list[D]:
    """Return what is to be shown of some records, oldest first."""
    shown = [each for each in found if holds(each, moment, include_expired=include_expired)]
    return sorted(shown, key=lambda each: (each.created_at, each.id))


def _name(entity: str | Entity) -> str:
    return entity.name if isinstance(entity, Entity) else entity


def _id(given: str | Fact | Preference) -> str:
    return check_id("id", given if isinstance(given, str) else given.id)


def _shown(given: str | Fact | Preference) -> str:
    return shorten(repr(_id(given)), 60)
