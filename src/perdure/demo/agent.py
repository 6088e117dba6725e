"""An agent that is about to be killed: it submits numbered writes and says of each when it is accepted.

`python -m perdure.demo.agent DIRECTORY ID [URI]`; see proof.py.
"""

import asyncio
import sys
from itertools import count

from perdure import MemoryClient, MemorySettings

APPEND = "MERGE (l:DemoLog {id: $id}) SET l.numbers = coalesce(l.numbers, []) + $n"
"""Each write adds its number to one list: a loss, a repetition and a wrong order would all show in it."""


def settings_for(directory: str, uri: str | None) -> MemorySettings:
    """Return the settings of the agent, and of the one that comes after it: the journal is in `directory`."""
    return MemorySettings(
        data_dir=directory, store=None, neo4j={"uri": uri}, memory={"write_mode": "buffered", "max_pending": 1000}
    )


async def work(directory: str, name: str, uri: str | None) -> None:
    """Submit writes until the process ends."""
    async with MemoryClient(settings_for(directory, uri)) as client:
        for n in count():
            await client.buffered.submit(APPEND, {"id": name, "n": n})
            print(n, flush=True)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))
