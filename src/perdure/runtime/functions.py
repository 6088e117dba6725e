"""A user's function behind a protocol: awaited where it is async, run in a thread where it may block."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from inspect import Parameter, isawaitable, iscoroutinefunction, signature
from typing import Any

from perdure.errors import ConfigError
from perdure.runtime.threads import Threads

NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


class Function:
    """A plain or async function of arguments that have these names, of which the last may be `optional`.

    That one is given to a parameter of its name, or to one more that has no default; other functions do without it.
    Raises ConfigError when the function cannot be called so.
    """

    def __init__(
        self, function: Callable[..., Any], names: Sequence[str], threads: Threads, *, optional: str = ""
    ) -> None:
        self.name = getattr(function, "__name__", type(function).__name__)
        self._function = function
        self._takes, self._by_name = _taken(function, names, optional)
        self._threads = threads
        self._is_async = iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)

    async def __call__(self, *arguments: Any) -> Any:
        """Return what it returns, or raise what it raises."""
        call = partial(self._function, *arguments[: self._takes])
        if self._by_name:
            call = partial(call, **{self._by_name: arguments[-1]})
        if self._is_async:
            return await call()
        answer = await self._threads.run(call)
        return await answer if isawaitable(answer) else answer


def _taken(function: Callable[..., Any], names: Sequence[str], optional: str) -> tuple[int, str]:
    """Return how many arguments it takes by position, and which besides by its name."""
    try:
        takes = signature(function)
    except (TypeError, ValueError):  # some builtins do not say
        return len(names), ""
    kinds = {each.name: each.kind for each in takes.parameters.values()}
    most, least = len(names), len(names) - bool(optional)
    ways = [(least, optional)] if kinds.get(optional) in NAMED else []
    if optional and Parameter.VAR_POSITIONAL not in kinds.values():
        ways.append((least, ""))
    for count, name in [*ways, (most, "")]:
        with suppress(TypeError):
            takes.bind(*names[:count], **({name: None} if name else {}))
            return count, name
    raise ConfigError(
        f"The function {function!r} should take {' and '.join(names)}, and has the parameters {takes}.",
        hint=f"{optional} may be left out." if optional else None,
    )
