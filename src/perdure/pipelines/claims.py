"""What this process has decided to keep and does not have in the graph yet, so that decisions see each other."""

import asyncio
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager

from perdure.pipelines.statements import Existing
from perdure.results import Side, SideName
from perdure.writes import Receipt

Sides = dict[SideName, Side]


class Claim:
    """A memory on its way: first accepted, then settled on both sides; or never kept."""

    def __init__(self, scope: str, existing: Existing) -> None:
        self.scope = scope
        self.existing = existing
        self.lost = False
        """Whether it will not be there after all."""
        self._accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._settled: asyncio.Future[Sides] = asyncio.get_running_loop().create_future()

    @property
    def decided(self) -> bool:
        """Whether it is known if it is accepted."""
        return self._accepted.done()

    async def accepted(self) -> None:
        """Return once it is known whether it is accepted."""
        await asyncio.shield(self._accepted)

    async def settled(self) -> Sides:
        """Return what became of it on each side."""
        return await asyncio.shield(self._settled)

    def accept(self) -> None:
        """Say that it is accepted."""
        if not self._accepted.done():
            self._accepted.set_result(None)

    def settle(self, sides: Sides) -> None:
        """Say what became of it."""
        self.accept()
        if not self._settled.done():
            self._settled.set_result(sides)

    def lose(self) -> None:
        """Say that it will not be there."""
        self.lost = True
        self.settle({})


class Claims:
    """The claims of all scopes; a scope is a text."""

    def __init__(self) -> None:
        self._open: defaultdict[str, dict[Claim, None]] = defaultdict(dict)
        self._watching: defaultdict[str, list[list[Claim]]] = defaultdict(list)

    @contextmanager
    def watching(self, scope: str) -> Generator[Sequence[Claim]]:
        """Yield a list of a scope's claims that are open now, to which those are added that are made meanwhile."""
        seen = list(self._open.get(scope, ()))
        self._watching[scope].append(seen)
        try:
            yield seen
        finally:
            left = [other for other in self._watching[scope] if other is not seen]
            if left:
                self._watching[scope] = left
            else:
                del self._watching[scope]

    def claim(self, scope: str, memories: Iterable[Existing]) -> list[Claim]:
        """Claim memories, for all who decide from now on to see."""
        made = [Claim(scope, each) for each in memories]
        self._open[scope].update(dict.fromkeys(made))
        for seen in self._watching.get(scope, ()):
            seen.extend(made)
        return made

    def accept(self, claims: Sequence[Claim], receipt: Receipt) -> None:
        """Say that claims are accepted, and let go of them when the graph has them, or never will."""
        for claim in claims:
            claim.accept()
        receipt.when_settled(lambda: self._release(claims))

    def lose(self, claims: Sequence[Claim]) -> None:
        """Say that claims were not accepted."""
        for claim in claims:
            claim.lose()
        self._release(claims)

    def _release(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            of_scope = self._open[claim.scope]
            of_scope.pop(claim, None)
            if not of_scope:
                del self._open[claim.scope]
