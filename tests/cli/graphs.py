"""What is in the embedded graph, as a client reads it, and in a journal's directory."""

from pathlib import Path

from perdure import Memory, MemoryClient, MemorySettings


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


async def lived() -> None:
    """Have two users, and nobody, keep this and that."""
    async with MemoryClient(MemorySettings()) as client:
        for user in ("ada", "bob", None):
            mine = client.scope(user_id=user)
            for n in range(3):
                await mine.short_term.add_message("chat-1", "user", f"{user} says {n}")
            await mine.long_term.add_fact("Ada", "lives in", "Lisbon")
    async with Memory(MemorySettings()) as memory:
        await memory.add("I moved to Lisbon last month.", user_id="ada")


async def seen() -> dict[str | None, dict[str, int]]:
    """Return how much each user has, of those who have anything."""
    async with MemoryClient(MemorySettings()) as client:
        found = {user: await client.stats(user_id=user) for user in ("ada", "bob", "eve", None)}
    return {user: counts for user, counts in found.items() if any(counts.values())}
