"""What is to be done about each statement, given the memories that are there: decided here, done elsewhere."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from perdure.pipelines.identity import id_of_words, normalised, speaker
from perdure.pipelines.statements import Decision, Existing, Statement

Words = tuple[str, str]
"""What makes two statements one: what is said, and in own words also by whom, both normalised."""


def resolve(statements: Sequence[Statement], existing: Iterable[Existing], *, scope_key: str) -> list[Decision]:
    """Return a decision for each statement, in the order in which they are to be applied: as they were said.

    `existing` should hold, expired ones too, every memory of the scope that has an id of a statement (`id_of`), the
    same slot or the same words; others do no harm. A decision may name, in `existing`, `replaces` or `outdated`, a
    memory that an earlier one adds.

    A memory with a slot is valid as long as no later one gives another answer. So the order in which things are told
    does not matter, only when they were said; of two said at the same time, the one told later counts. Resolving what
    was resolved before is NONE throughout.
    """
    known = _Known(existing, scope_key)
    decisions: list[Decision] = []
    for statement in sorted(statements, key=lambda statement: statement.said_at):
        decision = _decide(statement, known)
        known.apply(decision)
        decisions.append(decision)
    return decisions


def id_of(statement: Statement, scope_key: str) -> str:
    """Return the id that a statement gets as a memory of a scope, unless a memory of other words has it by now."""
    return id_of_words(scope_key, *_words_of(statement))


class _Known:
    """The memories that are there, as they are after the decisions so far."""

    def __init__(self, existing: Iterable[Existing], scope_key: str) -> None:
        self._scope_key = scope_key
        self._memories: dict[str, Existing] = {}
        self._words: dict[Words, set[str]] = defaultdict(set)
        self._slots: dict[str, set[str]] = defaultdict(set)
        for memory in existing:
            self._put(memory)

    def apply(self, decision: Decision) -> None:
        for replaced in decision.replaces:
            self._put(replace(self._memories[replaced.id], expired=True))
        self._put(decision.memory)

    def _put(self, memory: Existing) -> None:
        before = self._memories.get(memory.id)
        self._memories[memory.id] = memory
        if before is None or before.text != memory.text:
            if before is not None:
                self._words[_words_of(before)].discard(memory.id)
            self._words[_words_of(memory)].add(memory.id)
        if memory.slot is not None:
            self._slots[memory.slot].add(memory.id)

    def same_words(self, words: Words) -> Existing | None:
        """Return the memory of these words: a valid one before an expired one, then the one said last."""
        same = [self._memories[id_] for id_ in self._words.get(words, ())]
        return max(same, key=lambda memory: (not memory.expired, memory.said_at, memory.id), default=None)

    def same_slot(self, statement: Statement) -> list[Existing]:
        """Return the memories that answer what a statement answers, in the order they were said."""
        if statement.slot is None or statement.value is None:
            return []
        answers = [self._memories[id_] for id_ in self._slots.get(statement.slot, ())]
        return sorted(answers, key=lambda memory: (memory.said_at, memory.id))

    def new(self, statement: Statement, words: Words, *, expired: bool) -> Existing:
        """Return the memory that a statement becomes; one whose text was changed may have the id that is its due."""
        id_ = id_of_words(self._scope_key, *words)
        while id_ in self._memories:
            id_ = id_of_words(id_, *words)
        return Existing(
            id=id_,
            text=statement.text,
            said_at=statement.said_at,
            name=statement.name,
            slot=statement.slot,
            value=statement.value,
            expired=expired,
            in_own_words=statement.role is not None,
        )


def _words_of(said: Statement | Existing) -> Words:
    in_own_words = said.in_own_words if isinstance(said, Existing) else said.role is not None
    return normalised(said.text), speaker(said.name) if in_own_words else ""


def _decide(statement: Statement, known: _Known) -> Decision:
    words = _words_of(statement)
    same, answers = known.same_words(words), known.same_slot(statement)
    rivals = [memory for memory in answers if memory != same and _contradicts(statement, memory)]
    replaces = tuple(memory for memory in rivals if not memory.expired and memory.said_at <= statement.said_at)
    outdated = next((memory for memory in rivals if memory.said_at > statement.said_at), None)
    twins = [memory for memory in answers if _says_it(memory, statement)] if statement.role is None else []
    back = same is not None and same.expired and same.said_at < statement.said_at
    if same is not None and not (back and twins):
        return _said_before(statement, same, replaces, outdated)
    if twins:
        return _merged(statement, twins)
    memory = known.new(statement, words, expired=outdated is not None)
    return _kept(Decision("ADD", statement, memory, replaces=replaces, outdated=outdated))


def _said_before(
    statement: Statement, same: Existing, replaces: tuple[Existing, ...], outdated: Existing | None
) -> Decision:
    """Decide about words that a memory has already."""
    again = _said_again(same, statement)
    stays_expired = same.expired and (outdated is not None or statement.said_at <= same.said_at)
    if not replaces and (stays_expired or not same.expired):
        return Decision("NONE", statement, again, existing=same)
    if not stays_expired:
        again = replace(
            again,
            said_at=max(same.said_at, statement.said_at),
            slot=statement.slot or same.slot,
            value=statement.value or same.value,
            expired=False,
        )
    return _kept(Decision("ADD", statement, again, existing=same, replaces=replaces, outdated=outdated))


def _merged(statement: Statement, twins: Sequence[Existing]) -> Decision:
    """Decide about a model's words for what is known: the longer text stays, and nobody's own words are changed."""
    by_model = [memory for memory in twins if not memory.in_own_words]
    fullest = max(by_model or twins, key=lambda memory: (len(memory.text), memory.id))
    again = _said_again(fullest, statement)
    if by_model and len(statement.text) > len(fullest.text):
        return Decision("UPDATE", statement, replace(again, text=statement.text), existing=fullest)
    return Decision("NONE", statement, again, existing=fullest)


def _said_again(memory: Existing, statement: Statement) -> Existing:
    """Return a memory as it is when it was said again.

    An answer counts as said when it was said last; for all else, when it was said first is what counts. A model's words
    that somebody uses are that somebody's from then on, and stay as they are.
    """
    later = memory.slot is not None and statement.said_at > memory.said_at
    return replace(
        memory,
        said_at=statement.said_at if later else memory.said_at,
        in_own_words=memory.in_own_words or statement.role is not None,
    )


def _kept(decision: Decision) -> Decision:
    return replace(decision, event="SUPERSEDE") if decision.replaces else decision


def _contradicts(statement: Statement, memory: Existing) -> bool:
    """Return whether two answers cannot both be; "Lisbon" and "Lisbon, Portugal" can."""
    mine, theirs = _answer(statement.value), _answer(memory.value)
    return not (mine <= theirs or theirs <= mine)


def _says_it(memory: Existing, statement: Statement) -> bool:
    """Return whether a memory gives the answer of a statement: still, or when it was said last."""
    return memory.value == statement.value and (not memory.expired or memory.said_at >= statement.said_at)


def _answer(value: str | None) -> set[str]:
    return set(normalised(value or "").replace(",", " ").split())
