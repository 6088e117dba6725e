"""Graphs as plain values: how much a conversation should leave, what is there, and where two of them differ."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from perdure import MemoryClient
from perdure.demo.turns import Turn
from perdure.graph.names import normal

LABELS = (
    "Conversation", "Message", "Trace", "ReasoningStep", "ToolCall", "Entity", "EntityName", "Fact", "Preference",
)  # fmt: skip
NODES = "MATCH (n:{label}) WHERE n.owner = $owner RETURN n.id AS id, properties(n) AS properties"
LINKS = (
    "MATCH (a:{label})-[r]->(b) WHERE a.owner = $owner "
    "RETURN a.id AS source, type(r) AS type, b.id AS target, properties(r) AS properties"
)
OWN = ("id", "public_id", "owner", "tenant", "user_id", "unindexed", "sort")
"""What differs between two owners by its nature. `sort` is a time and an id; the order it gives is in the links."""

Row = tuple[str, ...]
Nodes = Mapping[str, list[dict[str, Any]]]


class Graph(NamedTuple):
    """All nodes and relationships of an owner, sorted; ids are put as places in the order they were given out."""

    nodes: list[Row]
    """(label, name, property, value, property, value, …), each value by repr."""
    relationships: list[Row]
    """(type, source, target, property, value, …)"""

    def counts(self) -> Counter[str]:
        """Count the nodes of each label and the relationships of each type."""
        return Counter(row[0] for row in (*self.nodes, *self.relationships))


async def read_graph(client: MemoryClient, owner: str, began: datetime) -> Graph:
    """Return all that an owner has, but for times since `began`: those are the clock's, not the conversation's."""
    nodes = {label: await client.query.cypher(NODES.format(label=label), {"owner": owner}) for label in LABELS}
    links = [await client.query.cypher(LINKS.format(label=label), {"owner": owner}) for label in LABELS]
    names = _names(owner, nodes)
    return Graph(
        sorted(
            (label, names[row["id"]], *_flat(row["properties"], names, began))
            for label, rows in nodes.items()
            for row in rows
        ),
        sorted(
            (row["type"], names[row["source"]], names[row["target"]], *_flat(row["properties"], names, began))
            for row in chain.from_iterable(links)
        ),
    )


def _names(owner: str, nodes: Nodes) -> dict[str, str]:
    """Return a name for each id that is the same in every graph of one conversation."""
    names: dict[str, str] = {}
    for label, rows in nodes.items():
        for number, row in enumerate(sorted(rows, key=lambda row: row["id"]), 1):
            kept = row["properties"]
            public = kept.get("public_id")
            if public is None:
                name = row["id"].removeprefix(owner)
            elif label == "Entity":
                name = f"{kept['type']} {normal(kept['name'])}"
            else:
                name = f"{number:04}"
            names[row["id"]] = f"{label} {name}"
            if public is not None:
                names[public] = names[row["id"]]
    return names


def expected_counts(turns: Sequence[Turn]) -> Counter[str]:
    """Return how many nodes and relationships of each kind these turns make, worked out without a database."""
    messages = list(chain.from_iterable(turns))
    sessions = {message.session_id for message in messages}
    mentions = {(m.type, normal(m.name)) for message in messages for m in message.mentions}
    facts = [fact for message in messages for fact in message.facts]
    words = {name for _, name in mentions} | {normal(word) for fact in facts for word in (fact.subject, fact.object)}
    traces = sum(any(message.steps for message in turn) for turn in turns)
    steps = sum(len(message.steps) for message in messages)
    calls = sum(len(message.tool_calls) for message in messages)
    return Counter({
        "Conversation": len(sessions), "Message": len(messages), "Trace": traces, "ReasoningStep": steps,
        "ToolCall": calls, "Entity": len(mentions), "EntityName": len(words), "Fact": len(facts),
        "Preference": sum(len(message.preferences) for message in messages), "NEXT": len(messages),
        "LAST": len(sessions), "HAS_TRACE": traces, "TRIGGERED_BY": traces, "HAS_STEP": steps, "USED": calls,
        "NAMES": len(mentions), "SUBJECT": len(facts), "OBJECT": len(facts),
    })  # fmt: skip


def first_difference(one: Graph, other: Graph, names: tuple[str, str]) -> str | None:
    """Say in a sentence where two graphs first differ; None when they are equal."""
    for mine, theirs in zip(one, other, strict=True):
        if mine != theirs:
            surplus = [(row, names[0], names[1]) for row in (Counter(mine) - Counter(theirs))]
            missing = [(row, names[1], names[0]) for row in (Counter(theirs) - Counter(mine))]
            row, here, not_there = min(surplus + missing)
            return f"{' '.join(row[:3])!r} is in {here} and not, or not the same, in {not_there}."
    return None


def _flat(properties: Mapping[str, Any], names: Mapping[str, str], began: datetime) -> Iterable[str]:
    """Yield names and values; a property that is null is none."""
    for name, value in sorted(properties.items()):
        ours = name in OWN or name.startswith("search_") or (isinstance(value, datetime) and value >= began)
        if value is not None and not ours:
            yield name
            yield repr(names.get(value, value) if isinstance(value, str) else value)
