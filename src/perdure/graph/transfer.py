"""All of an owner's memory as a file, one record a line, and back: as records, so that any store can take them."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from perdure.errors import InputError
from perdure.graph.memories import Stored
from perdure.graph.rows import call_of, record, trace_of
from perdure.graph.scope import Scope
from perdure.graph.statements import load
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
from perdure.plain import decode, encode

TEXTS = load("transfer")
FORMAT = {"perdure": "memory", "format": 1}
Exported = Record | User
Progress = Callable[[int, int], object]
KINDS: Mapping[str, tuple[type[Exported], str]] = {
    "entity": (Entity, TEXTS["entities"]),
    "relationship": (Relationship, TEXTS["relationships"]),
    "fact": (Fact, TEXTS["facts"]),
    "preference": (Preference, TEXTS["preferences"]),
    "superseded_fact": (Supersession, TEXTS["superseded_facts"]),
    "superseded_preference": (Supersession, TEXTS["superseded_preferences"]),
    "message": (Message, TEXTS["messages"]),
    "trace": (Trace, TEXTS["traces"]),
    "step": (ReasoningStep, TEXTS["steps"]),
    "tool_call": (ToolCall, TEXTS["tool_calls"]),
    "memory": (ExportedMemory, TEXTS["memories"]),
    "memory_event": (MemoryEvent, TEXTS["memory_events"]),
    "user": (User, TEXTS["user"]),
}
SUPERSEDED = {"fact": TEXTS["superseded_fact"], "preference": TEXTS["superseded_preference"]}
"""The statements that link what an import has written, by what it is."""

READERS: Mapping[str, Callable[[dict[str, Any]], Exported]] = {
    "trace": trace_of, "tool_call": call_of, "memory": lambda node: Stored(node).exported,
}  # fmt: skip


async def export(graph: Graph, owners: Sequence[Scope], path: Path, told: Progress | None = None) -> int:
    """Write the records of owners to a file, and return how many; nothing of it is there when that fails."""
    if any(whose.agent_id is not None or whose.run_id is not None for whose in owners):
        raise InputError("An export holds all of an owner.", hint="Leave agent_id and run_id out.")
    written = path.with_name(f"{path.name}.part")
    count = step = 0
    try:
        async with await anyio.open_file(written, "w", encoding="utf-8") as file:
            await file.write(f"{encode(FORMAT)}\n")
            for whose in owners:
                await graph.settled(whose.owner)
                for kind in KINDS:
                    lines = await _lines(graph, whose, kind)
                    await file.write("".join(f"{line}\n" for line in lines))
                    count, step = count + len(lines), step + 1
                    if told is not None:
                        told(step, len(owners) * len(KINDS))
        await anyio.Path(written).rename(path)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.Path(written).unlink(missing_ok=True)
        raise
    return count


async def _lines(graph: Graph, whose: Scope, kind: str) -> list[str]:
    model, statement = KINDS[kind]
    read = READERS.get(kind) or partial(record, model)
    rows = await _rows(graph, whose, kind, statement)
    return [encode({"kind": kind, **_fields(read({**row, **row["n"]}))}) for row in rows]


async def _rows(graph: Graph, whose: Scope, kind: str, statement: str) -> list[dict[str, Any]]:
    if kind != "user":
        return await graph.read(whose, statement)
    if whose.user_id is None:
        return []
    tenant = replace(whose, user_id=None)
    return await graph.read(tenant, statement, lane=tenant.owner, user=tenant.key(whose.user_id))


def _fields(found: Exported) -> dict[str, Any]:
    return {name: value for name, value in found if value not in (None, {}, [])}


async def records(path: Path) -> AsyncIterator[tuple[str, Exported]]:
    """Yield each record of a file with its kind; raises InputError for a file that is no export, or is damaged."""
    try:
        async with await anyio.open_file(path, encoding="utf-8") as file:
            if decode(await file.readline() or "{}") != FORMAT:
                raise InputError(f"{str(path)!r} is no export of memory that this version can read.")
            number = 1
            async for line in file:
                number += 1
                yield _record(line, f"line {number} of {str(path)!r}")
    except FileNotFoundError as error:
        raise InputError(f"There is no file {str(path)!r}.") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{str(path)!r} is no export of memory.") from error


def _record(line: str, where: str) -> tuple[str, Exported]:
    try:
        values = decode(line)
        kind = values.pop("kind")
        return kind, KINDS[kind][0](**values)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{where} is no record.", hint="Nothing of the file was imported.") from error
