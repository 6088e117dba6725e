"""What is marked as changed and not indexed, found a page at a time."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

from perdure.graph.searchable import KINDS, Place
from perdure.protocols import GraphStore
from perdure.records import VectorKind
from perdure.telemetry import STORES

SECONDS_TO_LOOK_AGAIN = 1.0


class Marked:
    """Gives the keys of marked nodes, and goes past those that are no records, which stay marked.

    Most of those are being deleted. What `look_again` finds to be none a second later as well is warned of, once.
    """

    def __init__(self, store: GraphStore, look_again: Callable[[], None]) -> None:
        self._store = store
        self._look_again = look_again
        self._passed: defaultdict[VectorKind, set[str]] = defaultdict(set)
        self._doubted: set[Place] = set()
        self._warned = False

    async def page(self, kind: VectorKind, most: int, brought: Iterable[str]) -> list[str]:
        """Return keys of marked nodes that were not passed by and are not `brought`: none when there are no others."""
        left_out = self._passed[kind].union(brought)
        rows = await self._store.read(KINDS[kind].unindexed, {"limit": most + len(left_out)})
        return [row["id"] for row in rows if row["id"] not in left_out][:most]

    def pass_by(self, kind: VectorKind, keys: Iterable[str], indexed: Collection[Place]) -> None:
        """Leave out of the next pages what a page had and could not be indexed."""
        self._passed[kind].update(key for key in keys if (kind, key) not in indexed)

    def end(self) -> None:
        """Begin anew with the next page, and see to what was passed by."""
        passed: set[Place] = {(kind, key) for kind, keys in self._passed.items() for key in keys}
        self._passed.clear()
        lasting, self._doubted = passed & self._doubted, passed
        if self._warned or not passed:
            return
        if lasting:
            self._warn(lasting)
        else:
            asyncio.get_running_loop().call_later(SECONDS_TO_LOOK_AGAIN, self._look_again)

    def _warn(self, lasting: Collection[Place]) -> None:
        self._warned = True
        texts = {KINDS[kind].unindexed for kind, _ in lasting}
        finding = "; ".join(text.replace("$limit", "100") for text in sorted(texts))
        STORES.warning(
            "%d of the graph's nodes cannot be read, and no search finds them. Mend or delete what this finds: %s",
            len(lasting), finding,
        )  # fmt: skip
