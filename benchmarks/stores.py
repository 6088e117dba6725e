"""Stores to measure the rest against: one that keeps nothing, and any other with a door in front of it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from perdure.errors import StoreUnavailableError
from perdure.protocols import GraphStore
from perdure.records import Batch, LaneMark


class NullStore:
    """A GraphStore that says yes to everything, each time `turns` turns of the event loop later."""

    name = "nothing"

    def __init__(self, turns: int = 0) -> None:
        self._turns = turns

    async def connect(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def read(self, _statement: str, _parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return nothing."""
        return []

    async def write(self, _statement: str, _parameters: Mapping[str, Any]) -> None:
        """Acknowledge."""

    async def apply(self, batch: Batch) -> int:
        """Acknowledge all of it."""
        for _ in range(self._turns):
            await asyncio.sleep(0)
        return len(batch.entries)

    async def take_over(self, _owner: str, lanes: Sequence[str], epoch: int) -> Sequence[LaneMark]:
        """Say that nothing is applied yet."""
        return [LaneMark(lane, -1, epoch) for lane in lanes]

    async def forget_lanes(self, _lanes: Sequence[str]) -> None:
        """Acknowledge."""


class Door:
    """A GraphStore in front of another one: writes wait before it while it is shut, and fail while the store is down.

    Only batches are stopped, so that a client can connect.
    """

    def __init__(self, store: GraphStore) -> None:
        self.name = store.name
        self.down = False
        self.connect, self.close, self.forget_lanes = store.connect, store.close, store.forget_lanes
        self.read, self.write, self.take_over = store.read, store.write, store.take_over
        self._store = store
        self._opened = asyncio.Event()
        self._opened.set()

    def shut(self) -> None:
        """Let no batch through."""
        self._opened.clear()

    def open(self) -> None:
        """Let those through that wait, and all others."""
        self._opened.set()

    async def apply(self, batch: Batch) -> int:
        """Pass the batch on, or say that the store cannot be reached."""
        await self._opened.wait()
        if self.down:
            raise StoreUnavailableError("The store is down, as the benchmark wants it.")
        return await self._store.apply(batch)
