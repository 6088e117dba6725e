"""Tells the application of what typed calls record, beside them: a hook can neither delay nor break a call."""

import asyncio
import contextlib
from typing import Self

from perdure.models import Record
from perdure.runtime.notifier import Notifier
from perdure.settings import OnRecord

MOST_WAITING = 1_000


class Hooks:
    """Runs `on_record` in a task of its own, for the client that owns it."""

    def __init__(self, on_record: OnRecord | None) -> None:
        self._wanted = on_record is not None
        self._notifier = Notifier("on_record", on_record, MOST_WAITING, _label)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> Self:
        """Begin to tell."""
        if self._wanted:
            self._task = asyncio.create_task(self._notifier.run(), name="perdure on_record")
        return self

    def recorded(self, made: Record) -> None:
        """Have the callback told of a record, behind those before it."""
        self._notifier.add(made)

    async def close(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  as the client's
        """Tell the rest, for `timeout` at most, and stop. Safe to call twice, and from the callback itself."""
        task, self._task = self._task, None
        if task is None:
            return
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._notifier.finished()
        finally:
            self._notifier.end()
            if task is not asyncio.current_task():  # a hook may close the client
                task.cancel()
                await asyncio.wait([task])


def _label(made: Record) -> str:
    return f"{type(made).__name__.lower()} {getattr(made, 'id', '')}"
