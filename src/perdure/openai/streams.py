"""Streams that are listened to while they pass, and end a turn however they end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

import openai

from perdure.openai.turns import Turn, TurnMemory

T = TypeVar("T")
Settle = Callable[[Turn], None]
AsyncSettle = Callable[[Turn], Coroutine[Any, Any, None]]


class Stream(openai.Stream[T]):
    """The official stream, with `memory`."""

    def __init__(self, stream: openai.Stream[T], turn: Turn, settle: Settle) -> None:
        vars(self).update(vars(stream))
        self.memory: TurnMemory = turn.memory
        """What memory did for this completion; what is remembered of it is known when it has ended."""
        self._turn = turn
        self._settle = settle
        self._iterator = self._listening(self._iterator)

    def _listening(self, events: Iterator[T]) -> Iterator[T]:
        turn, failed = self._turn, True
        try:
            for event in events:
                turn.answer.hear(event)
                yield event
            failed = False
        except GeneratorExit:  # perhaps by the garbage collector, in any thread: nothing may be waited for
            failed, turn.dropped = False, True
            raise
        finally:
            turn.failed = failed
            if not turn.dropped:
                self._settle(turn)

    def close(self) -> None:
        """Close the response, as the official stream does; what came of the answer is remembered."""
        try:
            super().close()
        finally:
            self._settle(self._turn)


class AsyncStream(openai.AsyncStream[T]):
    """The official stream, with `memory`."""

    def __init__(self, stream: openai.AsyncStream[T], turn: Turn, settle: AsyncSettle) -> None:
        vars(self).update(vars(stream))
        self.memory: TurnMemory = turn.memory
        """What memory did for this completion; what is remembered of it is known when it has ended."""
        self._turn = turn
        self._settle = settle
        self._iterator = self._listening(self._iterator)

    async def _listening(self, events: AsyncIterator[T]) -> AsyncIterator[T]:
        turn, failed = self._turn, True
        try:
            async for event in events:
                turn.answer.hear(event)
                yield event
            failed = False
        except (GeneratorExit, asyncio.CancelledError):
            failed = False
            raise
        finally:
            turn.failed = failed
            await self._settle(turn)

    async def close(self) -> None:
        """Close the response, as the official stream does; what came of the answer is remembered."""
        try:
            await super().close()
        finally:
            await self._settle(self._turn)


class StreamManager(AbstractContextManager[T]):
    """What `stream` returns: the official manager of a stream, which gives the stream a `memory`."""

    def __init__(self, manager: AbstractContextManager[Any], turn: Callable[[], Turn], settle: Settle) -> None:
        self._manager = manager
        self._turn = turn
        self._settle = settle

    def __enter__(self) -> T:
        stream = self._manager.__enter__()
        stream.memory = self._turn().memory
        return stream

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return self._manager.__exit__(kind, error, trace)
        finally:
            self._settle(self._turn())


class AsyncStreamManager(AbstractAsyncContextManager[T]):
    """What `stream` returns: the official manager of a stream, which gives the stream a `memory`."""

    def __init__(
        self, manager: AbstractAsyncContextManager[Any], turn: Callable[[], Turn], settle: AsyncSettle
    ) -> None:
        self._manager = manager
        self._turn = turn
        self._settle = settle

    async def __aenter__(self) -> T:
        stream = await self._manager.__aenter__()
        stream.memory = self._turn().memory
        return stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return await self._manager.__aexit__(kind, error, trace)
        finally:
            await self._settle(self._turn())
