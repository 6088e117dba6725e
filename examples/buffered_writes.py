"""Write a conversation without waiting for the database. Runs as it is, without a server."""

import asyncio
import time

from perdure import MemoryClient, MemorySettings

SAY = "MERGE (n:Line {id: $id}) SET n.role = $role, n.content = $content"
LINK = "MATCH (a:Line {id: $before}), (b:Line {id: $id}) MERGE (a)-[:NEXT]->(b)"
TALK = [
    ("user", "The boat yard closes on the 14th. Can we move the survey?"),
    ("assistant", "Yes, to Tuesday the 11th. I have written to the surveyor."),
    ("user", "Not Tuesdays, remember."),
    ("assistant", "Sorry: Wednesday the 12th, at ten."),
]


async def main() -> None:
    # Nothing on disk. Without `store`: files in ./.perdure. A server: neo4j={"uri": "neo4j://…", "password": "…"}.
    settings = MemorySettings(store="memory://")
    settings.memory.write_mode = "buffered"
    async with MemoryClient(settings) as client:
        started = time.perf_counter()
        for n, (role, content) in enumerate(TALK):
            await client.buffered.submit(SAY, {"id": f"m{n}", "role": role, "content": content})
            if n:
                await client.buffered.submit(LINK, {"before": f"m{n - 1}", "id": f"m{n}"})
        await client.buffered.submit("MERGE (n:Line {id: $id}) RETRUN n", {"id": "m9"})  # accepted; fails later
        waited = (time.perf_counter() - started) * 1000
        print(f"The agent waited {waited:.1f} ms; {client.buffered.pending} writes are pending.")
        summary = await client.flush(timeout=10)
        print(f"Now {summary.committed} are committed and {summary.failed} failed.")
        for row in await client.query.cypher("MATCH (n:Line) RETURN n.role AS who, n.content AS said ORDER BY n.id"):
            print(f"  {row['who']}: {row['said']}")
    for error in client.write_errors:
        print(f"Failed: {error.query}\n  {error.error}")


if __name__ == "__main__":
    asyncio.run(main())
