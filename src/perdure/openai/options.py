"""What Perdure's clients take beside the official options: when they are made, and when they are copied."""

from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from perdure.errors import ConfigError, shorten
from perdure.openai.turns import Recalling

# pyright: reportInvalidTypeVarUse=false
# The clients say what M is.

RECALL_SECONDS = 0.5
RECALL_LIMIT = 10

M = TypeVar("M")
A = TypeVar("A")
C_co = TypeVar("C_co", covariant=True)
P = ParamSpec("P")
S = TypeVar("S")


class Made(Protocol[P]):
    """A client that is made as an official one is."""

    def _made(self, *args: P.args, **options: P.kwargs) -> None: ...


class Copied(Protocol[P, C_co]):
    """A client that is copied as an official one is."""

    def _copied(self, *args: P.args, **options: P.kwargs) -> C_co: ...


def of_one_s_own(method: Callable[Concatenate[Any, P], Any]) -> Callable[Concatenate[S, P], S]:
    """Return a method that copies what it is called on."""
    raise NotImplementedError


class TakesMemory(Generic[M, A]):
    """An official client that takes a memory of type M, which an A asks and tells.

    A type checker cannot add keywords to a signature that it takes over. So there is the official one, and one for
    each of ours that is given, beside which it knows the official names and not their types (decision 0028).
    """

    remembering: A
    """What asks and tells the memory; not for applications."""
    recalling: Recalling
    """How memories are looked for; not for applications."""

    def _remembering_in(self, memory: Any) -> A:
        """Return what asks and tells a memory, None is one of its own. Raises ConfigError for another kind of thing."""
        raise NotImplementedError

    @overload
    def __init__(self: Made[P], *args: P.args, **options: P.kwargs) -> None: ...
    @overload
    def __init__(
        self, *, memory: M | None, recall_timeout: float = ..., recall_limit: int = ..., **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self, *, memory: M | None = ..., recall_timeout: float, recall_limit: int = ..., **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self, *, memory: M | None = ..., recall_timeout: float = ..., recall_limit: int, **options: Any
    ) -> None: ...
    def __init__(
        self,
        *,
        memory: M | None = None,
        recall_timeout: float = RECALL_SECONDS,
        recall_limit: int = RECALL_LIMIT,
        **options: Any,
    ) -> None:
        _check(recall_timeout, recall_limit)
        super().__init__(**options)
        self.recalling = Recalling(recall_timeout, recall_limit)
        self.remembering = self._remembering_in(memory)

    @overload
    def copy(self: Copied[P, C_co], *args: P.args, **options: P.kwargs) -> C_co: ...
    @overload
    def copy(
        self, *, memory: M | None, recall_timeout: float | None = ..., recall_limit: int | None = ..., **options: Any
    ) -> Self: ...
    @overload
    def copy(
        self, *, memory: M | None = ..., recall_timeout: float | None, recall_limit: int | None = ..., **options: Any
    ) -> Self: ...
    @overload
    def copy(
        self, *, memory: M | None = ..., recall_timeout: float | None = ..., recall_limit: int | None, **options: Any
    ) -> Self: ...
    def copy(self, **options: Any) -> Any:
        """Return a client with other options; what none is given for is as here, connection and memory too."""
        ours: dict[str, Any] = {
            "memory": self.remembering,
            "recall_timeout": self.recalling.seconds,
            "recall_limit": self.recalling.limit,
        }
        given = {name: options.pop(name) for name in ours if name in options}
        ours |= {name: value for name, value in given.items() if value is not None}
        official: Any = super()
        return official.copy(**options, _extra_kwargs=ours)

    with_options = copy


def _check(timeout: object, limit: object) -> None:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
        raise ConfigError(f"recall_timeout = {shorten(repr(timeout), 40)} should be a number of seconds.")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise ConfigError(f"recall_limit = {shorten(repr(limit), 40)} should be a number, 0 or more.")
