"""What a search asks of the graph."""

import pytest

from perdure import MemoryClient, MemorySettings
from perdure.stores.embedded import EmbeddedGraphStore


class Counting(EmbeddedGraphStore):
    """Counts what it is asked to read."""

    def __init__(self):
        super().__init__(None)
        self.reads = 0

    async def read(self, statement, parameters):
        self.reads += 1
        return await super().read(statement, parameters)


@pytest.mark.parametrize("success", [None, True])
async def test_a_search_for_similar_tasks_asks_as_much_whatever_there_is(success):
    """M18: a constant number of questions."""
    store = Counting()
    asked = []
    async with MemoryClient(MemorySettings(store=store)) as client:
        for count in (3, 40):
            for n in range(count):
                trace = await client.reasoning.start_trace("s", f"find flat {n}", user_id="ada")
                await client.reasoning.complete_trace(trace, success=True)
            await client.reasoning.search_traces("flat", user_id="ada")  # by now everything is indexed
            before = store.reads
            assert await client.reasoning.search_traces("flat", success=success, limit=3, user_id="ada")
            asked.append(store.reads - before)
    assert asked[0] == asked[1] <= 2
