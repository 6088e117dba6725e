"""A program that remembers until it is killed, and says on stdout what add has returned of, a line each.

Its arguments are the directory, the durability, and the number of its life. `accepted TEXT` and `kept TEXT` say that
add returned, with wait="accepted" and with wait="committed".
"""

import asyncio
import sys
from itertools import count

from perdure import Memory, MemorySettings

WRITERS = 6


async def write(memory, life, writer):
    """Add one message after the other, and say what was returned."""
    wait = "accepted" if writer % 2 else "committed"
    for number in count():
        text = f"life {life} writer {writer} number {number} met Rex in Porto"
        said = [{"role": "user", "content": text}, {"role": "assistant", "content": f"Noted: {text}"}]
        await memory.add(said, wait=wait, user_id=f"user{writer}")
        print("kept" if wait == "committed" else "accepted", text, flush=True)


async def main(directory, durability, life):
    """Remember until the end."""
    async with Memory(MemorySettings(data_dir=directory, memory={"durability": durability})) as memory:
        print("open", flush=True)
        async with asyncio.TaskGroup() as group:
            for writer in range(WRITERS):
                group.create_task(write(memory, life, writer))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
