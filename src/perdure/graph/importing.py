"""Exported records written again, by the statements that wrote them first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perdure.errors import InputError
from perdure.graph import entities, facts, memories, reasoning, short_term, touched, users
from perdure.graph.names import fact_names, name_key
from perdure.graph.rows import properties
from perdure.graph.scope import Scope
from perdure.graph.transfer import SUPERSEDED, Progress, records
from perdure.graph.writing import Graph
from perdure.models import (
    Entity,
    ExportedMemory,
    Fact,
    MemoryEvent,
    Message,
    Preference,
    ReasoningStep,
    Record,
    Relationship,
    Supersession,
    ToolCall,
    Trace,
    User,
)
from perdure.plain import encode

MESSAGES_AT_ONCE = 500


class Importing:
    """Writes records in the order of a file; `whose` None leaves them to their owners."""

    def __init__(self, graph: Graph, whose: Scope | None) -> None:
        self._graph = graph
        self._whose = whose
        self._messages: list[Message] = []

    async def run(self, path: Path, told: Progress | None = None) -> int:
        """Write a file's records, and return how many; nothing is written of a file that is no export throughout."""
        if self._whose is not None and (self._whose.agent_id or self._whose.run_id):
            raise InputError("An import is an owner's.", hint="Leave agent_id and run_id out.")
        total = 0
        async for _ in records(path):
            total += 1
        count = 0
        async for _, each in records(path):
            count += 1
            if told is not None:
                told(count, total)
            if isinstance(each, Message):
                await self._gather(each)
                continue
            await self._send_messages()
            if isinstance(each, User):
                await self._user(each)
            else:
                await self._write(each, self._owner(each))
        await self._send_messages()
        return count

    def _owner(self, each: Record) -> Scope:
        """Return whose a record becomes; strict mode has its say where nobody is named."""
        owner = self._whose or Scope(tenant=each.tenant, user_id=each.user_id)
        named = Scope(tenant=owner.tenant, user_id=owner.user_id, agent_id=each.agent_id, run_id=each.run_id)
        return self._graph.scope(named, {})

    async def _gather(self, message: Message) -> None:
        first = self._messages[0] if self._messages else message
        together = (first.session_id, first.tenant, first.user_id) == (
            message.session_id, message.tenant, message.user_id,
        )  # fmt: skip
        if not together or len(self._messages) >= MESSAGES_AT_ONCE:
            await self._send_messages()
        self._messages.append(message)

    async def _send_messages(self) -> None:
        messages, self._messages = self._messages, []
        if messages:
            owner = self._owner(messages[0])
            whose = Scope(tenant=owner.tenant, user_id=owner.user_id)
            memory = short_term.ShortTermMemory(self._graph, whose)
            await memory.keep(whose, [_owned(message, whose) for message in messages], may_be_there=True)

    async def _write(self, each: Record, whose: Scope) -> None:  # noqa: C901, PLR0911  one line a kind
        match each:
            case Entity():
                return await self._entity(_owned(each, whose), whose)
            case Relationship():
                given = {"source": whose.key(each.source), "target": whose.key(each.target)}
                return await self._now(whose, entities.TEXTS["add_relationship"], each, "relationship", **given)
            case Fact():
                names = fact_names(whose, each.subject, each.object)
                return await self._now(whose, facts.TEXTS["add_fact"], each, "fact", **names)
            case Preference():
                return await self._now(whose, facts.TEXTS["add_preference"], each, "preference")
            case Trace():
                return await self._trace(each, whose)
            case ReasoningStep():
                without = ("step_number", "tool_calls", "trace_id", "agent_id", "run_id")
                trace = {"trace": whose.key(each.trace_id)}
                return await self._now(whose, reasoning.TEXTS["add_step"], each, "step", without, **trace)
            case ToolCall():
                return await self._call(each, whose)
            case ExportedMemory():
                return await memories.Memories(self._graph).remember_again(whose, _owned(each, whose))
            case MemoryEvent():
                return await memories.Memories(self._graph).note(whose, _owned(each, whose))
            case Supersession():
                return await self._supersession(each, whose)
            case _:
                raise InputError(f"A {type(each).__name__} cannot be imported.")

    async def _now(
        self, whose: Scope, statement: str, each: Any, name: str, without: Sequence[str] = (), **given: Any
    ) -> None:
        kept = {name: properties(_owned(each, whose), *without), "id": whose.key(each.id)}
        if not await self._graph.write_now(whose, statement, **kept, **given):
            given |= await self._what_is_there(whose, given)
            if not await self._graph.write_now(whose, statement, **kept, **given):
                raise InputError(f"The {name} {each.id!r} hangs on something that the file does not hold before it.")

    async def _what_is_there(self, whose: Scope, given: dict[str, Any]) -> dict[str, Any]:
        """Return the links of a record without those that led nowhere when it was exported."""
        links: dict[str, Any] = {}
        if given.get("message"):
            rows = await self._graph.read(whose, short_term.TEXTS["messages_by_id"], ids=[given["message"]])
            links["message"] = given["message"] if rows else None
        if given.get("entities"):
            asked: dict[str, Any] = {"entities": given["entities"], "names": []}
            rows = await self._graph.read(whose, touched.TEXTS["touched"], **asked)
            links["entities"] = [row["key"] for row in rows]
        return links

    async def _supersession(self, each: Supersession, whose: Scope) -> None:
        given = {"old": whose.key(each.old), "new": whose.key(each.new)}
        if not await self._graph.write_now(whose, SUPERSEDED[each.of], **given):
            raise InputError(f"{each.new!r} is to supersede {each.old!r}, which the file does not hold before.")

    async def _user(self, user: User) -> None:
        """Note a user, unless that is noted already, or what is imported becomes nobody's."""
        owner = self._graph.scope(self._whose or Scope(tenant=user.tenant, user_id=user.user_id), {})
        if owner.user_id is not None:
            kept = user.model_copy(update={"tenant": owner.tenant, "user_id": owner.user_id})
            tenant, given = Scope(tenant=owner.tenant), {"user": properties(kept), "changes": {}}
            await self._graph.write_now(tenant, users.TEXTS["upsert"], id=tenant.key(owner.user_id), **given)

    async def _entity(self, entity: Entity, whose: Scope) -> None:
        names = [name_key(whose, name) for name in dict.fromkeys([entity.name, *entity.aliases])]
        await self._now(
            whose, entities.TEXTS["add_entity"], entity, "entity", ("aliases", "attributes", "description"),
            names=names, aliases=entity.aliases, description=entity.description,
            attributes=encode(entity.attributes) if entity.attributes else None,
        )  # fmt: skip

    async def _trace(self, trace: Trace, whose: Scope) -> None:
        lane = whose.key(trace.session_id)
        await self._now(
            whose, reasoning.TEXTS["start_trace"], trace, "trace", ("steps",), conversation=lane,
            message=whose.key(trace.triggered_by) if trace.triggered_by else None,
            session=short_term.session(whose, trace.session_id, trace.started_at),
        )  # fmt: skip

    async def _call(self, call: ToolCall, whose: Scope) -> None:
        await self._now(
            whose, reasoning.TEXTS["record_tool_call"], call, "call", ("touched", "step_id", "agent_id", "run_id"),
            step=whose.key(call.step_id), entities=[whose.key(each) for each in call.touched], names=[],
            queued=[], message=whose.key(call.message_id) if call.message_id else None, observation=None,
        )  # fmt: skip


def _owned(each: Any, whose: Scope) -> Any:
    return each.model_copy(update={"tenant": whose.tenant, "user_id": whose.user_id})
