"""An agent as nodes and edges, as in LangGraph and without it, that recalls before it acts and keeps how it went.

Runs without a server and without a key.
"""

import asyncio
from dataclasses import dataclass, field

from perdure import Memory, MemoryClient, MemorySettings

RENTS = {"Lisbon": [980, 1150], "Porto": [740]}


@dataclass
class State:
    """What goes from node to node; each node changes it."""

    memory: Memory
    task: str
    trace: str = ""
    known: list[str] = field(default_factory=list)
    rents: list[int] = field(default_factory=list)
    outcome: str = ""

    def __post_init__(self) -> None:
        self.reasoning = self.memory.client.scope(user_id="ada").reasoning


async def recall(state: State) -> None:
    state.trace = (await state.reasoning.start_trace("chat-1", state.task)).id
    found = await state.memory.search(state.task, user_id="ada", limit=3)
    state.known = [hit.memory for hit in found.results]
    await state.reasoning.add_step(state.trace, thought=f"known: {len(state.known)}")


async def act(state: State) -> None:
    city = next((city for city in RENTS if city in f"{state.task} {state.known}"), "nowhere")
    step = await state.reasoning.add_step(state.trace, thought=f"about {city}", action="search_flats")
    state.rents = RENTS.get(city, [])  # a tool
    await state.reasoning.record_tool_call(step, "search_flats", {"city": city}, result=state.rents)
    state.outcome = f"{len(state.rents)} flats in {city}"


async def ask_back(state: State) -> None:
    state.outcome = "Which city is it about?"


async def remember(state: State) -> None:
    await state.reasoning.complete_trace(state.trace, outcome=state.outcome, success=bool(state.rents))
    await state.memory.add(state.task, user_id="ada", wait="accepted")


EDGES = {
    recall: lambda _: act,
    act: lambda state: remember if state.rents else ask_back,
    ask_back: lambda _: remember,
    remember: lambda _: None,
}


async def main() -> None:
    settings = MemorySettings(store="memory://", memory={"write_mode": "deferred"})  # no step waits for a commit
    async with MemoryClient(settings) as client, Memory(client=client) as memory:
        for task in ("Find me a flat.", "I moved to Lisbon.", "Find me a flat, please."):
            state, node = State(memory, task), recall
            while node:
                await node(state)
                node = EDGES[node](state)
            print(f"{task} -> {state.outcome}")
            await memory.flush()  # so that the next task finds it; people take longer to answer

        for trace in await state.reasoning.list_traces("chat-1"):
            found = await state.reasoning.get_trace(trace)
            print(trace.task, "-", trace.outcome, [step.thought for step in found.steps])


if __name__ == "__main__":
    asyncio.run(main())
