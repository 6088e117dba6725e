"""From settings to objects: the only place that knows the concrete adapters."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

from perdure.errors import ConfigError, DurabilityWarning
from perdure.protocols import GraphStore, LocalJournal, VectorStore
from perdure.providers import adapters
from perdure.runtime.threads import Threads
from perdure.settings import CONTRADICTORY, VOLATILE, MemorySettings, Neo4jSection

BOLT_PORT = 7687
OF_ANYIO = "anyio._backends._asyncio"
"""What anyio imports when it is first used; were it called otherwise, that is when it would be imported."""
NOTHING_LASTS = (
    "store='memory://' is gone with the process, so durability='os' keeps nothing: writes are held in memory."
)


async def load(settings: MemorySettings) -> None:
    """Import, in a thread, what the settings need: the event loop, which may serve others, would stand still for it."""
    names = [name for name in _needed(settings) if name not in sys.modules]
    if names:
        threads = Threads("import", 1)
        try:
            await threads.run(lambda: [_import(name) for name in names])
        finally:
            await threads.close()


def _import(name: str) -> None:
    """Import a module; where its package is missing, whoever needs it in earnest says so."""
    with suppress(ModuleNotFoundError):
        import_module(name)


def _needed(settings: MemorySettings) -> Iterator[str]:
    """Yield the modules that take long, or would be many on the event loop together."""
    yield OF_ANYIO
    if settings.memory.durability != "memory" and settings.store != "memory://":
        yield "perdure.journal.sqlite"
    on_neo4j = neo4j_uri(settings) is not None
    if on_neo4j:
        yield "perdure.stores.neo4j.vectors"
    if not on_neo4j and isinstance(settings.store, str | None):
        yield "perdure.stores.embedded"
    if settings.vector_store == "sqlite" or (settings.vector_store is None and not on_neo4j):
        yield "perdure.stores.sqlite_vectors"
    yield from adapters(settings)


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


def vector_store(settings: MemorySettings, graph: GraphStore) -> tuple[VectorStore, bool]:
    """Return the vector store that the settings name, not yet connected, and whether it is apart from the graph.

    None named: the indexes of Neo4j for a graph that is there, otherwise a file beside the embedded graph. Raises
    ConfigError for a name that is unknown.
    """
    named = settings.vector_store
    if named is not None and not isinstance(named, str):
        return named, True
    on_neo4j = neo4j_uri(settings) is not None
    if named == "neo4j" and not on_neo4j:
        raise ConfigError("vector_store='neo4j' needs a graph on Neo4j.", hint="Set neo4j.uri, or use 'sqlite'.")
    if on_neo4j and named != "sqlite":
        from perdure.stores.neo4j.vectors import Neo4jVectorStore  # noqa: PLC0415  an optional extra

        return Neo4jVectorStore(graph), False
    from perdure.stores.sqlite_vectors import SqliteVectorStore  # noqa: PLC0415  loads numpy

    lasts = isinstance(settings.store, str | None) and settings.store != "memory://"
    return SqliteVectorStore(root(settings) / "vectors" if lasts else None), True


def neo4j_uri(settings: MemorySettings) -> str | None:
    """Return the address of the Neo4j server that holds the graph, if one does."""
    store = settings.store
    named = store if isinstance(store, str) and "://" in store and store != "memory://" else None
    return settings.neo4j.uri or named


def journal(settings: MemorySettings) -> LocalJournal | None:
    """Return the journal that the settings name, not yet opened; None is the one in memory.

    Raises ConfigError when `durability` asks for what outlives the process and `store` names what does not.
    """
    memory = settings.memory
    if settings.promises_too_much():
        raise ConfigError(f"store {VOLATILE}.")
    if settings.store == "memory://" and "durability" in memory.model_fields_set and memory.durability == "os":
        warnings.warn(NOTHING_LASTS, DurabilityWarning, stacklevel=3)
    if memory.durability == "memory" or settings.store == "memory://":
        return None
    try:
        from perdure.journal.sqlite import SqliteJournal  # noqa: PLC0415  POSIX only
    except ModuleNotFoundError as error:
        raise ConfigError(f"This system has no {error.name}.", hint="Set memory.durability to 'memory'.") from error
    return SqliteJournal(
        journals(settings) / memory.journal_name,
        durability=memory.durability,
        max_bytes=memory.max_journal_bytes,
        target=target(settings),
    )


def journals(settings: MemorySettings) -> Path:
    """Return the directory of all journals."""
    return root(settings) / "journal"


def root(settings: MemorySettings) -> Path:
    """Return the directory of what stands beside the graph: that of the embedded store, or `data_dir`."""
    store = settings.store
    return Path(store) if isinstance(store, str) and "://" not in store else settings.data_dir


def target(settings: MemorySettings) -> str:
    """Return what the graph is called in a journal, so that a journal's writes do not end in another one."""
    uri = neo4j_uri(settings)
    if uri is None:
        return "the embedded store" if isinstance(settings.store, str | None) else type(settings.store).__name__
    address = urlsplit(uri)
    database = f"/{settings.neo4j.database}" if settings.neo4j.database else ""
    return f"Neo4j at {address.hostname}:{address.port or BOLT_PORT}{database}"


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
