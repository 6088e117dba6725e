"""A user's own function as a language model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from perdure.runtime.functions import Function
from perdure.runtime.threads import Threads


class FunctionLanguageModel:
    """Calls `function(messages, schema)`, or `function(messages)` where it takes no `schema`; it returns text.

    An async function is awaited; a plain one runs in one of the threads.
    """

    def __init__(self, function: Callable[..., Any], *, threads: Threads) -> None:
        self._function = Function(function, ("messages", "schema"), threads, optional="schema")
        self.name = self._function.name

    async def complete(self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None) -> str:
        """Return what the function returns. Its messages are its own: what it does to them is not seen here."""
        return await self._function([dict(message) for message in messages], schema)
