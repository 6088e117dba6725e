"""Whose words are remembered: known for a while, since every search asks."""

from collections import OrderedDict
from collections.abc import Collection
from time import monotonic

from perdure.graph.memories import Memories
from perdure.graph.scope import Scope

SECONDS_KNOWN = 60.0
SCOPES_KNOWN = 1000


class Speakers:
    """The names of those whose words are remembered, by scope; what another process adds is known a minute later."""

    def __init__(self, memories: Memories) -> None:
        self._memories = memories
        self._known: OrderedDict[Scope, tuple[float, frozenset[str]]] = OrderedDict()

    async def of(self, whose: Scope) -> frozenset[str]:
        """Return the names of a scope."""
        now = monotonic()
        since, found = self._known.get(whose, (0.0, frozenset[str]()))
        if whose not in self._known or now - since > SECONDS_KNOWN:
            found = frozenset(await self._memories.speakers(whose))
            self._known[whose] = (now, found)
            if len(self._known) > SCOPES_KNOWN:
                self._known.popitem(last=False)
        return found

    def heard(self, whose: Scope, names: Collection[str]) -> None:
        """Take note of names that are added to a scope: they are known at once, and nothing is asked again for them."""
        for scope, (since, found) in self._known.items():
            if scope.owner == whose.owner and scope.leaves(whose.agent_id, whose.run_id):
                self._known[scope] = (since, found.union(names))
