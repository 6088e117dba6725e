"""What can be searched: what of each record its text is, and what filters may look at."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from perdure.graph.rows import IncompleteError, record, trace_of
from perdure.graph.scope import Scope
from perdure.graph.statements import load
from perdure.models import Entity, Fact, MemoryRecord, Message, Preference, Record, Timed, Trace
from perdure.records import Revision, VectorKind, VectorRecord

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

TEXTS = load("index")


class Searchable(NamedTuple):
    """One kind of record, as the index sees it."""

    model: type[Record]
    unindexed: str
    """The statement that gives keys of records that changed since they were indexed."""
    indexed: str
    """The statement that notes which state of records is indexed."""
    every: str
    """The statement that gives all keys."""


def _searchable(model: type[Record], label: str) -> Searchable:
    texts = (TEXTS["unindexed"], TEXTS["indexed"], TEXTS["every"])
    return Searchable(model, *(text.replace(":Record", f":{label}") for text in texts))


KINDS: Mapping[VectorKind, Searchable] = {
    "message": _searchable(Message, "Message"),
    "entity": _searchable(Entity, "Entity"),
    "fact": _searchable(Fact, "Fact"),
    "preference": _searchable(Preference, "Preference"),
    "trace": _searchable(Trace, "Trace"),
    "memory": _searchable(MemoryRecord, "Memory"),
}


def text_of(kept: Record) -> str:
    """Return what is searched of a record."""
    match kept:
        case Message(name=name, content=content):
            return spoken(name, content)
        case MemoryRecord(name=name, memory=memory):
            return spoken(name, memory)
        case Entity(name=name, aliases=aliases, description=description):
            return "\n".join([", ".join([name, *aliases]), description or ""]).strip()
        case Fact(subject=subject, predicate=predicate, object=stated):
            return f"{subject} {predicate} {stated}"
        case Preference(category=category, preference=preference, context=context):
            return f"{category}: {preference} {context or ''}".strip()
        case Trace(task=task):
            return task
        case _:
            raise TypeError(type(kept).__name__)


def spoken(name: str | None, text: str) -> str:
    """Return what is searched of somebody's words: with whose they are, where that is known."""
    return f"{name}: {text}" if name else text


def metadata_of(kept: Record) -> Mapping[str, Any]:
    """Return what filters may look at; our own keys begin with a dollar sign."""
    match kept:
        case Message(metadata=metadata, role=role):
            return {**metadata, "$role": role}
        case MemoryRecord(metadata=metadata):
            return metadata
        case Entity(type=kind):
            return {"$type": kind}
        case Trace(metadata=metadata, success=success):
            return {**metadata, "$success": success}
        case _:
            return {}


Place = tuple[VectorKind, str]
"""A kind of record, and the key of its node: kinds may share one."""


class Found(NamedTuple):
    """A record as it stands in the graph, with the key of its node and the state it is in."""

    key: str
    kind: VectorKind
    record: Message | Entity | Fact | Preference | Trace | MemoryRecord
    unindexed: str | None

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.kind, self.key

    @property
    def owner(self) -> str:
        """Whose it is."""
        return self.key.removesuffix(self.record.id)


_scope = lru_cache(maxsize=4096)(Scope)


def found(kind: VectorKind, nodes: Iterable[dict[str, Any]]) -> list[Found]:
    """Return the records that nodes hold. What is not all of one is left out: it is being deleted."""
    whole: list[Found] = []
    for node in nodes:
        with contextlib.suppress(IncompleteError):
            whole.append(_found(kind, node))
    return whole


def _found(kind: VectorKind, node: dict[str, Any]) -> Found:
    kept = trace_of(node) if kind == "trace" else record(KINDS[kind].model, node)
    if not isinstance(kept, Message | Entity | Fact | Preference | Trace | MemoryRecord):
        raise TypeError(kind)
    one = Found(node.get("id", ""), kind, kept, node.get("unindexed"))
    if one.key != _scope(kept.tenant, kept.user_id).key(kept.id):
        raise IncompleteError
    return one


class Effect(NamedTuple):
    """What a statement does to what can be searched."""

    kind: VectorKind | None
    """None: to a session, or to all of an owner."""
    parameter: str
    """Where the keys of the records stand among the statement's parameters: one, several, or in rows as their `id`."""
    removes: bool = False


EFFECTS: Mapping[str, Sequence[Effect]] = {
    load(file)[name]: effects
    for file, name, *effects in [
        ("short_term", "add_message", Effect("message", "id")),
        ("short_term", "add_messages", Effect("message", "ids")),
        ("short_term", "delete_message", Effect("message", "id", removes=True)),
        ("short_term", "clear_session", Effect(None, "conversation", removes=True)),
        ("entities", "add_entity", Effect("entity", "id")),
        ("entities", "update_entity", Effect("entity", "id")),
        ("entities", "merge_entities", Effect("entity", "keep"), Effect("entity", "drop", removes=True)),
        ("entities", "delete_entity", Effect("entity", "id", removes=True)),
        ("facts", "add_fact", Effect("fact", "id")),
        ("facts", "supersede_fact", Effect("fact", "old")),
        ("facts", "delete_fact", Effect("fact", "id", removes=True)),
        ("facts", "add_preference", Effect("preference", "id")),
        ("facts", "supersede_preference", Effect("preference", "old")),
        ("facts", "delete_preference", Effect("preference", "id", removes=True)),
        ("reasoning", "start_trace", Effect("trace", "id")),
        ("reasoning", "complete_trace", Effect("trace", "id")),
        ("memories", "remember", Effect("fact", "facts"), Effect("memory", "changed")),
        ("memories", "remember_new", Effect("memory", "added")),
        ("memories", "remember_again", Effect("memory", "id")),
        ("memories", "forget", Effect("memory", "id", removes=True)),
        ("users", "conversations", Effect(None, "", removes=True)),
    ]
}


def name_of(kind: VectorKind, record_id: str) -> str:
    """Return what a record is called in the vector store: kinds may share an id."""
    return f"{kind}:{record_id}"


def kind_and_id(name: str) -> tuple[VectorKind, str]:
    """Return what `name_of` was given."""
    kind, _, record_id = name.partition(":")
    return cast("VectorKind", kind), record_id


def owners_of(indexed: Iterable[Revision]) -> dict[Place, str]:
    """Return where in the graph records would stand that the vector store holds, and whose they are."""
    named = [(each.owner, kind_and_id(each.id)) for each in indexed]
    return {(kind, owner + record_id): owner for owner, (kind, record_id) in named if kind in KINDS}


def vector_record(stored: Found, text: str, vector: "NDArray[float32]") -> VectorRecord:
    """Return what the vector store is to keep of a record."""
    kept = stored.record
    created = kept.started_at if isinstance(kept, Trace) else kept.created_at
    return VectorRecord(
        owner=stored.owner,
        id=name_of(stored.kind, kept.id),
        kind=stored.kind,
        text=text,
        vector=vector,
        agent_id=kept.agent_id,
        run_id=kept.run_id,
        session_id=kept.session_id if isinstance(kept, Message | Trace) else None,
        metadata=metadata_of(kept),
        created_at=created.timestamp(),
        revision=stored.unindexed or "",
        expired=isinstance(kept, Timed) and kept.expired_at is not None,
    )
