"""What `Memory` keeps in the graph: remembered statements, what they mention, and their history."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from perdure import ids
from perdure.graph.everybody import owners, take
from perdure.graph.names import MAX_NAME_LENGTH, fact_names, name_key
from perdure.graph.rows import IncompleteError, kept, properties, record
from perdure.graph.scope import Scope
from perdure.graph.statements import load
from perdure.graph.writing import Graph
from perdure.models import DeletionReport, ExportedMemory, Fact, MemoryEvent, MemoryEventName, MemoryRecord, Role
from perdure.plain import decode
from perdure.writes import Receipt

TEXTS = load("memories")
AT_ONCE = 5_000
"""Memories that are removed in one transaction."""
MANY_SPEAKERS = 200
MADE_BY_MEMORY = "memory:"
"""What the `source` of a fact begins with that stands for a relation found by `Memory`."""


class Stored:
    """A memory as it stands in the graph: read as far as it is looked at, since a search looks at many."""

    __slots__ = ("_node", "expired", "id", "name", "role", "said_at", "text")

    def __init__(self, node: dict[str, Any]) -> None:
        said_at = node.get("observed_at") or node.get("said")
        if node.get("public_id") is None or node.get("memory") is None or said_at is None:
            raise IncompleteError("A node in the graph is no memory: look at its public_id, memory and observed_at.")
        self._node = node
        self.id: str = node["public_id"]
        self.text: str = node["memory"]
        self.said_at: datetime = said_at if isinstance(said_at, datetime) else datetime.fromtimestamp(said_at, UTC)
        self.name: str | None = node.get("name")
        self.role: Role | None = node.get("role")
        self.expired: bool = node.get("expired", node.get("expired_at") is not None)

    @property
    def record(self) -> MemoryRecord:
        """The memory as callers get it."""
        return record(MemoryRecord, self._node)

    @property
    def metadata(self) -> dict[str, Any]:
        """What filters look at."""
        metadata = self._node.get("metadata")
        return decode(metadata) if metadata else {}

    @property
    def slot(self) -> str | None:
        """What it is the one answer to."""
        slot = self._node.get("slot")
        return None if slot is None else slot.removeprefix(scope_key(_scope(self._node)))

    @property
    def answer(self) -> str | None:
        """Its answer."""
        return self._node.get("answer")

    @property
    def place(self) -> tuple[str, int] | None:
        """The chat it was said in, and its number there."""
        chat, _, number = (self._node.get("place") or "").rpartition(":")
        return (chat, int(number)) if chat else None

    @property
    def exported(self) -> ExportedMemory:
        """The memory as an export holds it; its node has the keys of the names it mentions."""
        owner = _scope(self._node).owner
        return ExportedMemory(
            **dict(self.record), sort=self._node["sort"], slot=self.slot, answer=self.answer, place=self.place,
            mentions=sorted(key.removeprefix(owner) for key in self._node["mentions"]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """What is to become of one memory, and what its history says of that: a new one, or a change of another."""

    record: MemoryRecord
    event: MemoryEventName | None
    """None: nothing that its history would tell."""
    previous: str | None = None
    changes: Mapping[str, Any] | None = None
    """For one that is there: the properties that change. None: it is new."""
    slot: str | None = None
    answer: str | None = None
    place: tuple[str, int] | None = None
    mentions: Sequence[str] | None = ()
    """The names it mentions. None: as before, which is for changes that leave its words as they are."""
    moment: str = field(default_factory=ids.uuid7)


class Accepted(NamedTuple):
    """What was accepted before and is remembered now."""

    name: str
    done: bool
    """Whether this is the last of it."""


class Memories:
    """Reads and writes remembered statements, for one scope a call."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def accept(self, whose: Scope, said: str) -> str:
        """Queue what was said, as one text, to be remembered later; return its name when it is accepted."""
        name = ids.uuid7()
        entry = {**whose.ids(), "id": name, "said": said, "taken_by": self._graph.identity, "taken_at": ids.now()}
        given: dict[str, Any] = {"id": whose.key(name), "entry": kept(entry)}
        await self._graph.queue(whose, TEXTS["accept"], lane=lane_of(whose), **given)
        return name

    async def to_remember(self, held: Sequence[str], limit: int) -> list[tuple[Scope, str, str]]:
        """Return what was accepted and is still to be remembered: whose, its name, and what was said."""
        rows = await take(self._graph, self._graph.identity, held, limit)
        return [(_scope(row), row["public_id"], row["said"]) for row in rows]

    async def change(self, whose: Scope, written: Written, revision: str) -> Receipt:
        """Queue a change of one memory, which the caller makes findable; return when it is accepted."""
        return await self.remember(whose, [written], [], revision, None, follow=False)

    async def remember(  # noqa: PLR0913  all that is one write
        self, whose: Scope, written: Sequence[Written], facts: Sequence[Fact], revision: str,
        accepted: Accepted | None, *, follow: bool = True,
    ) -> Receipt:  # fmt: skip
        """Queue all of this, to be in the graph as a whole or not at all; return when it is accepted.

        What is `accepted` is kept only if it is still to be remembered. New memories the caller makes findable, and
        the index does the rest: changed ones and facts.
        """
        speakers = {each.record.name for each in written if each.changes is None and each.record.name}
        is_new = accepted is None and not facts and all(each.changes is None for each in written)
        return await self._graph.queue(
            whose,
            TEXTS["remember_new" if is_new else "remember"],
            lane=lane_of(whose),
            follow=follow and not is_new,
            added=[_added_row(whose, each) for each in written if each.changes is None],
            changed=[_changed_row(whose, each, each.changes) for each in written if each.changes is not None],
            facts=[_fact_row(whose, fact) for fact in facts],
            speakers=[_speaker_row(whose, name) for name in sorted(speakers)],
            revision=revision,
            accepted="" if accepted is None else whose.key(accepted.name),
            done=accepted is not None and accepted.done,
        )

    async def remember_again(self, whose: Scope, found: ExportedMemory) -> None:
        """Write what an export holds of a memory; one that is there stays as it is."""
        own = found.model_dump(include=set(MemoryRecord.model_fields))
        extra = _extra(whose, found.sort, found.slot, found.answer, found.place)
        given: dict[str, Any] = {
            "id": whose.key(found.id),
            "memory": _timed({**properties(MemoryRecord(**own)), **extra}),
            "mentions": _mentions(whose, found.mentions),
            "speakers": [_speaker_row(whose, found.name)] if found.name else [],
        }
        await self._graph.write_now(whose, TEXTS["remember_again"], **given)

    async def note(self, whose: Scope, event: MemoryEvent) -> None:
        """Write what an export holds of a memory's history."""
        row = _event_row(whose, vars(event))
        await self._graph.write_now(whose, TEXTS["note"], id=row["id"], event=row)

    async def related(self, whose: Scope, memory_ids: Sequence[str], slots: Sequence[str]) -> list[Stored]:
        """Return what is in the graph of these ids, and of what answers these slots of exactly this scope."""
        given: dict[str, Any] = {"ids": _keys(whose, memory_ids), "slots": [slot_key(whose, slot) for slot in slots]}
        return await self._graph.records(_stored, whose, TEXTS["related"], lane=UNORDERED, **given)

    async def get(self, whose: Scope, memory_ids: Sequence[str], *, settled: bool = False) -> list[Stored]:
        """Return the memories of these ids that there are, in no order; `settled` waits for what this client queued."""
        lane = lane_of(whose) if settled else UNORDERED
        return await self._graph.records(_stored, whose, TEXTS["memories"], lane=lane, ids=_keys(whose, memory_ids))

    async def candidates(self, whose: Scope, memory_ids: Sequence[str]) -> list[Stored]:
        """Return what a ranking looks at of these memories; they have no `record`."""
        wanted = _keys(whose, memory_ids)
        return await self._graph.records(Stored, whose, TEXTS["candidates"], lane=UNORDERED, ids=wanted)

    async def neighbours(self, whose: Scope, places: Sequence[tuple[str, int]]) -> list[Stored]:
        """Return the same of what stands at these places of chats."""
        texts = [place_text(place) for place in places]
        return await self._graph.records(Stored, whose, TEXTS["neighbours"], lane=UNORDERED, places=texts)

    async def mentioning(self, whose: Scope, names: Sequence[str], limit: int) -> list[str]:
        """Return the ids of the newest memories that mention one of these names."""
        given: dict[str, Any] = {"names": [name_key(whose, name) for name in names], "limit": limit}
        return [row["id"] for row in await self._graph.read(whose, TEXTS["mentioning"], lane=UNORDERED, **given)]

    async def speakers(self, whose: Scope) -> list[str]:
        """Return the names of those whose words are remembered."""
        rows = await self._graph.read(whose, TEXTS["speakers"], lane=UNORDERED, limit=MANY_SPEAKERS)
        return [row["name"] for row in rows]

    async def page(self, whose: Scope, after: str, limit: int, *, expired: bool) -> list[tuple[str, MemoryRecord]]:
        """Return memories in the order in which they were made, each with the mark that the next page begins after."""
        given: dict[str, Any] = {"after": after, "limit": limit, "expired": expired}
        return await self._graph.records(_with_mark, whose, TEXTS["page"], lane=lane_of(whose), **given)

    async def history(self, whose: Scope, memory_id: str) -> list[MemoryEvent]:
        """Return what became of a memory, oldest first."""
        told = {"lane": lane_of(whose), "memory": whose.key(memory_id)}
        return await self._graph.records(lambda row: record(MemoryEvent, row["e"]), whose, TEXTS["history"], **told)

    async def forget(self, whose: Scope, memory_id: str) -> bool:
        """Remove one memory, and note that in its history; return whether there was one."""
        event = MemoryEvent(id=ids.uuid7(), memory_id=memory_id, event="DELETE", created_at=ids.now(), **whose.ids())
        given: dict[str, Any] = {"id": whose.key(memory_id), "event": _event_row(whose, vars(event))}
        return bool(await self._graph.write_now(whose, TEXTS["forget"], **given))

    async def forget_all(self, whose: Scope) -> DeletionReport:
        """Remove every memory of a scope with its history, and what was noted with them; return how many that were."""
        await self._graph.settled(whose.owner)
        return DeletionReport(
            memories=await self._forget(whose, TEXTS["forget_memories"], "memory"),
            facts=await self._forget(whose, TEXTS["forget_facts"], "fact"),
            history=await self._forget(whose, TEXTS["forget_history"], None),
            speakers=await self._forget(whose, TEXTS["forget_speakers"], None),
            accepted=await self._forget(whose, TEXTS["forget_accepted"], None),
            names=await self._forget(whose, TEXTS["forget_names"], None),
        )

    async def forget_everybody(self) -> DeletionReport:
        """Do that for every owner."""
        total = DeletionReport()
        for whose in await owners(self._graph):
            gone = await self.forget_all(whose)
            total = DeletionReport(**{name: getattr(total, name) + count for name, count in gone})
        return total

    async def _forget(self, whose: Scope, statement: str, kind: Any) -> int:
        count = 0
        while True:
            [row] = await self._graph.write_now(whose, statement, most=AT_ONCE)
            if kind is not None:
                await self._graph.index.remove(whose.owner, kind, row["ids"])
            count += len(row["ids"])
            if len(row["ids"]) < AT_ONCE:
                return count


UNORDERED = "-"
"""A lane that has no writes: reads of it wait for nothing."""


def lane_of(whose: Scope) -> str:
    """Return the lane that a scope's memories are written in."""
    return f"{whose.owner}/memories"


@lru_cache(maxsize=4096)
def scope_key(whose: Scope) -> str:
    """Return a scope as one text that no other scope has."""
    return json.dumps(list(whose.ids().values()), ensure_ascii=False, separators=(",", ":"))


def slot_key(whose: Scope, slot: str) -> str:
    """Return what a slot of exactly this scope is called in the graph."""
    return f"{scope_key(whose)}{slot}"


def place_text(place: tuple[str, int]) -> str:
    """Return a place in a chat as one text."""
    return f"{place[0]}:{place[1]}"


def of_record(whose: Scope, found: MemoryRecord) -> Scope:
    """Return the scope that a memory of an owner was made in."""
    return replace(whose, agent_id=found.agent_id, run_id=found.run_id)


def _stored(row: dict[str, Any]) -> Stored:
    return Stored(row["m"])


def _with_mark(row: dict[str, Any]) -> tuple[str, MemoryRecord]:
    found = record(MemoryRecord, row["m"])
    return row["m"]["sort"], found


def _keys(whose: Scope, memory_ids: Sequence[str]) -> list[str]:
    return [whose.key(each) for each in memory_ids]


def _added_row(whose: Scope, written: Written) -> dict[str, Any]:
    extra = _extra(whose, written.moment, written.slot, written.answer, written.place)
    row = _row(whose, written, {**properties(written.record), **extra})
    return {**row, "mentions": _mentions(whose, written.mentions or ())}


def _changed_row(whose: Scope, written: Written, changes: Mapping[str, Any]) -> dict[str, Any]:
    row = _row(whose, written, changes)
    mentions = _mentions(whose, written.mentions or ())
    return {**row, "mentions": mentions, "has_other_words": written.mentions is not None}


def _extra(
    whose: Scope, sort: str, slot: str | None, answer: str | None, place: tuple[str, int] | None
) -> dict[str, Any]:
    """Return the properties that are no part of the record."""
    scoped = None if slot is None else slot_key(whose, slot)
    return kept({"sort": sort, "slot": scoped, "answer": answer, "place": None if place is None else place_text(place)})


def _mentions(whose: Scope, names: Sequence[str]) -> list[str]:
    return sorted({name_key(whose, name) for name in names if len(name) <= MAX_NAME_LENGTH})


def _row(whose: Scope, written: Written, memory: Mapping[str, Any]) -> dict[str, Any]:
    events = [] if written.event is None else [_event_row(whose, _event(whose, written))]
    return {"id": whose.key(written.record.id), "memory": _timed(memory), "events": events}


def _timed(memory: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties with the moment something was said as a number, too: what rankings read."""
    return {**memory, "said": memory["observed_at"].timestamp()} if "observed_at" in memory else dict(memory)


def _event(whose: Scope, written: Written) -> Mapping[str, Any]:
    """Return the fields of the MemoryEvent that tells what becomes of a memory."""
    told = written.record
    return {
        **whose.ids(), "id": written.moment, "memory_id": told.id, "event": written.event, "memory": told.memory,
        "previous": written.previous, "created_at": told.updated_at,
    }  # fmt: skip


def _event_row(whose: Scope, noted: Mapping[str, Any]) -> dict[str, Any]:
    key = whose.key(f"{noted['memory_id']}/{noted['id']}")
    return {**kept(noted), "id": key, "memory_key": whose.key(noted["memory_id"])}


def _fact_row(whose: Scope, fact: Fact) -> dict[str, Any]:
    return {"id": whose.key(fact.id), "fact": properties(fact), **fact_names(whose, fact.subject, fact.object)}


def _speaker_row(whose: Scope, name: str) -> dict[str, Any]:
    return {**kept(whose.ids()), "id": whose.key(f"{scope_key(whose)}{name}"), "name": name}


def _scope(node: Mapping[str, Any]) -> Scope:
    return Scope(node.get("tenant"), node.get("user_id"), node.get("agent_id"), node.get("run_id"))
