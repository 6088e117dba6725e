"""How far a vector store has come that is made from the graph, and what of it need not be made again."""

from perdure.graph.searchable import KINDS, Place, owners_of
from perdure.graph.statements import load
from perdure.protocols import GraphStore, VectorStore
from perdure.records import Revision

TEXTS = load("index")
AT_ONCE = 1000
ANEW = ""
"""The mark of a vector store that is made anew over what it held: left by half, it is begun again."""
FILLING = "+"
"""How the mark of one begins that was empty, and holds only what was put into it since; behind it the graph's mark."""


class Making:
    """Knows by the vector store's mark whether all of it was made; what is put meanwhile brings none."""

    def __init__(self, store: GraphStore, vectors: VectorStore, *, separate: bool) -> None:
        self._store = store
        self._vectors = vectors
        self._separate = separate

    async def is_needed(self) -> bool:
        """Return whether the vector store is new, was made by half, or is older than the graph."""
        mark = await self._vectors.mark()
        if not mark or mark.startswith(FILLING) or await self._is_empty():
            return True
        return mark < await self._marked()

    async def is_due(self) -> bool:
        """Return whether it is needed, and there is something in the graph for it."""
        if not await self.is_needed():
            return False
        for kind in KINDS.values():
            if await self._store.read(kind.every, {}):
                return True
        return False

    async def begin(self) -> set[Place]:
        """Note that it is being made, and return what has been already, since it was begun with an empty one."""
        filling, mark = FILLING + await self._marked(), await self._vectors.mark()
        is_new = mark is None or await self._is_empty()
        await self._vectors.upsert([], mark=filling if is_new or mark == filling else ANEW)
        return await self._held() if mark == filling else set()

    async def _marked(self) -> str:
        rows = await self._store.read(TEXTS["mark"], {}) if self._separate else []
        return rows[0]["mark"] if rows else ""

    async def _is_empty(self) -> bool:
        return not await self._vectors.revisions(limit=1)

    async def _held(self) -> set[Place]:
        held: set[Place] = set()
        after: Revision | None = None
        while page := await self._vectors.revisions(after, limit=AT_ONCE):
            after = page[-1]
            held.update(owners_of(page))
        return held
