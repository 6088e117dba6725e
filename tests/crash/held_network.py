"""A line to a server on which one request is held back, so that it arrives when its sender is long gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from perdure.testing import wait_until
from tests.integration.breakable import CHUNK, Network

ANSWERS = (b"\xb1\x70", b"\xb1\x7f")
"""How Bolt's SUCCESS and FAILURE begin."""


class HeldNetwork(Network):
    """Holds the next request with a marker in it, and keeps its line to the server open, whoever hangs up."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.held = asyncio.Event()
        """Set once a request is held."""
        self._wanted: bytes | None = None
        self._line: asyncio.Event | None = None
        self._fate: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._answers_seen = 0

    def hold_next(self, marker: bytes) -> None:
        """Hold back the next request with these bytes in it."""
        self._wanted = marker

    async def deliver(self, answers: int) -> None:
        """Let it go, and return when the server has given that many answers to it."""
        self._fate.set_result(True)
        await wait_until(lambda: self._answers_seen >= answers)

    def drop(self) -> None:
        """Have its line break instead."""
        self._fate.set_result(False)

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answering: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            if self._wanted is not None and self._wanted in data:
                self._wanted, self._line = None, answering
                self.held.set()
                if not await self._fate:
                    return
            writer.write(data)
            await writer.drain()
        if self._line is answering:
            await asyncio.Event().wait()  # until the test is over

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answering: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            if self._line is answering:
                self._answers_seen += sum(data.count(answer) for answer in ANSWERS)
                continue
            await self._flowing.wait()
            await answering.wait()
            writer.write(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def held_network_to(uri: str) -> AsyncIterator[HeldNetwork]:
    """Lay such a line to a server."""
    address = urlsplit(uri)
    line = HeldNetwork(address.hostname or "127.0.0.1", address.port or 7687)
    await line.restore()
    try:
        yield line
    finally:
        await line.cut()
