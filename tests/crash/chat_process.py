"""A program that chats until it is killed, and says on stdout what was answered, a line each: `answered TEXT`.

Its arguments are the client, the directory, the durability, the server's address, and the number of its life. Each
second turn is a stream; `streaming` says that one has begun. Its graph takes nothing: what is accepted is in the
journal alone.
"""

import asyncio
import sys
from itertools import count
from pathlib import Path

from faulty_store import Faults, FaultyStore

from perdure import Memory, MemorySettings, SyncMemory
from perdure.openai import AsyncOpenAI, OpenAI
from perdure.stores.embedded import EmbeddedGraphStore


def settings_of(directory, durability, **faults):
    """Return settings for a directory whose graph has some faults."""
    store = FaultyStore(EmbeddedGraphStore(str(Path(directory) / "graph")), Faults(**faults))
    return MemorySettings(store=store, data_dir=directory, memory={"durability": durability})


def said(life, number):
    text = f"life {life} number {number} met Rex in Porto"
    return {"model": "m", "messages": [{"role": "user", "content": text}], "user_id": "u1", "stream": bool(number % 2)}


def tell(question):
    print("answered", question["messages"][0]["content"], flush=True)


async def chat(settings, address, life):
    async with Memory(settings) as memory, AsyncOpenAI(api_key="k", base_url=address, memory=memory) as client:
        for number in count():
            question = said(life, number)
            answer = await client.chat.completions.create(**question)
            if question["stream"]:
                print("streaming", flush=True)
                async for _ in answer:
                    pass
            tell(question)


def blocking_chat(settings, address, life):
    with SyncMemory(settings) as memory, OpenAI(api_key="k", base_url=address, memory=memory) as client:
        for number in count():
            question = said(life, number)
            answer = client.chat.completions.create(**question)
            if question["stream"]:
                print("streaming", flush=True)
                list(answer)
            tell(question)


if __name__ == "__main__":
    which, directory, durability, address, life = sys.argv[1:]
    settings = settings_of(directory, durability, stalled=True)
    if which == "OpenAI":
        blocking_chat(settings, address, life)
    else:
        asyncio.run(chat(settings, address, life))
