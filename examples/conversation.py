"""Keep a conversation, and find what was said. Runs as it is, without a server."""

import asyncio
from datetime import UTC, datetime

from perdure import MemoryClient, MemorySettings

TALK = [
    (3, "user", "I moved to Lisbon last month.", "home"),
    (3, "assistant", "How do you like it there?", "home"),
    (4, "user", "My bicycle has a flat tyre.", "sport"),
    (4, "assistant", "There is a repair shop in Rua da Prata.", "sport"),
    (9, "user", "My sister keeps the dog.", "home"),
]


async def main() -> None:
    # Nothing on disk. Without `store`: files in ./.perdure. A server: neo4j={"uri": "neo4j://…", "password": "…"}.
    async with MemoryClient(MemorySettings(store="memory://")) as client:
        ada = client.scope(user_id="ada")
        for day, role, said, topic in TALK:
            when = datetime(2026, 11, day, 18, tzinfo=UTC)
            await ada.short_term.add_message("chat-1", role, said, created_at=when, metadata={"topic": topic})

        print("The newest three:")
        conversation = await ada.short_term.get_conversation("chat-1", limit=3)
        for message in conversation.messages:
            print(f"  {message.created_at:%d %b} {message.role}: {message.content}")

        print("Where does she live?")
        for hit in await ada.short_term.search_messages("In which city does she live?", role="user", limit=1):
            print(f"  {hit.item.content}")

        print("What was said about sport?")
        for hit in await ada.short_term.search_messages("a shop for bicycles", metadata={"topic": "sport"}):
            print(f"  {hit.item.content}")

        ben = client.scope(user_id="ben")
        print(f"Ben has {len(await ben.short_term.search_messages('Lisbon'))} messages: what is Ada's is Ada's.")


if __name__ == "__main__":
    asyncio.run(main())
