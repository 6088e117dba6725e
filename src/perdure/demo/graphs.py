"""Graphs as plain values: what a run should have left, what is there, and where two of them differ."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from perdure import MemoryClient
from perdure.demo.statements import LABELS, Write

NODES = "MATCH (n:{label}) WHERE n.id STARTS WITH $prefix RETURN n.id AS id, properties(n) AS properties"
LINKS = (
    "MATCH (a:{label})-[r]->(b) WHERE a.id STARTS WITH $prefix "
    "RETURN a.id AS source, type(r) AS type, b.id AS target, properties(r) AS properties"
)
REMOVE = "MATCH (n:{label}) WHERE n.id STARTS WITH $prefix DETACH DELETE n"

Row = tuple[str, ...]


class Graph(NamedTuple):
    """All nodes and relationships of a run, sorted, their ids without the run's prefix."""

    nodes: list[Row]
    """(label, id, property, value, property, value, …), each value by repr."""
    relationships: list[Row]
    """(type, source, target, property, value, …)"""

    def counts(self) -> Counter[str]:
        """Count the nodes of each label and the relationships of each type."""
        return Counter(row[0] for row in (*self.nodes, *self.relationships))


async def read_graph(client: MemoryClient, prefix: str) -> Graph:
    """Return everything in the store whose id begins with `prefix`."""
    nodes: list[Row] = []
    links: list[Row] = []
    for label in LABELS:
        rows = await client.query.cypher(NODES.format(label=label), {"prefix": prefix})
        nodes += [(label, row["id"].removeprefix(prefix), *_flat(row["properties"])) for row in rows]
        rows = await client.query.cypher(LINKS.format(label=label), {"prefix": prefix})
        links += [
            (
                row["type"],
                row["source"].removeprefix(prefix),
                row["target"].removeprefix(prefix),
                *_flat(row["properties"]),
            )
            for row in rows
        ]
    return Graph(sorted(nodes), sorted(links))


def expected_graph(writes: Iterable[Write]) -> Graph:
    """Return the graph that writes without a prefix describe, worked out without a database."""
    nodes: dict[tuple[str, str], Row] = {}
    links: set[Row] = set()
    for write in writes:
        given = write.parameters
        if write.makes in LABELS:
            nodes[write.makes, given["id"]] = (write.makes, given["id"], *_flat(given))
        else:
            links.add((write.makes, given["source"], given["target"]))
    return Graph(sorted(nodes.values()), sorted(links))


def first_difference(one: Graph, other: Graph, names: tuple[str, str]) -> str | None:
    """Say in a sentence where two graphs first differ; None when they are equal."""
    for mine, theirs in zip(one, other, strict=True):
        if mine != theirs:
            surplus = [(row, names[0], names[1]) for row in (Counter(mine) - Counter(theirs))]
            missing = [(row, names[1], names[0]) for row in (Counter(theirs) - Counter(mine))]
            row, here, not_there = min(surplus + missing)
            return f"{' '.join(row[:3])!r} is in {here} and not, or not the same, in {not_there}."
    return None


def _flat(properties: Mapping[str, Any]) -> Iterable[str]:
    """Yield names and values but for `id`; a property that is null is none."""
    for name, value in sorted(properties.items()):
        if name != "id" and value is not None:
            yield name
            yield repr(value)
