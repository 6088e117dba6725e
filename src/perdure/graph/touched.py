"""Which entities a tool call was about."""

from collections.abc import Sequence

from perdure.errors import InputError, NotFoundError, shorten
from perdure.graph.names import is_uuid, name_key
from perdure.graph.scope import Scope, check_id
from perdure.graph.statements import load
from perdure.graph.writing import Graph
from perdure.models import Entity

TEXTS = load("touched")


class Touched:
    """Entities by their keys, and by the keys of their names; a UUID is taken for an id, any other text for a name.

    Raises NotFoundError for an Entity that is another owner's.
    """

    def __init__(self, whose: Scope, touched: Sequence[str | Entity]) -> None:
        if isinstance(touched, str):
            raise InputError("touched should be a list of names, ids or entities, not a text.")
        self._whose = whose
        self.keys: list[str] = []
        self.names: list[str] = []
        self._words: dict[str, str] = {}
        for one in touched:
            if isinstance(one, Entity):
                if whose.of(one).owner != whose.owner:
                    raise _absent(one.id)
                self._add(self.keys, whose.key(one.id), one.id)
            elif is_uuid(check_id("touched", one)):
                self._add(self.keys, whose.key(one), one)
            else:
                self._add(self.names, name_key(whose, one), one)

    def _add(self, where: list[str], key: str, word: str) -> None:
        if key not in self._words:
            where.append(key)
            self._words[key] = word

    async def ids(self, graph: Graph) -> list[str]:
        """Return the ids of the entities, asking the graph for those this client does not know.

        Raises NotFoundError.
        """
        unknown = {key for key in self._words if not graph.known.entities(key)}
        if unknown:
            await self._look_up(graph, unknown)
        return sorted({each for key in self._words for each in graph.known.entities(key)})

    async def _look_up(self, graph: Graph, unknown: set[str]) -> None:
        found: dict[str, list[str]] = {}
        for row in await graph.read(
            self._whose, TEXTS["touched"], lane=self._whose.owner, entities=self.keys, names=self.names
        ):
            found.setdefault(row["key"], []).append(row["id"])
        for key in unknown:
            if key not in found:
                raise _absent(self._words[key])
            graph.known.add_entities(key, tuple(found[key]))


def _absent(word: str) -> NotFoundError:
    return NotFoundError(f"There is no entity {shorten(repr(word), 60)}.", hint="Add it first.")
