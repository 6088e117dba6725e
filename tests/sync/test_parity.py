"""What is synchronous has the names, the defaults, the words and the errors of what it stands for."""

import asyncio
import inspect

import pytest

from perdure import BufferedWriter, Memory, MemoryClient, MemorySettings, Receipt, SyncMemory, SyncMemoryClient
from perdure.graph.long_term import LongTermMemory
from perdure.graph.query import GraphQuery
from perdure.graph.reasoning import ReasoningMemory
from perdure.graph.short_term import ShortTermMemory
from perdure.graph.typed import TypedMemory
from perdure.graph.users import Users
from perdure.sync import typed, writes
from perdure.sync.blocking import Blocking, blocking
from perdure.writes.dead_letters import DeadLetters

PAIRS = {
    Memory: SyncMemory,
    MemoryClient: SyncMemoryClient,
    TypedMemory: typed.SyncTypedMemory,
    ShortTermMemory: typed.SyncShortTermMemory,
    LongTermMemory: typed.SyncLongTermMemory,
    ReasoningMemory: typed.SyncReasoningMemory,
    Users: typed.SyncUsers,
    GraphQuery: writes.SyncGraphQuery,
    BufferedWriter: writes.SyncBufferedWriter,
    DeadLetters: writes.SyncDeadLetters,
    Receipt: writes.SyncReceipt,
}
NOT_OFFERED = {
    MemoryClient: {"graph", "providers"},  # what Memory stands on; not for applications
    ShortTermMemory: {"keep"},  # the import's
    BufferedWriter: {"start", "close"}  # the client's, which owns it
    | {"identity", "journal_health", "redriven", "submit_own"},  # what the client and typed memory ask it
    DeadLetters: {"drop_those"},  # typed memory's
    Receipt: {"keep", "settle", "when_settled", "kept", "entry", "accepted_at"}  # the writer's
    | {"hurry"},  # typed memory's
}
ONLY_SYNC = {
    SyncMemoryClient: {"connection"},  # what SyncMemory stands on
    SyncMemory: {"asynchronous", "connection"},  # what the chat client stands on
}


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


def shape(function):
    """Return what a caller must know of a function: names, kinds and defaults."""
    parameters = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in parameters]


def differences(asynchronous, synchronous):
    """Return what a user of the one would miss in the other, or find changed."""
    wanted = public(asynchronous) - NOT_OFFERED.get(asynchronous, set())
    offered = public(synchronous) - ONLY_SYNC.get(synchronous, set())
    found = [f"{name} is missing" for name in sorted(wanted - offered)]
    found += [f"{name} is extra" for name in sorted(offered - wanted)]
    for name in sorted(wanted & offered):
        there, here = getattr(asynchronous, name), getattr(synchronous, name)
        if inspect.isdatadescriptor(there) != inspect.isdatadescriptor(here):
            found.append(f"{name} is another kind of thing")
        elif callable(there) and shape(there) != shape(here):
            found.append(f"{name} is called otherwise")
        elif not inspect.ismemberdescriptor(there) and inspect.getdoc(there) != inspect.getdoc(here):
            found.append(f"{name} is explained otherwise")
        elif inspect.iscoroutinefunction(here):
            found.append(f"{name} must be awaited")
    return found


@pytest.mark.parametrize("asynchronous", PAIRS, ids=lambda kind: kind.__name__)
def test_names_defaults_and_words_are_the_same(asynchronous):
    """P22: an editor shows the same methods, with the same signatures and docstrings."""
    assert differences(asynchronous, PAIRS[asynchronous]) == []


@pytest.mark.parametrize("asynchronous", [Memory, MemoryClient], ids=lambda kind: kind.__name__)
def test_both_are_made_and_left_alike(asynchronous):
    """P22: the constructor's parameters, and the block that closes."""
    synchronous = PAIRS[asynchronous]
    assert shape(asynchronous) == shape(synchronous)
    assert hasattr(asynchronous, "__aexit__")
    assert hasattr(synchronous, "__exit__")


def test_what_a_parity_test_must_see_it_sees():
    """P22: control: a method that only one of them has, another default, another docstring, a coroutine."""

    class Grown(GraphQuery):
        async def explain(self, statement):
            """Say how it would be run."""

        async def cypher(self, statement, parameters=()):
            """Return rows."""

    class Odd(Blocking):
        def explain(self, statement):
            """Say something else."""

        cypher = blocking(GraphQuery.cypher)

    assert differences(Grown, writes.SyncGraphQuery) == ["explain is missing", "cypher is called otherwise"]
    assert differences(Grown, Odd) == ["cypher is called otherwise", "explain is explained otherwise"]
    assert differences(GraphQuery, Odd) == ["explain is extra"]
    assert differences(GraphQuery, GraphQuery) == ["cypher must be awaited"]


def test_a_new_method_of_an_accessor_has_its_class_among_the_pairs():
    """P22: so that no accessor is forgotten as a whole."""
    accessors = {"short_term", "long_term", "reasoning", "users", "buffered", "query"}
    properties = {name for name, value in inspect.getmembers(MemoryClient) if isinstance(value, property)}
    assert properties - NOT_OFFERED[MemoryClient] - {"write_errors"} == accessors
    returned = {getattr(MemoryClient, name).fget.__annotations__["return"] for name in accessors}
    assert returned <= set(PAIRS)


WRONG_MEMORY = {
    "nobody's": lambda memory: memory.add("I moved"),
    "blank": lambda memory: memory.add("I moved", user_id="  "),
    "no text": lambda memory: memory.add(3, user_id="u"),
    "no such keyword": lambda memory: memory.add("I moved", user="u"),
    "too few": lambda memory: memory.search("where", user_id="u", limit=0),
    "no cosine": lambda memory: memory.search("where", user_id="u", threshold=7),
    "no filter": lambda memory: memory.search("where", user_id="u", filters={"a": {"like": 1}}),
    "no wait": lambda memory: memory.add("I moved", user_id="u", wait="never"),
    "not there": lambda memory: memory.update("nothing", "text", user_id="u"),
    "no cursor": lambda memory: memory.get_all(user_id="u", cursor="page 2"),
    "twice": lambda memory: memory.connect(),
}
WRONG_CLIENT = {
    "no role": lambda client: client.short_term.add_message("s", "nobody", "hi", user_id="u"),
    "no such trace": lambda client: client.reasoning.add_step("none", user_id="u"),
    "no such entity": lambda client: client.long_term.get_related("none", user_id="u"),
    "no statement": lambda client: client.buffered.submit(""),
    "no parameter": lambda client: client.buffered.submit("CREATE (:N {n: $n})"),
    "a write": lambda client: client.query.cypher("CREATE (:N)"),
    "no letters": lambda client: client.buffered.dead_letters.list(),
    "no user": lambda client: client.users.get(""),
    "other id": lambda client: client.scope(user_id="a").stats(user_id="b"),
    "twice": lambda client: client.connect(),
}


def said(error):
    return type(error), str(error)


async def awaited(make, calls):
    heard = {}
    async with make() as made:
        for name, call in calls.items():
            with pytest.raises(Exception) as raised:
                await call(made)
            heard[name] = said(raised.value)
    return heard


def called(make, calls):
    heard = {}
    with make() as made:
        for name, call in calls.items():
            with pytest.raises(Exception) as raised:
                call(made)
            heard[name] = said(raised.value)
    return heard


@pytest.mark.parametrize(
    ("asynchronous", "calls"), [(Memory, WRONG_MEMORY), (MemoryClient, WRONG_CLIENT)], ids=["memory", "client"]
)
def test_bad_input_is_the_same_error(asynchronous, calls):
    """P22: of the same type, with the same words."""

    def settings():
        return MemorySettings(store="memory://")

    there = asyncio.run(awaited(lambda: asynchronous(settings()), calls))
    here = called(lambda: PAIRS[asynchronous](settings()), calls)
    assert here == there
