"""Keep what is known, and since when: facts change, and the old ones stay. Runs as it is, without a server."""

import asyncio
from datetime import UTC, datetime

from perdure import MemoryClient, MemorySettings


async def main() -> None:
    # Nothing on disk. Without `store`: files in ./.perdure. A server: neo4j={"uri": "neo4j://…", "password": "…"}.
    async with MemoryClient(MemorySettings(store="memory://")) as client:
        known = client.scope(user_id="u1").long_term
        ada = await known.add_entity("Ada Lovelace", "person", aliases=["Countess of Lovelace"])
        babbage = await known.add_entity("Charles Babbage", "person")
        await known.add_relationship(ada, "WORKED_WITH", babbage, valid_from=datetime(1833, 6, 5, tzinfo=UTC))

        old = await known.add_fact("Ada Lovelace", "lives in", "London", valid_from=datetime(1835, 7, 8, tzinfo=UTC))
        new = await known.add_fact("Ada Lovelace", "lives in", "Ockham", valid_from=datetime(1838, 6, 30, tzinfo=UTC))
        await known.supersede_fact(old, new)
        await known.add_preference("letters", "prefers long ones, with diagrams")

        for fact in await known.get_facts_about("countess of lovelace"):  # an alias, in any case
            print(f"Now she {fact.predicate} {fact.object}.")
        for fact in await known.get_facts_about(ada, as_of=datetime(1836, 1, 1, tzinfo=UTC)):
            print(f"In 1836 she {fact.predicate} {fact.object}, until {fact.valid_until:%d %B %Y}.")
        for near in await known.get_related(ada):
            print(f"{near.relationship.type} {near.entity.name} since {near.relationship.valid_from:%Y}.")
        for hit in await known.search_preferences("How should I write to her?"):
            print(f"{hit.item.category}: {hit.item.preference}.")


if __name__ == "__main__":
    asyncio.run(main())
