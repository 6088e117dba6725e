"""The step at connect that makes sure of unique keys and of indexes."""

from perdure.errors import ConfigError, StatementRejectedError
from perdure.graph.statements import load
from perdure.protocols import GraphStore

TEXTS = load("schema")
VERSION = 2
_MADE = [text for text in TEXTS.values() if text.startswith("CREATE ")]


async def ensure(store: GraphStore) -> None:
    """Bring the schema to this version: one round trip when it is there already.

    Safe to run again after a failure, and from several processes at once. A graph of a newer version is left as it
    is. Raises ConfigError when the graph holds what the schema rules out, and StoreUnavailableError.
    """
    rows = await store.read(TEXTS["version"], {})
    if rows and rows[0]["version"] >= VERSION:
        return
    for statement in _MADE:
        try:
            await store.write(statement, {})
        except StatementRejectedError as error:
            raise ConfigError(
                f"The graph cannot have the schema of typed memory: {error.message}",
                hint="Are there two nodes of one label and id in it? Keep memory in a database of its own.",
            ) from error
    await store.write(TEXTS["set_version"], {"version": VERSION})
