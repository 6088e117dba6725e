"""Keep how tasks were done, with their tool calls, and find a task like the next one. Runs without a server."""

import asyncio

from perdure import MemoryClient, MemorySettings

PRICES = {"Lisbon": [980, 1150], "Porto": [740]}


def search_flats(city: str) -> list[int]:
    """Stand for a tool that may fail."""
    return PRICES[city]


async def main() -> None:
    # Nothing on disk. Without `store`: files in ./.perdure. A server: neo4j={"uri": "neo4j://…", "password": "…"}.
    async with MemoryClient(MemorySettings(store="memory://")) as client:
        ada = client.scope(user_id="ada")
        for city in ("Lisbon", "Faro"):
            await ada.long_term.add_entity(city, "place")
            asked = await ada.short_term.add_message("chat-1", "user", f"Find me a flat in {city}.")
            try:
                async with ada.reasoning.trace("chat-1", f"find a flat in {city}", triggered_by=asked.id) as trace:
                    step = await ada.reasoning.add_step(trace, thought="ask the agency", action="search_flats")
                    rents = search_flats(city)
                    await ada.reasoning.record_tool_call(
                        step, "search_flats", {"city": city}, result=rents, touched=[city]
                    )
                    await ada.reasoning.complete_trace(trace, outcome=f"{min(rents)} euro", success=True)
            except KeyError:
                print(f"Nothing in {city}; the trace says why.")

        for trace in await ada.reasoning.list_traces("chat-1"):
            print(f"{trace.task}: {'done' if trace.success else 'failed'}, {trace.outcome}")
        [like] = await ada.reasoning.search_traces("look for a home in Lisbon", success=True, limit=1)
        found = await ada.reasoning.get_trace(like.item)
        for step in found.steps if found else ():
            for call in step.tool_calls:
                print(f"Step {step.step_number}, {step.thought}: {call.tool_name}({call.arguments}) gave {call.result}")
        for tool in await ada.reasoning.get_tool_stats():
            print(f"{tool.tool_name}: {tool.calls} call, {tool.successes} success")


if __name__ == "__main__":
    asyncio.run(main())
