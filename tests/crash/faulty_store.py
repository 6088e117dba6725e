"""A graph store that fails now and then, whatever stands behind it."""

import asyncio
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perdure.errors import StoreUnavailableError
from perdure.protocols import GraphStore
from perdure.records import Batch, LaneMark


@dataclass(frozen=True)
class Faults:
    """What goes wrong, each as a share of the batches."""

    transient: float = 0.0
    """The store cannot answer now."""
    lost: float = 0.0
    """The batch is committed, and the answer to its COMMIT is lost."""
    without_mark: bool = False
    """Every batch comes under a lane of its own, so that nothing tells what was applied before: for controls."""
    stalled: bool = False
    """No batch is ever answered, nor applied."""


class FaultyStore:
    """Passes everything on to a store, and lets batches fail before they are committed, or after."""

    def __init__(self, store: GraphStore, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    @property
    def name(self) -> str:
        return self._store.name

    async def connect(self) -> None:
        await self._store.connect()

    async def close(self) -> None:
        await self._store.close()

    async def read(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return await self._store.read(statement, parameters)

    async def write(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return await self._store.write(statement, parameters)

    async def apply(self, batch: Batch) -> int:
        if self._faults.stalled:
            await asyncio.Event().wait()
        if random.random() < self._faults.transient:
            raise StoreUnavailableError("The batch was made to fail.", relief="again")
        if self._faults.without_mark:
            batch = batch._replace(lane=f"unmarked/{secrets.token_hex(8)}")
        applied = await self._store.apply(batch)
        if random.random() < self._faults.lost:
            raise StoreUnavailableError("The answer was made to get lost.", relief="again")
        return applied

    async def take_over(self, owner: str, lanes: Sequence[str], epoch: int) -> Sequence[LaneMark]:
        return await self._store.take_over(owner, lanes, epoch)

    async def forget_lanes(self, lanes: Sequence[str]) -> None:
        await self._store.forget_lanes(lanes)
