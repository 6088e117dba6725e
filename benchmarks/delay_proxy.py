"""A network further away: a TCP proxy, in a process of its own, that delivers every byte later.

`delayed(address, 1.0)` adds one millisecond to each round trip: half of it to what the client sends, half to what the
server answers. Bytes under way do not wait for each other, and nothing limits how many there are. The way through the
proxy itself costs some tenths of a millisecond more; the drain benchmark measures and prints the sum.
"""

import argparse
import asyncio
import selectors
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

BOLT_PORT = 7687
ROUND_TRIP_MS = 1.0
"""What benchmarks behind it add to each round trip."""


class Later(asyncio.Protocol):
    """One side of a connection: what comes in leaves on the opposite side, in order, after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._under_way: deque[bytes] = deque()
        self.transport: asyncio.Transport | None = None
        self.opposite: Later | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Send bytes on their longer way."""
        self._under_way.append(data)
        asyncio.get_running_loop().call_later(self._seconds, self._deliver)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  as the protocol has it
        """Hang up on the other side, after what is still under way."""
        asyncio.get_running_loop().call_later(self._seconds, self._hang_up)

    def _deliver(self) -> None:
        data = self._under_way.popleft()
        if self.opposite is not None and self.opposite.transport is not None:
            self.opposite.transport.write(data)

    def _hang_up(self) -> None:
        if self.opposite is not None and self.opposite.transport is not None:
            self.opposite.transport.close()


class Entrance(Later):
    """The client's side of a connection: opens the server's side as the client arrives."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        super().__init__(seconds)
        self._host = host
        self._port = port
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, and take nothing from the client before the server's side is open."""
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        self._opening = asyncio.create_task(self._open(transport))

    async def _open(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, self.opposite = await loop.create_connection(lambda: Later(self._seconds), self._host, self._port)
        except OSError:
            transport.close()
            return
        self.opposite.opposite = self
        transport.resume_reading()


async def serve(host: str, port: int, seconds: float) -> None:
    """Say which port is listened on, and pass connections on until stdin ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Entrance(host, port, seconds), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()

    def watch() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True).start()
    await ended.wait()


@contextmanager
def delayed(uri: str, round_trip_ms: float) -> Generator[str]:
    """Yield a Bolt URI that leads to the server of `uri` over a longer way; the proxy ends with the block."""
    parts = urlsplit(uri)
    if "+s" in parts.scheme:
        raise ValueError(f"the proxy does not speak TLS, which {uri!r} asks for")
    command = [sys.executable, "-m", "benchmarks.delay_proxy", parts.hostname or "127.0.0.1"]
    command += [str(parts.port or BOLT_PORT), f"--round-trip-ms={round_trip_ms}"]
    home = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"bolt://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(description="A TCP proxy that delays; it prints its port, and ends with stdin.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--round-trip-ms", type=float, default=ROUND_TRIP_MS, help="added to each round trip")
    options = parser.parse_args()
    # Waits with select(): the usual epoll rounds each wait up to a whole millisecond.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(serve(options.host, options.port, options.round_trip_ms / 2000))


if __name__ == "__main__":
    main()
