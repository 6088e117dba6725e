"""Where code that is not ours is called: a model's library, a user's own function."""

from collections.abc import Awaitable
from inspect import isawaitable
from types import TracebackType

from perdure.errors import ConfigError, PerdureError, ProviderError, shorten

LOADING = "Look at the model's name; a model that is not on this machine yet is downloaded."


def awaitable(answer: object, method: str, who: str) -> Awaitable[object]:
    """Return what a method has returned, for awaiting. Raises ConfigError when that cannot be."""
    if isawaitable(answer):
        return answer
    raise ConfigError(
        f"{method}() of the {who} does not await: it returned {type(answer).__name__}.",
        hint=f"Write `async def {method}`, and let what blocks run in a thread (asyncio.to_thread).",
    )


class answering:  # noqa: N801  a context manager, called as a function would be
    """Raise what goes wrong inside as a ProviderError of `who`, if it is not an error of ours already."""

    __slots__ = ("_hint", "_who")

    def __init__(self, who: str, hint: str | None = None) -> None:
        self._who = who
        self._hint = hint

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, Exception) and not isinstance(error, PerdureError):
            what = f"{type(error).__name__}: {shorten(str(error), 200)}"
            raise ProviderError(f"The {self._who} failed: {what}", hint=self._hint) from error
