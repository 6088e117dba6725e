"""A small assistant that remembers what it was told, from one talk to the next. Runs as it is, without a server."""

import asyncio
from datetime import UTC, datetime

from perdure import Memory, MemorySettings

TALKS = [
    (datetime(2026, 3, 2, 9, tzinfo=UTC), ["I live in Porto.", "My sister Rita keeps the dog while I travel."]),
    (datetime(2026, 9, 14, 9, tzinfo=UTC), ["I moved to Lisbon last month.", "I can't eat nuts, they make me ill."]),
]
QUESTIONS = ["In which city do I live?", "Who is Rita?", "May I eat nuts?"]


async def main() -> None:
    # Nothing on disk. Without `store`: files in ./.perdure. With a language model: llm="openai:gpt-4o-mini".
    async with Memory(MemorySettings(store="memory://")) as memory:
        for when, said in TALKS:
            for text in said:
                message = {"role": "user", "name": "Ada", "content": text, "created_at": when}
                result = await memory.add(message, user_id="ada")
                for each in result.results:
                    print(f"{each.event}: {each.memory}" + (f" (before: {each.previous})" if each.previous else ""))

        for question in QUESTIONS:
            found = await memory.search(question, user_id="ada", limit=1)
            print(f"\n{found.as_prompt()}\n\n{question}")  # what a model would be asked

        page = await memory.get_all(user_id="ada", include_expired=True)
        print(f"\n{len(page.results)} memories. Of the first one's history:")
        for event in await memory.history(page.results[0].id, user_id="ada"):
            print(f"  {event.event}: {event.memory}")


if __name__ == "__main__":
    asyncio.run(main())
