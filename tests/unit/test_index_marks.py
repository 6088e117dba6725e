"""The marks of what is not indexed: what is noted as done while that is written down, and what cannot be read."""

from typing import Any, cast

import pytest
from index_rig import Rig

from perdure.errors import StoreUnavailableError
from perdure.graph import index as following
from perdure.graph import marked
from perdure.graph.index import Index
from perdure.testing import wait_until


class Store:
    """Note something more during each write, as the follower does while `close` writes; or fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.index = Index(cast("Any", self), cast("Any", None), cast("Any", None), separate=False)
        self.removed: list[str] = []
        self.error = error

    async def write(self, statement: str, parameters: dict[str, Any]) -> None:
        self.index._noted["message"]["m2"] = "new"
        self.index._noted["fact"]["f1"] = "new"
        if self.error is not None:
            raise self.error
        self.removed += [row["id"] for row in parameters["rows"]]


async def test_what_is_noted_meanwhile_is_written_the_next_time() -> None:
    """M5: nothing is dropped from the notes unwritten, and their growth breaks nothing."""
    store = Store()
    store.index._noted["message"]["m1"] = "old"
    await store.index._note_done(1)
    assert store.removed == ["m1", "f1"]
    assert store.index._noted["message"] == {"m2": "new"}


async def test_what_could_not_be_written_stays_noted() -> None:
    """M5: and a newer note of the same record stays the newer one."""
    store = Store(StoreUnavailableError("away"))
    store.index._noted["message"] |= {"m1": "old", "m2": "old"}
    with pytest.raises(StoreUnavailableError):
        await store.index._note_done(1)
    assert store.index._noted["message"] == {"m1": "old", "m2": "new"}


# -- nodes that are marked, and are no records


@pytest.fixture
async def rig(monkeypatch):
    """A graph with five marked messages that cannot be read, and one behind them that can, two in a page."""
    made = Rig()
    await made.graph.connect()
    async with made.client() as client:
        for n in range(5):
            await client.short_term.add_message("s", "user", f"tea {n}", user_id="ada")
    await made.graph.write("MATCH (n:Message) SET n.unindexed = 'x' REMOVE n.role", {})
    made.embedder.failing = StoreUnavailableError("away")
    async with made.client() as client:
        await client.short_term.add_message("s", "user", "green tea", user_id="ada")
    made.embedder.failing = None
    assert await made.marked() == 6
    monkeypatch.setattr(following, "AT_ONCE", 2)
    yield made
    await made.graph.close()


async def test_nodes_that_cannot_be_read_hide_none_behind_them(rig) -> None:
    """M5: however many there are."""
    async with rig.client() as client:
        [hit] = await client.short_term.search_messages("tea", user_id="ada")
        assert hit.item.content == "green tea"
    assert await rig.marked() == 5


async def test_what_stays_unreadable_is_warned_of_once(rig, monkeypatch, caplog) -> None:
    """M5: with what finds it; half a node that is being deleted is gone a second later, and nobody is told."""
    monkeypatch.setattr(marked, "SECONDS_TO_LOOK_AGAIN", 3600.0)
    async with rig.client() as client:

        async def looked() -> list[str]:
            client._graph.index.look_again()
            await client.short_term.search_messages("tea", user_id="ada")
            return caplog.messages

        assert await looked() == []
        await rig.graph.write("MATCH (n:Message) WHERE n.content <> 'tea 4' AND n.unindexed = 'x' DETACH DELETE n", {})
        [message] = await looked()
        assert message.startswith("1 of the graph's nodes cannot be read")
        assert await rig.graph.read(message.partition("this finds: ")[2], {})
        assert await looked() == [message]


async def test_what_is_unreadable_is_looked_at_again_unasked(rig, monkeypatch, caplog) -> None:
    """M5: since nothing else may be changed for long."""
    monkeypatch.setattr(marked, "SECONDS_TO_LOOK_AGAIN", 0.0)
    async with rig.client() as client:
        await client.short_term.search_messages("tea", user_id="ada")
        await wait_until(lambda: caplog.messages)
    assert caplog.messages[0].startswith("5 of the graph's nodes")
