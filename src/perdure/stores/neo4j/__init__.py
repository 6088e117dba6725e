"""Neo4j over Bolt: the production graph store."""

from perdure.stores.neo4j.store import Neo4jGraphStore

__all__ = ["Neo4jGraphStore"]
