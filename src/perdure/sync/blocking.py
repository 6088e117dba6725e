"""How a method that is awaited becomes one that is called: the same name, signature and docstring."""

# pyright: reportPrivateUsage=false
# What these functions make are methods of Blocking.

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from perdure.sync.connection import Connection

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
F = TypeVar("F", bound=Callable[..., Any])


class Blocking(Generic[A]):
    """Calls an asynchronous object from any thread; `where` gives it, once there is a connection."""

    def __init__(self, connection: Connection[Any], where: Callable[[], A]) -> None:
        self._connection = connection
        self._where = where

    def _look(self) -> A:
        """Return what can be read without a call, after close as well."""
        self._connection.look()
        return self._where()


def blocking(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Blocking[Any], P], R]:
    """Return a method that runs an asynchronous one, and waits."""

    @wraps(method)
    def call(self: Blocking[Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._connection.run(lambda: method(self._where(), *args, **kwargs))

    return call


def giving(
    make: Callable[[Connection[Any], R], S],
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R] | R],
) -> Callable[Concatenate[Blocking[Any], P], S]:
    """Return a method as `blocking` does, for one whose result must be made usable from any thread itself."""

    @wraps(method)
    def call(self: Blocking[Any], /, *args: P.args, **kwargs: P.kwargs) -> S:
        connection = self._connection
        return make(connection, connection.run(lambda: method(self._where(), *args, **kwargs)))

    return call


def entering(
    method: Callable[Concatenate[Any, P], AbstractAsyncContextManager[R]],
) -> Callable[Concatenate[Blocking[Any], P], AbstractContextManager[R]]:
    """Return a method for `with`, where the asynchronous one is for `async with`."""

    @wraps(method)
    def call(self: Blocking[Any], /, *args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[R]:
        return self._connection.entered(lambda: method(self._where(), *args, **kwargs))

    return call


def like(original: Any) -> Callable[[F], F]:
    """Give a method that is written out the docstring of the asynchronous one."""

    def documented(own: F) -> F:
        own.__doc__ = original.__doc__
        return own

    return documented
