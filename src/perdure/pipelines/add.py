"""Remembering: statements are found, compared with what is known, embedded, and kept on both sides at once."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from perdure import ids
from perdure.errors import PerdureError, StoreUnavailableError, WriteFailed
from perdure.graph.index import Index
from perdure.graph.memories import Accepted, Memories, Stored, Written, scope_key
from perdure.graph.rows import IncompleteError
from perdure.graph.scope import Scope
from perdure.graph.searchable import Found, spoken, text_of, vector_record
from perdure.models import MemoryRecord
from perdure.pipelines import rules
from perdure.pipelines.claims import Claim, Claims, Sides
from perdure.pipelines.extract import extract
from perdure.pipelines.inbox import Inbox
from perdure.pipelines.planning import Plan, existing_of, in_parts, plan
from perdure.pipelines.resolve import id_of, resolve
from perdure.pipelines.speakers import Speakers
from perdure.pipelines.statements import Decision, Existing, Extracted, Turn
from perdure.protocols import LanguageModel
from perdure.records import VectorRecord
from perdure.results import AddResult, Relation, Remembered, Side
from perdure.runtime.limits import Pool
from perdure.runtime.tasks import Tasks
from perdure.runtime.together import both
from perdure.runtime.turns import Turns
from perdure.writes import Receipt

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

HAS_IT = Side()
STORED: Sides = {"vector": HAS_IT, "graph": HAS_IT}
ON_ITS_WAY: Sides = {"vector": Side(stored=False, retrying=True), "graph": Side(stored=False, retrying=True)}


class Adding:
    """The steps of `Memory.add`, in order."""

    def __init__(
        self, memories: Memories, index: Index, stores: Pool, model: LanguageModel | None, tasks: Tasks
    ) -> None:
        self._memories = memories
        self._index = index
        self._stores = stores
        self._model = model
        self._tasks = tasks
        self._turns = Turns()
        self._claims = Claims()
        self.speakers = Speakers(memories)
        self.inbox = Inbox(memories, tasks, self._remember)

    async def add(self, whose: Scope, turns: Sequence[Turn], *, infer: bool) -> AddResult:
        """Remember what is worth it; once something of it is accepted, all of it is kept, also when this is cancelled.

        Raises ProviderError when the language model or the embedder fails; nothing is kept then.
        """
        found = await self.extracted(turns, infer=infer)
        if not found.statements:
            return AddResult(sides=STORED)
        kept = self._tasks.start(self.keep(whose, found), "perdure add")
        return await asyncio.shield(kept)

    async def accept(self, whose: Scope, turns: Sequence[Turn], *, infer: bool) -> AddResult:
        """Return once it is certain that this will be remembered, before anything is found in it."""
        await self.inbox.accept(whose, turns, infer=infer)
        return AddResult(sides=ON_ITS_WAY)

    async def _remember(self, whose: Scope, turns: Sequence[Turn], infer: bool, accepted: str) -> AddResult:  # noqa: FBT001  the inbox's
        return await self.keep(whose, await self.extracted(turns, infer=infer), accepted)

    async def extracted(self, turns: Sequence[Turn], *, infer: bool) -> Extracted:
        """Return what was said that is worth remembering: by the model, or by rules where there is none."""
        model = self._model
        await self._turns.take()
        if model is None or not infer:
            found = await self._by_rules(turns)
            return found if infer else _unrelated(found)
        return await extract(turns, model)

    async def _by_rules(self, turns: Sequence[Turn]) -> Extracted:
        found = Extracted()
        for step in rules.extracting(turns):
            found = step
            await self._turns.take()
        return found

    async def keep(self, whose: Scope, found: Extracted, accepted: str | None = None) -> AddResult:
        """Decide what is new, and write it; `accepted` is the name under which it was accepted before.

        Many statements are decided and written a part at a time: each part is in the graph as a whole or not at all.
        """
        await self._turns.take()
        scope, chat = scope_key(whose), ids.uuid7()
        embedding = self._index.embedder.embed([spoken(each.name, each.text) for each in found.statements])
        vectors: NDArray[float32] | None = None
        results: list[Remembered] = []
        sides: list[Sides] = []
        for part in in_parts(found):
            wanted = [id_of(each, scope) for each in part.found.statements]
            with self._claims.watching(scope) as seen:
                related = self._related(whose, part.found, wanted)
                if vectors is None:
                    vectors, stored = await both(embedding, related)
                else:
                    stored = await related
                await self._turns.take()
                decisions, relied = await self._decided(scope, part.found, {*wanted}, stored, seen)
                planned = plan(whose, part, decisions, chat)
                claims = self._claims.claim(scope, _changed(decisions))
            accepting = None if accepted is None else Accepted(accepted, done=part.is_last)
            sides.append(await self._write(whose, planned, vectors, claims, accepting))
            sides += [await claim.settled() for claim in relied]
            results += planned.results
        relations = [Relation(source=r.source, relation=r.relation, target=r.target) for r in found.relations]
        return AddResult(results=results, relations=relations, sides=_worst(sides))

    async def _related(self, whose: Scope, found: Extracted, wanted: Sequence[str]) -> list[Stored]:
        """Return what is kept that the statements may repeat or contradict; nothing while the graph cannot say.

        They are written all the same, and one that is there already stays one: its id comes from its words.
        """
        slots = [each.slot for each in found.statements if each.slot is not None]
        try:
            return await self._stores.run(lambda: self._memories.related(whose, wanted, slots))
        except IncompleteError:
            raise
        except StoreUnavailableError:
            return []

    async def _decided(
        self, scope: str, found: Extracted, wanted: Collection[str], stored: Sequence[Stored], seen: Sequence[Claim]
    ) -> tuple[list[Decision], list[Claim]]:
        """Return decisions, and the claims of others that they rely on, each of which is accepted."""
        slots = {each.slot for each in found.statements} - {None}
        while True:
            open_claims = {
                claim.existing.id: claim
                for claim in seen
                if not claim.lost and (claim.existing.id in wanted or claim.existing.slot in slots)
            }
            known = {each.id: existing_of(each) for each in stored}
            known |= {each: claim.existing for each, claim in open_claims.items()}
            decisions = resolve(found.statements, known.values(), scope_key=scope)
            relied = [open_claims[each] for each in _named(decisions) if each in open_claims]
            undecided = [claim for claim in relied if not claim.decided]
            if not undecided:
                return decisions, relied
            for claim in undecided:
                await claim.accepted()

    async def change(self, whose: Scope, written: Written) -> None:
        """Write a change of one memory; what is found by its new text is so when this returns.

        Raises StoreUnavailableError when the graph does not take it in time: it stays queued.
        """
        [vector] = await self._index.embedder.embed([text_of(written.record)])
        revision = ids.uuid7()
        receipt = await self._memories.change(whose, written, revision)
        states = {whose.key(written.record.id): revision}
        found = False
        try:
            graph = await self._graph_side(receipt, monotonic())
            if graph.error is not None:
                raise graph.error
            vectors = await self._vector_side([_findable(whose, written, revision, vector)])
            found = vectors.stored and await self._stands(whose, written.record)
        finally:
            if found:
                self._index.is_put("memory", states)
            else:
                self._index.follow_records(whose.owner, "memory", states, receipt)

    async def _stands(self, whose: Scope, memory: MemoryRecord) -> bool:
        """Return whether the graph has a memory just so: it may have been forgotten, or changed again, meanwhile."""
        try:
            found = await self._stores.run(lambda: self._memories.get(whose, [memory.id]))
        except StoreUnavailableError:
            return False
        return [(each.text, each.record.updated_at) for each in found] == [(memory.memory, memory.updated_at)]

    async def _write(
        self, whose: Scope, planned: Plan, vectors: "NDArray[float32]", claims: Sequence[Claim],
        accepted: Accepted | None,
    ) -> Sides:  # fmt: skip
        """Write both sides at the same time, and return what became of each."""
        if not (planned.written or planned.facts or accepted):
            return STORED
        revision = ids.uuid7()
        try:
            receipt = await self._memories.remember(whose, planned.written, planned.facts, revision, accepted)
        except BaseException:
            self._claims.lose(claims)
            raise
        self._claims.accept(claims, receipt)
        if names := {written.record.name for _, written in planned.added if written.record.name}:
            self.speakers.heard(whose, names)
        sides = ON_ITS_WAY
        try:
            await self._turns.take()
            sides = await self._both(whose, planned, vectors, revision, receipt)
        finally:
            for claim in claims:
                claim.settle(sides)
        return sides

    async def _both(
        self, whose: Scope, planned: Plan, vectors: "NDArray[float32]", revision: str, receipt: Receipt
    ) -> Sides:
        """Bring new memories to both sides at the same time; the one that fails has them later, if the graph has."""
        began = monotonic()
        receipt.hurry()
        await asyncio.sleep(0)  # so that the graph is at it while the vectors are put
        records = [_findable(whose, written, revision, vectors[number]) for number, written in planned.added]
        states = {whose.key(written.record.id): revision for _, written in planned.added}
        with self._index.bringing(list(states)):
            vector = await self._vector_side(records)
            graph = await self._graph_side(receipt, began)
        if graph.stored and vector.stored:
            self._index.is_put("memory", states)
        elif graph.stored or graph.retrying:
            self._index.follow_records(whose.owner, "memory", states, receipt)
        else:
            await self._index.remove(whose.owner, "memory", [written.record.id for _, written in planned.added])
        return {"vector": vector, "graph": graph}

    async def _graph_side(self, receipt: Receipt, began: float) -> Side:
        limit = self._stores.deadline_seconds
        try:
            await receipt.committed(None if limit is None else max(0.0, began + limit - monotonic()))
        except TimeoutError:
            late = StoreUnavailableError(f"The graph did not take it within {limit:g} s.", hint="It stays queued.")
            return Side(stored=False, error=late, retrying=True)
        except WriteFailed as failed:
            return Side(stored=False, error=failed.error if isinstance(failed.error, PerdureError) else failed)
        return HAS_IT

    async def _vector_side(self, records: Sequence[VectorRecord]) -> Side:
        try:
            if records:
                await self._stores.run(lambda: self._index.put(records))
        except PerdureError as error:
            return Side(stored=False, error=error, retrying=True)
        return HAS_IT


def _findable(whose: Scope, written: Written, revision: str, vector: "NDArray[float32]") -> VectorRecord:
    """Return what the vectors are to have of a memory."""
    stored = Found(whose.key(written.record.id), "memory", written.record, revision)
    return vector_record(stored, text_of(written.record), vector)


def _unrelated(found: Extracted) -> Extracted:
    """Return statements that take nobody's place."""
    return replace(found, statements=tuple(replace(each, slot=None, value=None) for each in found.statements))


def _changed(decisions: Sequence[Decision]) -> list[Existing]:
    """Return the memories that decisions make or change, as they will be."""
    expired = [replace(old, expired=True) for decision in decisions for old in decision.replaces]
    return [*expired, *[decision.memory for decision in decisions if decision.changes]]


def _named(decisions: Sequence[Decision]) -> list[str]:
    """Return the ids of the earlier memories that decisions are about."""
    found = [each for decision in decisions for each in (decision.existing, decision.outdated, *decision.replaces)]
    return list(dict.fromkeys(each.id for each in found if each is not None))


def _worst(sides: Sequence[Sides]) -> Sides:
    """Return for each side the first of several that is not stored, or one that is."""
    return {
        "vector": next((each["vector"] for each in sides if each and not each["vector"].stored), HAS_IT),
        "graph": next((each["graph"] for each in sides if each and not each["graph"].stored), HAS_IT),
    }
