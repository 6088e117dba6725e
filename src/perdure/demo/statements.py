"""What an agent writes down in a turn, as Cypher: a node, its link, the next node, its link.

Every id is made here and begins with the run's prefix, so that a run can be found, compared and removed exactly.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from perdure.demo.turns import Message, ToolCall, Turn

MESSAGE, ENTITY, STEP, TOOL_CALL = LABELS = ("DemoMessage", "DemoEntity", "DemoStep", "DemoToolCall")
"""The demo's own labels: nobody's constraints, indexes or nodes are met under them."""

STATEMENTS = {
    MESSAGE: "MERGE (m:DemoMessage {id: $id}) SET m.role = $role, m.name = $name, m.content = $content, "
    "m.session_id = $session_id, m.created_at = $created_at",
    ENTITY: "MERGE (e:DemoEntity {id: $id}) SET e.name = $name, e.kind = $kind",
    STEP: "MERGE (s:DemoStep {id: $id}) SET s.step_number = $step_number, s.thought = $thought",
    TOOL_CALL: "MERGE (c:DemoToolCall {id: $id}) SET c.tool_name = $tool_name, c.arguments = $arguments, "
    "c.result = $result, c.status = $status",
    "NEXT": "MATCH (a:DemoMessage {id: $source}), (b:DemoMessage {id: $target}) MERGE (a)-[:NEXT]->(b)",
    "MENTIONS": "MATCH (m:DemoMessage {id: $source}), (e:DemoEntity {id: $target}) MERGE (m)-[:MENTIONS]->(e)",
    "HAS_STEP": "MATCH (m:DemoMessage {id: $source}), (s:DemoStep {id: $target}) MERGE (m)-[:HAS_STEP]->(s)",
    "USED_TOOL": "MATCH (s:DemoStep {id: $source}), (c:DemoToolCall {id: $target}) MERGE (s)-[:USED_TOOL]->(c)",
}
BAD_STATEMENT = "MERGE (m:DemoMessage {id: $id}) SET m.content = $content RETRUN m.id"


class Write(NamedTuple):
    """One statement of a turn, and the label or relationship type it makes."""

    makes: str
    statement: str
    parameters: dict[str, Any]
    key: str


def turn_writes(turns: Sequence[Turn], prefix: str) -> list[list[Write]]:
    """Return what is written in each turn, in order; the same turns and prefix give the same writes."""
    last: dict[str, str] = {}
    number = 0
    result: list[list[Write]] = []
    for turn in turns:
        writes: list[Write] = []
        for message in turn:
            number += 1
            ident = f"{prefix}message-{number:04}"
            writes += message_writes(message, ident, last.get(message.session_id), prefix)
            last[message.session_id] = ident
        result.append(writes)
    return result


def message_writes(message: Message, ident: str, previous: str | None, prefix: str) -> Iterator[Write]:
    """Yield a message's writes: itself, its place in the thread, what it mentions, how it came about."""
    yield _node(
        MESSAGE, ident, prefix, role=message.role, name=message.name, content=message.content,
        session_id=message.session_id, created_at=message.created_at,
    )  # fmt: skip
    if previous:
        yield _link("NEXT", previous, ident, prefix)
    for mention in message.mentions:
        entity = f"{prefix}entity-{mention.name.casefold()}"
        yield _node(ENTITY, entity, prefix, name=mention.name, kind=mention.type)
        yield _link("MENTIONS", ident, entity, prefix)
    for number, thought in enumerate(message.steps, 1):
        step = f"{ident}-step-{number}"
        yield _node(STEP, step, prefix, step_number=number, thought=thought)
        yield _link("HAS_STEP", ident, step, prefix)
        yield from _tool_calls([call for call in message.tool_calls if call.step == number], step, prefix)


def bad_write(prefix: str) -> Write:
    """Return a write that no database can run: it says RETRUN."""
    parameters = {"id": f"{prefix}bad", "content": "If you can read this, an error has shown a parameter's value."}
    return Write(MESSAGE, BAD_STATEMENT, parameters, prefix)


def with_bad_write(turns: Sequence[list[Write]], bad: Write) -> list[list[Write]]:
    """Return the same writes with `bad` in the middle of the middle turn."""
    middle = len(turns) // 2
    writes = turns[middle]
    half = len(writes) // 2
    return [*turns[:middle], [*writes[:half], bad, *writes[half:]], *turns[middle + 1 :]]


def _tool_calls(calls: list[ToolCall], step: str, prefix: str) -> Iterator[Write]:
    for number, call in enumerate(calls, 1):
        ident = f"{step}-call-{number}"
        yield _node(
            TOOL_CALL, ident, prefix,
            tool_name=call.tool_name, arguments=call.arguments, result=call.result, status=call.status,
        )  # fmt: skip
        yield _link("USED_TOOL", step, ident, prefix)


def _node(label: str, ident: str, prefix: str, **properties: Any) -> Write:
    return Write(label, STATEMENTS[label], {"id": ident, **properties}, prefix)


def _link(kind: str, source: str, target: str, prefix: str) -> Write:
    return Write(kind, STATEMENTS[kind], {"source": source, "target": target}, prefix)
