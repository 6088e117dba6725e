"""From settings to objects: the only place that knows the concrete adapters."""

from perdure.errors import ConfigError
from perdure.protocols import GraphStore
from perdure.settings import CONTRADICTORY, MemorySettings, Neo4jSection


def graph_store(settings: MemorySettings) -> GraphStore:
    """Return the graph store that the settings name, not yet connected.

    Raises ConfigError when the package it needs is not installed, or two stores are named.
    """
    store = settings.store
    if settings.contradictory():
        raise ConfigError(f"store {CONTRADICTORY}.")
    if store is None:
        return neo4j_store(settings.neo4j.uri, settings.neo4j) if settings.neo4j.uri else embedded(settings.data_dir)
    if not isinstance(store, str):
        return store
    if store == "memory://":
        return embedded(None)
    return neo4j_store(store, settings.neo4j) if "://" in store else embedded(store)


def embedded(directory: object) -> GraphStore:
    """Return a store in a directory, or in a temporary one."""
    from perdure.stores.embedded import EmbeddedGraphStore  # noqa: PLC0415  loads a large library

    return EmbeddedGraphStore(None if directory is None else str(directory))


def neo4j_store(uri: str, section: Neo4jSection) -> GraphStore:
    """Return a store on a Neo4j server."""
    try:
        from perdure.stores.neo4j import Neo4jGraphStore  # noqa: PLC0415  an optional extra
    except ModuleNotFoundError as error:
        raise ConfigError(f"{uri} needs the Neo4j driver.", hint="Run: pip install 'perdure[neo4j]'") from error
    return Neo4jGraphStore(
        uri,
        username=section.username,
        password=None if section.password is None else section.password.get_secret_value(),
        database=section.database,
        connect_timeout=section.connect_timeout_seconds,
        transaction_timeout=section.transaction_timeout_seconds,
        max_connections=section.max_connections,
    )
