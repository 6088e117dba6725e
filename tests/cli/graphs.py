"""What is in the embedded graph, as a client reads it, and in a journal's directory."""

from pathlib import Path

from perdure import MemoryClient, MemorySettings


async def notes() -> list[int]:
    """Return the numbers of all notes, one for each node; opening the client commits what is in the journal."""
    async with MemoryClient(MemorySettings()) as client:
        rows = await client.query.cypher("MATCH (n:Note) RETURN n.n AS n ORDER BY n")
        return [row["n"] for row in rows]


async def mended() -> None:
    """Let the writes that were refused succeed from now on."""
    async with MemoryClient(MemorySettings()) as client:
        await client.buffered.submit("MATCH (b:Broken) DELETE b")


def bytes_of(directory: Path) -> dict[str, bytes]:
    """Return every file in a directory, but for the index of the log, which SQLite makes anew as it needs it."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if not path.name.endswith("-shm")}
