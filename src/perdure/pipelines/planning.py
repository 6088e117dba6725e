"""From decisions to what is written: which memories there will be, which change, and what the caller is told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from perdure import ids
from perdure.graph.memories import MADE_BY_MEMORY, Stored, Written, scope_key
from perdure.graph.scope import Scope
from perdure.models import Fact, MemoryRecord
from perdure.pipelines.identity import memory_id
from perdure.pipelines.statements import Decision, Existing, Extracted, Relation
from perdure.plain import encode
from perdure.results import Remembered

STATEMENTS_AT_A_TIME = 100
"""What takes some ten milliseconds to decide and to write down, for which everybody else waits."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that one call writes."""

    written: tuple[Written, ...]
    facts: tuple[Fact, ...]
    results: tuple[Remembered, ...]
    added: tuple[tuple[int, Written], ...]
    """The new memories, each with the number of its statement."""


def existing_of(stored: Stored) -> Existing:
    """Return what a decision needs to know of a memory."""
    return Existing(
        id=stored.id,
        text=stored.text,
        said_at=stored.said_at,
        name=stored.name,
        slot=stored.slot,
        value=stored.answer,
        expired=stored.expired,
        in_own_words=stored.role is not None,
    )


class Part(NamedTuple):
    """Some of what was found in one call."""

    found: Extracted
    first: int
    """The number of its first statement."""
    is_last: bool


def in_parts(found: Extracted) -> Iterator[Part]:
    """Yield what was found, as many statements at a time as are dealt with in one go; relations go with the last."""
    count = len(found.statements)
    for first in range(0, max(count, 1), STATEMENTS_AT_A_TIME):
        is_last = first + STATEMENTS_AT_A_TIME >= count
        statements = found.statements[first : first + STATEMENTS_AT_A_TIME]
        yield Part(Extracted(statements, found.relations if is_last else ()), first, is_last)


def plan(whose: Scope, part: Part, decisions: Sequence[Decision], chat: str) -> Plan:
    """Return what is to be written of decisions, in their order; `chat` is where the statements were made."""
    return _Planner(whose, part, chat).plan(decisions)


class _Planner:
    """Makes one plan."""

    def __init__(self, whose: Scope, part: Part, chat: str) -> None:
        self._whose = whose
        self._chat = chat
        self._found = part.found
        self._numbers = {id(each): number for number, each in enumerate(part.found.statements, part.first)}
        self._now = ids.now()
        self._written: list[Written] = []
        self._results: list[Remembered] = []
        self._added: list[tuple[int, Written]] = []

    def plan(self, decisions: Sequence[Decision]) -> Plan:
        for decision in decisions:
            self._take(decision)
        source = self._results[0].id if self._results else ""
        facts = tuple(self._fact(relation, source) for relation in self._found.relations)
        return Plan(tuple(self._written), facts, tuple(self._results), tuple(self._added))

    def _take(self, decision: Decision) -> None:
        earlier = decision.existing
        previous = decision.replaces[-1].text if decision.replaces else None
        for old in decision.replaces:
            self._expire(old, decision)
        if earlier is None:
            self._add(decision, previous)
        elif decision.memory != earlier:
            self._change(decision, earlier)
        if decision.event == "UPDATE" and earlier is not None:
            previous = earlier.text
        self._results.append(
            Remembered(id=decision.id, memory=decision.memory.text, event=decision.event, previous=previous)
        )

    def _add(self, decision: Decision, previous: str | None) -> None:
        statement, number = decision.statement, self._numbers[id(decision.statement)]
        written = Written(
            self._record(decision),
            "SUPERSEDE" if decision.replaces else "ADD",
            previous,
            slot=statement.slot,
            answer=statement.value,
            place=None if statement.role is None else (self._chat, number),
            mentions=statement.entities,
        )
        self._written.append(written)
        self._added.append((number, written))

    def _record(self, decision: Decision) -> MemoryRecord:
        statement, outdated = decision.statement, decision.outdated
        over: dict[str, Any] = {}
        if outdated is not None:
            over = {"expired_at": self._now, "valid_until": outdated.said_at, "replaced_by": outdated.id}
        return MemoryRecord(
            id=decision.id,
            memory=statement.text,
            name=statement.name,
            role=statement.role,
            metadata=dict(statement.metadata),
            observed_at=statement.said_at,
            valid_from=statement.happened_at,
            created_at=self._now,
            updated_at=self._now,
            **over,
            **self._whose.ids(),
        )

    def _change(self, decision: Decision, earlier: Existing) -> None:
        """Write what is different about a memory that is there: its words, its answer, or that it is valid again."""
        after = decision.memory
        changes: dict[str, Any] = {"memory": after.text, "observed_at": after.said_at, "updated_at": self._now}
        if earlier.expired and not after.expired:
            changes |= {"expired_at": None, "valid_until": None, "replaced_by": None, "answer": after.value}
        event = None if decision.event == "NONE" else decision.event
        mentions = None if after.text == earlier.text else decision.statement.entities
        self._written.append(Written(self._known(after), event, earlier.text, changes, mentions=mentions))

    def _expire(self, old: Existing, decision: Decision) -> None:
        statement = decision.statement
        changes = {
            "expired_at": self._now,
            "valid_until": statement.happened_at or statement.said_at,
            "replaced_by": decision.id,
            "updated_at": self._now,
        }
        replaced = Written(self._known(old, text=statement.text), "SUPERSEDE", old.text, changes, mentions=None)
        self._written.append(replaced)

    def _known(self, memory: Existing, text: str | None = None) -> MemoryRecord:
        return MemoryRecord(
            id=memory.id,
            memory=memory.text if text is None else text,
            observed_at=memory.said_at,
            created_at=self._now,
            updated_at=self._now,
        )

    def _fact(self, relation: Relation, source: str) -> Fact:
        said = encode([relation.source, relation.relation, relation.target])
        return Fact(
            id=memory_id(scope_key(self._whose), said),
            subject=relation.source,
            predicate=relation.relation,
            object=relation.target,
            source=f"{MADE_BY_MEMORY}{source}",
            created_at=self._now,
            **self._whose.ids(),
        )
