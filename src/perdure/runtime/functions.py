"""A user's function behind a protocol: awaited where it is async, run in a thread where it may block."""

from collections.abc import Callable
from inspect import Parameter, isawaitable, iscoroutinefunction, signature
from typing import Any

from perdure.errors import ConfigError
from perdure.runtime.threads import Threads

POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class Function:
    """A plain or async function, given as many arguments as it takes of those that there are."""

    def __init__(self, function: Callable[..., Any], most: int, threads: Threads) -> None:
        self.name = getattr(function, "__name__", type(function).__name__)
        self._function = function
        self._takes = _takes(function, most)
        self._threads = threads
        self._is_async = iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)

    async def __call__(self, *arguments: Any) -> Any:
        """Return what it returns, or raise what it raises."""
        given = arguments[: self._takes]
        if self._is_async:
            return await self._function(*given)
        answer = await self._threads.run(self._function, *given)
        return await answer if isawaitable(answer) else answer


def _takes(function: Callable[..., Any], most: int) -> int:
    """Return how many positional arguments it takes, at most so many. Raises ConfigError when it takes none."""
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins do not say
        return most
    if any(each.kind is Parameter.VAR_POSITIONAL for each in parameters):
        return most
    takes = min(most, sum(each.kind in POSITIONAL for each in parameters))
    if takes == 0:
        raise ConfigError(f"The function {function!r} takes no arguments, so it cannot be asked anything.")
    return takes
