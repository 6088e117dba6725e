"""What a journal's thread is asked to do, and how it answers."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from perdure.records import JournalEntry


class Call(NamedTuple):
    """Something to run on the thread, in its place in the order."""

    work: Callable[[], Any]
    answer: asyncio.Future[Any]


class Idle(NamedTuple):
    """Nothing else is to be done at present."""


IDLE = Idle()
Task = JournalEntry | Call | Idle | None


def succeed(answer: asyncio.Future[Any], result: Any) -> None:
    """Give a caller its result, if it is still there."""
    if not answer.done():
        answer.set_result(result)


def fail(answer: asyncio.Future[Any], error: BaseException) -> None:
    """Give a caller the error of its call, if it is still there."""
    if not answer.done():
        answer.set_exception(error)


def heard(answer: asyncio.Future[Any]) -> None:
    """Take note of an error that nobody may ask for."""
    if not answer.cancelled():
        answer.exception()
