"""Where an object may be used: on the event loop, and in the process, that started it."""

import asyncio
import os
from collections.abc import Awaitable
from itertools import count
from typing import TypeVar

from perdure.errors import ConfigError

T = TypeVar("T")

_forks = count()
_generation = next(_forks)


def _forked() -> None:
    global _generation  # noqa: PLW0603  one fact about the process; asking the system each time costs a microsecond
    _generation = next(_forks)


if hasattr(os, "register_at_fork"):  # where there is no fork, there is no such function
    os.register_at_fork(after_in_child=_forked)


def cancelled() -> bool:
    """Return whether the running task was asked to stop, as against a CancelledError raised for no such reason."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def uninterrupted(work: Awaitable[T]) -> T:
    """Wait for work that cannot be stopped, such as a thread's, also when cancelled meanwhile; then be cancelled."""
    task = asyncio.ensure_future(work)
    interrupted: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            interrupted = error
    if interrupted is not None:
        if not task.cancelled():
            task.exception()
        raise interrupted
    return task.result()


class Process:
    """Remembers the process."""

    def __init__(self) -> None:
        self._generation = _generation

    @property
    def left(self) -> bool:
        """Whether this is a forked child of it."""
        return self._generation != _generation

    def check(self) -> None:
        """Raise ConfigError when the caller is in a forked child."""
        if self.left:
            raise ConfigError(
                "This client was connected before a fork.", hint="Make a new client in the child process."
            )


class Home(Process):
    """Remembers the running event loop and the process."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()

    def check(self) -> None:
        """Raise ConfigError when the caller is on another loop, on none, or in a forked child."""
        super().check()
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if not here:
            raise ConfigError(
                "This client belongs to another event loop.",
                hint="Make one client per event loop, and call it from that loop's thread.",
            )
