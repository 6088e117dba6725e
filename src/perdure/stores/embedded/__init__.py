"""kglite, a graph database inside the process: the store for a laptop, and for tests."""

from perdure.stores.embedded.store import EmbeddedGraphStore

__all__ = ["EmbeddedGraphStore"]
