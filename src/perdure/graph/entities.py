"""Entities, found by their names and aliases, and what one is to another."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack

from perdure import ids
from perdure.errors import ConflictError, InputError, NotFoundError, shorten
from perdure.graph import checks
from perdure.graph.names import entity_id, is_uuid, name_key
from perdure.graph.rows import properties, record
from perdure.graph.scope import Scope, ScopeIds, check_id
from perdure.graph.statements import load
from perdure.graph.times import holds, interval
from perdure.graph.writing import Graph
from perdure.models import Entity, Related, Relationship
from perdure.plain import encode

TEXTS = load("entities")
MAX_DEPTH = 5
_TYPE = re.compile(r"\w{1,64}")


class Entities:
    """The part of long-term memory that is about entities."""

    def __init__(self, graph: Graph, bound: Scope) -> None:
        self._graph = graph
        self._bound = bound

    async def add_entity(
        self,
        name: str,
        type: str,  # noqa: A002  the surface's own name
        *,
        aliases: Sequence[str] = (),
        attributes: Mapping[str, Any] | None = None,
        description: str | None = None,
        **scope: Unpack[ScopeIds],
    ) -> Entity:
        """Remember somebody or something, and return the entity. One name and type in one scope is one entity.

        Added again it gets the new aliases, and a description and attributes where it had none; `update_entity`
        changes these. In deferred mode what is returned holds what this call gave.
        """
        whose = self._graph.scope(self._bound, scope)
        moment = ids.now()
        entity = Entity(
            id=entity_id(whose, check_id("type", type), check_id("name", name)), name=name, type=type,
            aliases=_aliases(aliases), attributes=checks.plain_map("attributes", attributes),
            description=checks.optional("description", description), created_at=moment, updated_at=moment,
            **whose.ids(),
        )  # fmt: skip
        made: dict[str, Any] = {
            "id": whose.key(entity.id), "names": _keys(whose, [name, *entity.aliases]),
            "entity": properties(entity, "aliases", "attributes", "description"),
        }  # fmt: skip
        rows = await self._graph.write(
            whose, TEXTS["add_entity"], lane=whose.owner, aliases=[*entity.aliases], description=entity.description,
            attributes=encode(entity.attributes) if entity.attributes else None, **made,
        )  # fmt: skip
        self._learn(whose, entity.id, made)
        return self._graph.recorded(_entity(rows[0]) if rows else entity)

    def _learn(self, whose: Scope, entity_id: str, made: dict[str, Any]) -> None:
        known, receipt = self._graph.known, self._graph.queued_last(whose.owner)
        for key in (made["id"], *made["names"]):
            known.add_entities(key, tuple(dict.fromkeys([*known.entities(key), entity_id])))
        if receipt is not None:
            known.queue_entity(made["id"], made, receipt)

    async def get_entity(
        self,
        id_or_name: str | Entity,
        *,
        type: str | None = None,  # noqa: A002  as add_entity
        **scope: Unpack[ScopeIds],
    ) -> Entity | None:
        """Return an entity by its id, its name or an alias, ignoring case; or None. Of several, the oldest."""
        whose = self._graph.scope(self._bound, scope, id_or_name)
        found = await self._find(whose, id_or_name, None if type is None else check_id("type", type))
        return found[0] if found else None

    async def _find(self, whose: Scope, wanted: object, kind: str | None = None) -> list[Entity]:
        word = check_id("entity", wanted.id if isinstance(wanted, Entity) else wanted)
        if is_uuid(word):
            found = await self._graph.records(
                _entity, whose, TEXTS["entity"], lane=whose.owner, id=whose.key(word), type=kind
            )
            if found:
                return found
        return await self._graph.records(
            _entity, whose, TEXTS["entities_by_name"], lane=whose.owner, name=name_key(whose, word), type=kind
        )

    async def _one(self, whose: Scope, wanted: object) -> Entity:
        """Return the one entity that is meant; raises NotFoundError, and ConflictError when it may be several."""
        found = await self._find(whose, wanted)
        if not found:
            raise NotFoundError(f"There is no entity {_shown(wanted)}.", hint="Add it first.")
        if len(found) > 1:
            raise ConflictError(f"{len(found)} entities are called {_shown(wanted)}.", hint="Pass the id of one.")
        return found[0]

    async def update_entity(
        self,
        entity: str | Entity,
        *,
        name: str | None = None,
        description: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        aliases: Sequence[str] = (),
        **scope: Unpack[ScopeIds],
    ) -> Entity:
        """Change an entity and return it; its id stays, a name it had becomes an alias, `attributes` are replaced.

        What is not given stays. It is changed when this returns, in every mode. Raises NotFoundError.
        """
        whose = self._graph.scope(self._bound, scope, entity)
        new = _aliases(aliases)
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = check_id("name", name)
        if description is not None:
            changes["description"] = checks.text("description", description)
        if attributes is not None:
            changes["attributes"] = encode(checks.plain_map("attributes", attributes))
        found = await self._one(whose, entity)
        rows = await self._graph.write_now(
            whose, TEXTS["update_entity"], id=whose.key(found.id), name=name, aliases=new, changes=changes,
            names=_keys(whose, [*new, *([name] if name else [])]),
        )  # fmt: skip
        if not rows:
            raise NotFoundError(f"There is no entity {_shown(entity)} any more.")
        self._graph.known.forget_names(_keys(whose, [*new, *([name] if name else [])]))
        return _entity(rows[0])

    async def merge_entities(self, keep: str | Entity, drop: str | Entity, **scope: Unpack[ScopeIds]) -> Entity:
        """Make one entity of two and return it: `keep` with the names, relationships and tool calls of both.

        What `keep` has of description and attributes stays. It is so when this returns, in every mode. Raises
        NotFoundError, and InputError when both are the same.
        """
        whose = self._graph.scope(self._bound, scope, keep)
        kept, dropped = await self._one(whose, keep), await self._one(whose.of(drop), drop)
        if kept.id == dropped.id:
            raise InputError(f"{_shown(keep)} and {_shown(drop)} are one entity already.")
        self._graph.known.forget_owner(whose.owner)
        given = {"keep": whose.key(kept.id), "drop": whose.key(dropped.id)}
        if not await self._graph.write_now(whose, TEXTS["merge_entities"], **given):
            raise NotFoundError("One of the two entities is not there any more.")
        return await self._one(whose, kept)

    async def delete_entity(self, entity: str | Entity, **scope: Unpack[ScopeIds]) -> bool:
        """Forget an entity with its relationships; return whether there was one. Facts about its name stay."""
        whose = self._graph.scope(self._bound, scope, entity)
        found = await self._find(whose, entity)
        if len(found) > 1:
            raise ConflictError(f"{len(found)} entities are called {_shown(entity)}.", hint="Pass the id of one.")
        self._graph.known.forget_owner(whose.owner)
        deleted = [await self._graph.write_now(whose, TEXTS["delete_entity"], id=whose.key(each.id)) for each in found]
        return any(deleted)

    async def add_relationship(  # noqa: PLR0913  the parts of a relationship
        self,
        source: str | Entity,
        type: str,  # noqa: A002  the surface's own name
        target: str | Entity,
        *,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
        attributes: Mapping[str, Any] | None = None,
        **scope: Unpack[ScopeIds],
    ) -> Relationship:
        """Say what one entity is to another, and since and until when; return the relationship.

        A type is one word of letters, digits and underscores. Raises NotFoundError when an end is not there.
        """
        whose = self._graph.scope(self._bound, scope, source)
        if not isinstance(type, str) or not _TYPE.fullmatch(type):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(f"type = {shorten(repr(type), 60)} should be a word such as 'WORKS_AT'.")
        start, end = interval(valid_from, valid_until)
        kept = checks.plain_map("attributes", attributes)
        ends = [await self._end(whose, each) for each in (source, target)]
        made = Relationship(
            id=ids.uuid7(), source=ends[0], type=type, target=ends[1], attributes=kept, valid_from=start,
            valid_until=end, created_at=ids.now(), **whose.ids(),
        )  # fmt: skip
        rows = await self._graph.write(
            whose, TEXTS["add_relationship"], lane=whose.owner, id=whose.key(made.id), source=whose.key(made.source),
            target=whose.key(made.target), relationship=properties(made),
        )  # fmt: skip
        if rows == []:
            raise NotFoundError("One of the two entities is not there any more.")
        return self._graph.recorded(made)

    async def _end(self, whose: Scope, entity: str | Entity) -> str:
        """Return the id of an entity, asking the graph only where this client does not know it."""
        word = entity.id if isinstance(entity, Entity) else check_id("entity", entity)
        if is_uuid(word) and self._graph.known.entities(whose.of(entity).key(word)):
            return word
        return (await self._one(whose.of(entity), entity)).id

    async def get_related(  # noqa: PLR0913  what may be asked
        self,
        entity: str | Entity,
        *,
        types: Collection[str] | None = None,
        depth: int = 1,
        limit: int = 100,
        as_of: datetime | None = None,
        include_expired: bool = False,
        **scope: Unpack[ScopeIds],
    ) -> list[Related]:
        """Return the entities around one, nearest first, each with the relationship that led to it.

        `depth` is from 1 to 5. `as_of` asks for what was true at that moment. Raises NotFoundError.
        """
        whose = self._graph.scope(self._bound, scope, entity)
        if checks.limit(depth, "depth") > MAX_DEPTH:
            raise InputError(f"depth = {depth} is more than {MAX_DEPTH}.")
        if isinstance(types, str):
            raise InputError("types should be a list of types, not a text.")
        most, moment = checks.limit(limit), checks.moment("as_of", as_of)
        start = await self._one(whose, entity)
        seen, frontier, found = {start.id}, [start.id], list[Related]()
        for distance in range(1, depth + 1):
            reached: dict[str, Related] = {}
            for each in await self._step(whose, frontier, distance):
                wanted = types is None or each.relationship.type in types
                if wanted and holds(each.relationship, moment, include_expired=include_expired):
                    reached.setdefault(each.entity.id, each)
            new = [each for key, each in reached.items() if key not in seen]
            found += new
            frontier = [each.entity.id for each in new]
            seen |= reached.keys()
            if not frontier or len(found) >= most:
                break
        return found[:most]

    async def _step(self, whose: Scope, frontier: Sequence[str], distance: int) -> list[Related]:
        keys = [whose.key(each) for each in frontier]

        def step(row: dict[str, Any]) -> Related:
            return Related(entity=record(Entity, row["b"]), relationship=record(Relationship, row["r"]), depth=distance)

        steps = await self._graph.records(step, whose, TEXTS["related"], lane=whose.owner, entities=keys)
        return sorted(steps, key=lambda each: (each.relationship.created_at, each.relationship.id))

    async def _names_of(self, whose: Scope, entity: object) -> list[str]:
        """Return the keys of all names of what is asked for, which need not be an entity."""
        word = check_id("entity", entity.id if isinstance(entity, Entity) else entity)
        key = name_key(whose, word)
        rows = await self._graph.read(whose, TEXTS["names_of"], lane=whose.owner, id=whose.key(word), name=key)
        return sorted({key, *(row["key"] for row in rows)})


def _entity(row: dict[str, Any]) -> Entity:
    return record(Entity, row["e"])


def _aliases(aliases: Sequence[str]) -> list[str]:
    if isinstance(aliases, str):
        raise InputError("aliases should be a list of names, not a text.")
    return list(dict.fromkeys(check_id("alias", alias) for alias in aliases))


def _keys(whose: Scope, names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name_key(whose, name) for name in names))


def _shown(entity: object) -> str:
    return shorten(repr(entity.id if isinstance(entity, Entity) else entity), 60)
