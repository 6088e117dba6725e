"""Reading the graph with Cypher."""

from collections.abc import Mapping
from typing import Any

from perdure.cypher import bind, write_clause
from perdure.errors import READ_ONLY_HINT, InputError, StoreError
from perdure.protocols import GraphStore
from perdure.values import redacted


class GraphQuery:
    """Answers Cypher questions; refuses Cypher that writes."""

    def __init__(self, store: GraphStore) -> None:
        self._store = store

    async def cypher(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the rows of a statement that only reads, each as a dict by column name.

        A node or a relationship is the dict of its properties, a path `{"nodes": […], "relationships": […]}`. Reads see
        what is committed, and do not wait for what is pending: `flush` first to see that too.

        Raises InputError when the statement writes, before anything is sent where that is plain to see, and for the
        same text and parameters that `submit` refuses; StatementRejectedError when the store cannot run it;
        StoreUnavailableError when it cannot answer.
        """
        text, copy, _ = bind(statement, parameters)
        clause = write_clause(text)
        if clause is not None:
            raise InputError(
                f"query.cypher only reads, and this statement has {clause}.",
                hint=READ_ONLY_HINT,
            )
        try:
            return await self._store.read(text, copy)
        except StoreError as error:
            raise redacted(error, copy) from None
