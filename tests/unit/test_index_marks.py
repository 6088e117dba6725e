"""What the index notes as done while it is writing that down."""

from typing import Any, cast

import pytest

from perdure.errors import StoreUnavailableError
from perdure.graph.index import Index


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
