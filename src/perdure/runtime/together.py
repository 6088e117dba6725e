"""Several things at the same time, and one error when one of them fails."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await several things at the same time, and return their results in order.

    When one fails, the others are cancelled, and its error is raised as it is, not in a group.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return [task.result() for task in tasks]


async def both(one: Coroutine[Any, Any, A], other: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Await two things of different kinds, as `together` does; the second in the caller's own task."""
    try:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(one)
            second = await other
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return first.result(), second
