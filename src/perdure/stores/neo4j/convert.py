"""Plain Python values from what the driver returns."""

from typing import Any

from neo4j.graph import Node, Path, Relationship
from neo4j.spatial import Point
from neo4j.time import Date, DateTime, Duration, Time

GEOGRAPHIC = (4326, 4979)


def plain(value: Any) -> Any:  # noqa: PLR0911  one line a kind of value
    """Return a result value as the types a write may carry.

    A node or relationship becomes the map of its properties, a path `{"nodes": […], "relationships": […]}`, a
    duration `{"months", "days", "seconds"}`, a point the map of its coordinates.
    """
    match value:
        case list():
            return [plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case dict():
            return {key: plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case Node() | Relationship():
            return {key: plain(item) for key, item in value.items()}
        case Path():
            return {
                "nodes": [plain(node) for node in value.nodes],
                "relationships": [plain(r) for r in value.relationships],
            }
        case DateTime() | Date() | Time():
            return value.to_native()
        case Duration():
            return {"months": value.months, "days": value.days, "seconds": value.seconds + value.nanoseconds / 1e9}
        case Point() if value.srid in GEOGRAPHIC:
            return dict(zip(("longitude", "latitude", "height"), value, strict=False))
        case Point():
            return dict(zip("xyz", value, strict=False))
        case _:
            return value
