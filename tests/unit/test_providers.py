"""Language models and rerankers by name, by object and by function; names that do not exist; packages that are not."""

import asyncio
import struct
import subprocess
import sys
import threading
from importlib import util

import numpy as np
import pytest
from test_embedders import pretend
from tokenizers import Tokenizer, models, pre_tokenizers

from perdure import MemoryClient
from perdure.embedders import bert
from perdure.errors import (
    ConfigError,
    ProviderError,
    ProviderOutputError,
    ProviderTimeoutError,
    RateLimitError,
)
from perdure.protocols import LanguageModel, Reranker
from perdure.providers import MODULES, Providers
from perdure.settings import MemorySettings
from perdure.testing import wait_until

ASK = [{"role": "user", "content": "Where do I live?"}]
TEXTS = ["Lisbon", "Porto is wet", "no"]


def lengths(query, texts):
    return [len(query) + len(text) for text in texts]


# -- a function as a language model


def plain(messages):
    return f"{messages[0]['content']} {threading.current_thread().name}"


async def with_schema(messages, schema):
    await asyncio.sleep(0)
    return f"{messages[0]['content']} {schema}"


class Asked:
    async def __call__(self, messages, schema=None):
        return f"{messages[0]['content']} {schema}"


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        (plain, "Where do I live? perdure language_model"),
        (with_schema, "Where do I live? {'type': 'object'}"),
        (Asked(), "Where do I live? {'type': 'object'}"),
        (lambda *given: f"{len(given)} given", "2 given"),
        (lambda messages: with_schema(messages, None), "Where do I live? None"),
        (lambda messages, *, schema: f"{messages[0]['content']} {schema}", "Where do I live? {'type': 'object'}"),
        (lambda messages, tone="kind": f"{messages[0]['content']} {tone}", "Where do I live? kind"),
        (lambda messages, form: f"{messages[0]['content']} {form}", "Where do I live? {'type': 'object'}"),
    ],
)
async def test_a_function_is_a_language_model(function, answer):
    """Plain ones in a thread of their kind, async ones awaited, with the schema if they take it."""
    async with Providers(MemorySettings(llm=function)) as providers:
        assert isinstance(providers.language_model, LanguageModel)
        assert await providers.language_model.complete(ASK, schema={"type": "object"}) == answer


async def test_its_messages_are_its_own():
    """P21: what it does to them is not seen by the caller."""
    given = [dict(ASK[0])]
    async with Providers(MemorySettings(llm=lambda messages: messages[0].clear() or "done")) as providers:
        await providers.language_model.complete(given)
    assert given == ASK


def raising(error):
    def function(messages):
        raise error

    return function


@pytest.mark.parametrize(
    ("function", "kind", "said"),
    [
        (raising(ZeroDivisionError("mine")), ProviderError, "function failed: ZeroDivisionError: mine"),
        (raising(StopIteration()), ProviderError, "StopIteration"),
        (raising(TimeoutError()), ProviderError, "TimeoutError"),
        (raising(RateLimitError("slow down")), RateLimitError, "slow down"),
        (lambda _: "", ProviderOutputError, "an empty answer"),
        (lambda _: " \n", ProviderOutputError, "an empty answer"),
        (lambda _: None, ProviderOutputError, "NoneType, which is no text"),
        (lambda _: {"facts": []}, ProviderOutputError, "dict, which is no text"),
    ],
)
async def test_what_a_function_does_wrong_is_a_provider_error(function, kind, said):
    """P5: and never nothing."""
    async with Providers(MemorySettings(llm=function)) as providers:
        with pytest.raises(kind, match=said) as raised:
            await providers.language_model.complete(ASK)
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"llm": lambda: "hello"}, r"should take messages and schema, and has the parameters \(\)"),
        ({"llm": lambda a, b, c: "hello"}, r"has the parameters \(a, b, c\)"),
        ({"llm": lambda messages, *, tone: "hello"}, r"schema may be left out"),
        ({"reranker": lambda query: [1.0]}, r"should take query and texts, and has the parameters \(query\)\.$"),
    ],
)
def test_a_function_of_other_arguments_is_refused(given, said):
    """When the client is made, not when it is asked."""
    with pytest.raises(ConfigError, match=said):
        Providers(MemorySettings(**given))


class NotAsync:
    """Every provider at once, with methods that forget to be async."""

    name = "mine"
    dimension = 2

    def embed(self, texts):
        return np.ones((len(texts), 2))

    def complete(self, messages, *, schema=None):
        return "hello"

    def rerank(self, query, texts):
        return [1.0] * len(texts)


@pytest.mark.parametrize(
    ("setting", "method", "arguments"),
    [("embedder", "embed", [TEXTS]), ("llm", "complete", [ASK]), ("reranker", "rerank", ["where", TEXTS])],
)
async def test_a_method_that_is_not_async_is_told_what_to_write(setting, method, arguments):
    """It would hold up the event loop."""
    async with Providers(MemorySettings(**{setting: NotAsync()})) as providers:
        provider = {"llm": providers.language_model}.get(setting) or getattr(providers, setting)
        with pytest.raises(ConfigError, match=rf"{method}\(\) of the .* mine does not await.*`async def {method}`"):
            await getattr(provider, method)(*arguments)


async def test_a_hung_function_costs_its_own_call():
    """P14, P13: and its thread is one of those there may be."""
    release = threading.Event()
    first = threading.Event()

    def function(messages):
        if not first.is_set():
            first.set()
            release.wait(60)
        return "answer"

    settings = MemorySettings(llm=function, limits={"language_model_seconds": 0.2, "language_model_concurrency": 2})
    async with Providers(settings) as providers:
        with pytest.raises(ProviderTimeoutError, match=r"language model function .* 0\.2 s"):
            await providers.language_model.complete(ASK)
        assert providers.stats()["language_model"].busy_threads == 1
        answers = await asyncio.gather(*(providers.language_model.complete(ASK) for _ in range(20)))
        assert set(answers) == {"answer"}
        assert providers.stats()["language_model"].threads <= 2
        release.set()
        await wait_until(lambda: providers.stats()["language_model"].busy_threads == 0)


async def test_an_object_is_a_language_model():
    """As it is; it stays its owner's."""

    class Mine:
        name = "mine"

        async def complete(self, messages, *, schema=None):
            return "mine"

    async with Providers(MemorySettings(llm=Mine())) as providers:
        assert providers.language_model.name == "mine"
        assert await providers.language_model.complete(ASK) == "mine"


async def test_by_default_there_is_none():
    """No key, no network."""
    async with Providers(MemorySettings()) as providers:
        assert (providers.language_model, providers.reranker) == (None, None)


# -- rerankers


async def alengths(query, texts):
    return lengths(query, texts)


class Cross:
    """What of sentence-transformers' CrossEncoder is used."""

    def __init__(self, model, *, device):
        self.device = device

    def predict(self, pairs, *, show_progress_bar):
        return np.array([len(query) + len(text) for query, text in pairs], dtype=np.float32)


def write_cross_encoder(directory):
    """Write a model that scores a pair by how many tokens it has, and a tokenizer that counts words."""
    words = {"[UNK]": 0, "[PAD]": 1}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(directory / "tokenizer.json"))
    axis = bert._message((1, 1), (2, bert.INT64), (8, "axis"), (9, struct.pack("<q", 1)))
    sums = bert._message((1, "attention_mask"), (1, "axis"), (2, "sums"), (4, "ReduceSum"))
    cast = bert._message((1, "sums"), (2, "scores"), (4, "Cast"), (5, bert._attribute("to", bert.FLOAT)))
    inputs = [(11, bert._value(name, bert.INT64, "n", "t")) for name in ("input_ids", "attention_mask")]
    graph = bert._message(
        (1, sums), (1, cast), (2, "g"), (5, axis), *inputs, (12, bert._value("scores", bert.FLOAT, "n", 1))
    )
    model = bert._message((1, bert.IR_VERSION), (7, graph), (8, bert._message((1, ""), (2, 17))))
    (directory / "model.onnx").write_bytes(model)


async def test_a_directory_without_a_model_is_refused(tmp_path):
    """When it is loaded, not at the first search."""
    with pytest.raises(ConfigError, match=r"holds no cross-encoder\. It needs model\.onnx and tokenizer\.json"):
        async with Providers(MemorySettings(reranker=f"cross-encoder:{tmp_path}")):
            pass


@pytest.fixture(params=["plain", "async", "sentence-transformers", "onnx"])
async def reranker(request, monkeypatch, tmp_path):
    pretend(monkeypatch, "sentence_transformers", CrossEncoder=Cross)
    write_cross_encoder(tmp_path)
    given = {
        "plain": lengths,
        "async": alengths,
        "sentence-transformers": "cross-encoder:some/model",
        "onnx": f"cross-encoder:{tmp_path}",
    }
    async with Providers(MemorySettings(reranker=given[request.param])) as providers:
        yield providers.reranker


async def test_a_reranker_keeps_the_protocol(reranker):
    """A finite number for each text, in their order."""
    assert isinstance(reranker, Reranker)
    assert reranker.name
    scores = await reranker.rerank("where do I live", TEXTS)
    assert np.argsort(scores).tolist() in ([2, 0, 1], [0, 2, 1])
    assert len(scores) == 3
    assert await reranker.rerank("where", []) == []
    assert len(await reranker.rerank("where", TEXTS * 20)) == 60


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (lambda query, texts: [1.0], ProviderOutputError, r"shape \(1,\) for 3 texts"),
        (lambda query, texts: [1.0, float("nan"), 2.0], ProviderOutputError, "not finite"),
        (lambda query, texts: "good", ProviderOutputError, "str, which is no list of numbers"),
        (lambda query, texts: ["1"] * 3, ProviderOutputError, "list, which is no list of numbers"),
        (lambda query, texts: None, ProviderOutputError, "NoneType, which is no list of numbers"),
        (lambda query, texts: 1 / 0, ProviderError, "ZeroDivisionError"),
    ],
)
async def test_a_reranker_that_is_wrong_is_named(answer, kind, said):
    """P17: so that the search can go by its own order, and say why."""
    async with Providers(MemorySettings(reranker=answer)) as providers:
        with pytest.raises(kind, match=said) as raised:
            await providers.reranker.rerank("where", TEXTS)
    assert type(raised.value) is kind
    assert "<lambda>" in str(raised.value)


# -- names and packages


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"embedder": "statik"}, "did you mean 'static'"),
        ({"embedder": "open-ai:text-embedding-3-small"}, "did you mean 'openai:text-embedding-3-small'"),
        ({"embedder": "openai"}, "should be like 'openai:text-embedding-3-small'"),
        ({"embedder": "openai: "}, "should be like 'openai:text-embedding-3-small'"),
        ({"embedder": "static:"}, "should be like 'static'"),
        ({"embedder": "none:static"}, "should be like 'none'"),
        ({"embedder": ""}, "should be like 'static', 'minilm'"),
        ({"llm": "gpt-4o"}, "should be like 'openai:gpt-4o-mini'"),
        ({"llm": "opnai:gpt-4o"}, "did you mean 'openai:gpt-4o-mini'"),
        ({"reranker": "crossencoder:x"}, "did you mean 'cross-encoder:cross-encoder/ms-marco-MiniLM-L6-v2'?"),
        ({"embedder": None}, "embedder: should be a name like 'static', or an object with a name, a dimension and"),
        ({"embedder": len}, "`async def embed(texts)`, or 'none'"),
        ({"embedder": NotAsync}, "NotAsync is a class: call it"),
        ({"llm": 3}, "llm = 3: should be a name like 'openai:gpt-4o-mini', or a function of (messages, schema)"),
        ({"reranker": 3}, "reranker = 3: should be a name like 'cross-encoder:"),
        ({"openai": {"base_url": "localhost:11434"}}, "http://localhost:11434/v1"),
        ({"openai": {"base_url": "http://localhost:99999/v1"}}, "port out of range"),
        ({"openai": {"base_url": "http://localhost:v1"}}, "port could not be cast to integer value as 'v1'"),
        ({"neo4j": {"uri": "neo4j://localhost:bolt"}}, "port could not be cast to integer value as 'bolt'"),
        ({"openai": {"base_url": "http://me:hunter2@localhost/v1"}}, "openai.api_key"),
    ],
)
def test_a_name_that_does_not_exist_is_refused_with_the_closest(given, said):
    """When it is set, in code or in the environment."""
    with pytest.raises(ConfigError) as raised:
        MemorySettings(**given)
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "extra"),
    [
        ({"embedder": "minilm"}, "minilm"),
        ({"embedder": "openai:text-x"}, "openai"),
        ({"embedder": "fastembed:m"}, "fastembed"),
        ({"embedder": "sentence-transformers:m"}, "sentence-transformers"),
        ({"llm": "openai:gpt-x"}, "openai"),
        ({"reranker": "cross-encoder:m"}, "sentence-transformers"),
    ],
)
def test_a_package_that_is_missing_is_named_with_the_command(monkeypatch, settings, extra):
    """Before anything is loaded or sent."""
    found = util.find_spec
    monkeypatch.setattr("perdure.providers.find_spec", lambda name: None if name == MODULES[extra] else found(name))
    with pytest.raises(ConfigError, match=rf"Run: pip install 'perdure\[{extra}\]'"):
        Providers(MemorySettings(**settings))


def test_what_is_not_named_is_not_loaded():
    """A client without them costs nothing more, and needs none of the packages."""
    program = (
        "import sys\nfrom perdure.providers import Providers\nfrom perdure import MemorySettings\n"
        "Providers(MemorySettings(llm=print))\n"
        f"print([name for name in {list(MODULES.values())!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


async def test_a_provider_that_cannot_work_is_told_before_anything_is_made(tmp_path, monkeypatch):
    """No directory, no journal and no graph are left by a key that is missing."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for named in ({"llm": "openai:gpt-4o"}, {"embedder": "openai:text-embedding-3-small"}):
        settings = MemorySettings(data_dir=tmp_path / "new", memory={"write_mode": "buffered"}, **named)
        with pytest.raises(ConfigError, match="wants a key"):
            await MemoryClient(settings).connect()
    assert not (tmp_path / "new").exists()
