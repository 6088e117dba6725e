"""What `Memory` promises of its running: nothing blocks, nothing is changed that is the caller's, reads do not wait."""

import asyncio
import copy
import threading

import pytest

from perdure import ClosedError, InputError, Memory, MemoryClient, MemorySettings, ProviderError
from perdure.embedders.static import StaticEmbedder
from perdure.fencing import fence
from perdure.testing import FakeEmbedder, FakeLanguageModel, wait_until

ADA = {"user_id": "ada"}
STATIC = StaticEmbedder()
"""The default one, read once for all tests."""


def settings(**given):
    return MemorySettings(**{"store": "memory://", "embedder": FakeEmbedder(), **given})


async def texts(memory):
    return [each.memory for each in (await memory.get_all(**ADA)).results]


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ([], "empty"), (None, "NoneType"), (7, "int"), ([{"role": "user", "content": "a"}, "b"], "messages[1]"),
        ({"role": "robot", "content": "a"}, "role"), ({"content": "a"}, "role"), ({"role": "user"}, "content"),
        ({"role": "user", "content": 7}, "content"), ({"role": "user", "content": [{"text": "a"}]}, "type"),
        ({"role": "user", "content": "a", "colour": "red"}, "colour"), ({"role": "user", "content": "\ud800"}, "pair"),
        ({"role": "user", "content": "a", "created_at": "today"}, "created_at"),
        ({"role": "user", "content": "a", "metadata": {"a": {1, 2}}}, "metadata"),
        ({"role": "user", "content": "x" * 1_000_001}, "characters"),
    ],
    ids=lambda value: repr(value)[:50],
)  # fmt: skip
async def test_messages_of_a_wrong_shape_are_refused_by_name(wrong, names):
    """P1: before anything is stored."""
    async with Memory(settings()) as memory:
        with pytest.raises(InputError) as error:
            await memory.add(wrong, **ADA)
        assert names in str(error.value)
        assert await texts(memory) == []


@pytest.mark.parametrize(
    "scope", [{}, {"tenant": "t"}, {"user_id": ""}, {"user_id": "  "}, {"agent_id": 7}, {"group_id": "g"}], ids=repr
)
async def test_every_call_says_whose_memory_it_is_about(scope):
    """P2: at least one id, and none of them blank."""
    async with Memory(settings()) as memory:
        for call in (
            memory.add("a", **scope), memory.search("a", **scope), memory.get("i", **scope), memory.get_all(**scope),
            memory.update("i", "b", **scope), memory.delete("i", **scope), memory.delete_all(**scope),
            memory.history("i", **scope),
        ):  # fmt: skip
            with pytest.raises(InputError):
                await call


async def test_nothing_of_the_callers_is_changed():
    """P21: messages, metadata and filters stay as they were given."""
    said = [{"role": "user", "content": "I like tea", "metadata": {"deep": {"a": [1]}}}]
    metadata, filters = {"n": {"b": [2]}}, {"n": {"ne": 3}}
    before = copy.deepcopy((said, metadata, filters))
    async with Memory(settings()) as memory:
        result = await memory.add(said, metadata=metadata, **ADA)
        await memory.search("tea", filters=filters, **ADA)
        assert (said, metadata, filters) == before
        kept = await memory.get(result.results[0].id, **ADA)
        assert kept.metadata == {"n": {"b": [2]}, "deep": {"a": [1]}}


async def test_what_was_recalled_is_not_remembered_again():
    """P23: neither word for word nor by a model."""
    said = f"{fence(['I like tea'])}\nWhat do I like?"
    async with Memory(settings()) as memory:
        await memory.add(said, **ADA)
        assert await texts(memory) == ["What do I like?"]
    model = FakeLanguageModel(['{"statements": [], "relations": []}'])
    async with Memory(settings(llm=model)) as memory:
        await memory.add(said, **ADA)
        assert "I like tea" not in str(model.asked[0].messages)


@pytest.mark.parametrize(
    "said", ["Moro em Lisboa e gosto de chá.", "私はポルトに住んでいます。", "Я люблю чай.", "أحب الشاي 🫖"]
)
async def test_the_language_of_what_was_said_is_kept(said):
    """P20: word for word, and it is found by its own words."""
    async with Memory(settings(embedder=STATIC)) as memory:
        await memory.add([said_by_user(said), said_by_user("something else entirely")], **ADA)
        assert said in await texts(memory)
        found = await memory.search(said, limit=1, **ADA)
        assert [hit.memory for hit in found.results] == [said]


def said_by_user(text):
    return {"role": "user", "content": text}


class Backwards:
    """Puts last what stood first."""

    name = "backwards"

    async def rerank(self, query, texts):
        return list(range(len(texts)))


class Failing:
    """Fails."""

    name = "failing"

    async def rerank(self, query, texts):
        raise ProviderError("It is not well.")


async def test_a_reranker_that_fails_leaves_our_own_order_and_is_told():
    """P17: and one that does not has its way."""
    said = [said_by_user(f"tea {n}") for n in range(4)]
    orders = []
    for reranker in (None, Failing(), Backwards()):
        async with Memory(settings(reranker=reranker)) as memory:
            await memory.add(said, **ADA)
            found = await memory.search("tea", rerank=True, **ADA)
            orders.append([hit.memory for hit in found.results])
            assert (found.rerank_error is not None) == isinstance(reranker, Failing)
    assert orders[0] == orders[1] == orders[2][::-1]


async def test_a_search_does_not_wait_for_adds():
    """P11: two hundred are held, and it finds what was there before."""
    held = asyncio.Event()

    class Slow(FakeLanguageModel):
        async def complete(self, messages, *, schema=None):
            await held.wait()
            return await super().complete(messages, schema=schema)

    model = Slow(lambda _: '{"statements": [], "relations": []}')
    async with Memory(settings(llm=model)) as memory:
        await memory.add("I like tea", infer=False, **ADA)
        adds = [asyncio.create_task(memory.add(f"number {n}", **ADA)) for n in range(200)]
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            found = await memory.search("tea", **ADA)
        assert [hit.memory for hit in found.results] == ["I like tea"]
        assert not any(add.done() for add in adds)
        held.set()
        await asyncio.gather(*adds)


async def test_nothing_blocks_the_event_loop():
    """P12: blocking calls are made in threads, with the real embedder and files."""
    async with Memory(MemorySettings(store="memory://")) as memory:
        await asyncio.gather(*(memory.add(f"I met Rex {n} times", **ADA) for n in range(20)))
        assert (await memory.search("Rex", **ADA)).results


async def test_threads_are_bounded_by_the_settings():
    """P13: however many calls there are of a model that is a plain function."""
    seen, lock = set(), threading.Lock()

    def model(_messages):
        with lock:
            seen.add(threading.current_thread().name)
        return '{"statements": [], "relations": []}'

    limits = {"language_model_concurrency": 3, "embedder_threads": 1}
    async with Memory(settings(llm=model, limits=limits)) as memory:
        before = threading.active_count()
        adds = [asyncio.create_task(memory.add(f"number {n}", **ADA)) for n in range(100)]
        most = 0
        while not all(add.done() for add in adds):
            await asyncio.sleep(0)
            most = max(most, threading.active_count())
        stats = memory.client.providers.stats()["language_model"]
        assert (stats.concurrency, stats.ended) == (3, 100)
        assert most - before <= 3 + 1 + 8


async def test_reset_leaves_nothing_behind():
    """P18: of anybody, in the graph and in the vectors."""
    async with Memory(settings()) as memory:
        for user in ("ada", "bob"):
            await memory.add([{"role": "user", "content": "Rex met Ana", "name": "Ada"}], user_id=user)
        report = await memory.reset()
        assert (report.memories, report.history) == (2, 2)
        graph = memory.client.graph
        assert await graph.index.vectors.count() == 0
        assert (await memory.search("Rex", **ADA)).results == []
        kinds = await memory.client.query.cypher("MATCH (n) RETURN DISTINCT labels(n)[0] AS kind", {})
        assert {row["kind"] for row in kinds} <= {"_PerdureSchema", "_PerdureSearch", "_JournalMark"}


async def test_a_memory_that_is_not_open_says_so():
    """P24: before connect, and after close."""
    memory = Memory(settings())
    with pytest.raises(ClosedError):
        await memory.search("tea", **ADA)
    await memory.connect()
    await memory.close()
    await memory.close()
    with pytest.raises(ClosedError):
        await memory.connect()


async def test_the_model_is_read_before_it_is_needed():
    """P12: reading it holds up the whole process for a tenth of a second, which the first add need not wait for."""
    async with Memory(MemorySettings(store="memory://")) as memory:
        embedder = memory.client.providers.embedder._embedder
        await wait_until(lambda: embedder._model.made is not None)
    async with MemoryClient(MemorySettings(store="memory://")) as client:
        assert client.providers.embedder._embedder._model.made is None
