"""Language models and embedders behind OpenAI's API: the official client against a server on this machine."""

import asyncio
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

pytest.importorskip("openai", reason="pip install 'perdure[openai]'")

import openai
from openai_api import HANG, FakeAPI, chat

from perdure.embedders.openai import CHARACTERS_AT_A_TIME, TEXTS_AT_A_TIME, OpenAIEmbedder, parted
from perdure.errors import (
    ConfigError,
    ProviderError,
    ProviderOutputError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
)
from perdure.llms.openai import OpenAILanguageModel, OpenAIServer, is_strict
from perdure.protocols import Embedder, LanguageModel
from perdure.providers import Providers
from perdure.runtime.threads import Threads
from perdure.settings import MemorySettings
from perdure.testing import wait_until

ASK = [{"role": "user", "content": "Where do I live?"}]
KEY = "sk-hunter2-is-my-key"
SCHEMA = {
    "type": "object",
    "properties": {"facts": {"type": "array", "items": {"type": "string"}}},
    "required": ["facts"],
    "additionalProperties": False,
}


@pytest.fixture(autouse=True)
def _no_key_from_outside(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
async def api():
    async with FakeAPI().running() as api:
        yield api


@pytest.fixture
async def connect():
    """Make servers from their options; close them in the end."""
    threads = Threads("language_model", 2)
    made = []

    def connect(url, **options):
        made.append(OpenAIServer(threads=threads, api_key=KEY, base_url=url, **{"max_retries": 0, **options}))
        return made[-1]

    yield connect
    for server in made:
        await server.close()
    await threads.close(10)


@pytest.fixture
def server(api, connect):
    return connect(api.url)


@pytest.fixture
def model(server):
    return OpenAILanguageModel("gpt-x", server, seconds=60)


@pytest.fixture
def embedder(server):
    return OpenAIEmbedder("text-x", server, seconds=60)


def formats(api):
    return [body.get("response_format", {}).get("type") for _, _, body in api.requests]


# -- language models


async def test_it_answers(api, model):
    """The messages go as they are, with the key, to the model that was named."""
    assert isinstance(model, LanguageModel)
    assert await model.complete(ASK) == "Lisbon."
    [(path, headers, body)] = api.requests
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"bearer {KEY}"
    assert (body["model"], body["messages"], body.get("response_format")) == ("gpt-x", ASK, None)


async def test_a_schema_is_asked_for(api, model):
    """Strictly where OpenAI can hold to it."""
    await model.complete(ASK, schema=SCHEMA)
    held = api.requests[0][2]["response_format"]["json_schema"]
    assert (held["schema"], held["strict"]) == (SCHEMA, True)
    assert not is_strict({**SCHEMA, "required": []})
    assert not is_strict({**SCHEMA, "properties": {"facts": {"type": "object"}}})


@pytest.mark.parametrize(
    ("refused", "asked"),
    [
        ({"json_schema"}, ["json_schema", "json_object", "json_object"]),
        ({"json_schema", "json_object"}, ["json_schema", "json_object", None, None]),
    ],
)
async def test_what_a_server_refuses_is_not_asked_again(api, model, refused, asked):
    """Each model remembers it; the answer comes all the same."""
    api.refused_formats = refused
    assert await model.complete(ASK, schema=SCHEMA) == "Lisbon."
    assert await model.complete(ASK, schema=SCHEMA) == "Lisbon."
    assert formats(api) == asked


async def test_another_refusal_is_no_matter_of_format(api, model):
    """A request that is wrong is not sent three times."""
    api.fail(400, message="context_length_exceeded")
    with pytest.raises(ProviderError, match=r"answered 400: .*context_length_exceeded"):
        await model.complete(ASK, schema=SCHEMA)
    assert formats(api) == ["json_schema"]


async def test_many_calls_at_once_learn_it_together(api, model):
    """What one has learned does not skip a format that nobody tried."""
    api.refused_formats = {"json_schema"}
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(model.complete(ASK, schema=SCHEMA))
    assert None not in formats(api)


@pytest.mark.parametrize(
    ("status", "headers", "kind", "said"),
    [
        (401, {}, ProviderError, "refused the key. Set openai.api_key or OPENAI_API_KEY"),
        (403, {}, ProviderError, "not allowed for this key"),
        (404, {}, ProviderError, "is not there. Look at the model's name"),
        (429, {"retry-after": 7}, RateLimitError, "asked too often. Try again in 7 s."),
        (429, {"retry-after": 4000}, RateLimitError, "Try again in 4,000 s."),
        (429, {"retry-after-ms": 2500}, RateLimitError, "Try again in 2.5 s."),
        (429, {"retry-after": "soon"}, RateLimitError, "Try again later"),
        (429, {}, RateLimitError, "Try again later"),
        (429, {"code": "insufficient_quota"}, RateLimitError, "quota is spent"),
        (400, {}, ProviderError, "answered 400: no. Look at the model's name"),
        (500, {}, ProviderUnavailableError, "answered 500: no. Try again later."),
    ],
)
async def test_a_refusal_says_what_to_do(api, model, status, headers, kind, said):  # noqa: PLR0917
    """P5: typed, from the client's own error, and without the key."""
    api.fail(status, message=f"Incorrect key {KEY}" if status == 401 else "no", **headers)
    with pytest.raises(kind) as raised:
        await model.complete(ASK)
    assert type(raised.value) is kind
    assert said in str(raised.value)
    assert "openai:gpt-x" in str(raised.value)
    assert raised.value.__cause__ is not None
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(("status", "headers"), [(429, {"retry-after-ms": 1}), (503, {"retry-after": 0}), (408, {})])
async def test_what_may_succeed_later_is_tried_again(api, connect, monkeypatch, status, headers):
    """Once refused, then answered: after the pause that the server asks for, or one of our own."""
    monkeypatch.setattr("perdure.llms.openai.FIRST_PAUSE", 0.001)
    server = connect(api.url, max_retries=1)
    api.fail(status, **headers)
    assert await OpenAILanguageModel("gpt-x", server, seconds=60).complete(ASK) == "Lisbon."
    assert len(api.requests) == 2


@pytest.mark.parametrize(
    ("status", "headers", "times", "kind"),
    [
        (429, {"retry-after-ms": 1}, 3, RateLimitError),
        (429, {"code": "insufficient_quota"}, 1, RateLimitError),
        (400, {}, 1, ProviderError),
    ],
)
async def test_it_is_tried_as_often_as_is_of_use(api, connect, status, headers, times, kind):  # noqa: PLR0917
    """Two times more, by default; what is wrong stays wrong."""
    server = connect(api.url, max_retries=2)
    api.fail(status, times=3, **headers)
    with pytest.raises(kind):
        await OpenAILanguageModel("gpt-x", server, seconds=60).complete(ASK)
    assert len(api.requests) == times


@pytest.mark.parametrize("in_a_header", [lambda after: "60", lambda after: format_datetime(after, usegmt=True)])
async def test_a_pause_beyond_the_deadline_is_not_waited_for(api, in_a_header):
    """P5: "ask me again in a minute" is a rate limit that says so, at once, and no timeout."""
    api.fail(429, **{"retry-after": in_a_header(datetime.now(UTC) + timedelta(seconds=60))})
    settings = MemorySettings(
        llm="openai:gpt-x", openai={"base_url": api.url}, limits={"language_model_seconds": 30}, store="memory://"
    )
    async with Providers(settings) as providers:
        with pytest.raises(RateLimitError, match=r"Try again in [0-9.]+ s\."):
            await providers.language_model.complete(ASK)
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (chat('{"facts": ["I mov', finish="length"), "cut off"),
        (chat(""), "empty answer"),
        (chat(None, refusal="I cannot."), "refused: 'I cannot.'"),
        ({"choices": []}, "no answer"),
        ({"error": "model not loaded"}, "no answer"),
        ('{"choices": [{"mess', "no answer"),
        ("<html>It works!</html>", "no answer"),
        ("[1, 2]", "no answer"),
        ("", "no answer"),
    ],
)
async def test_what_is_no_answer_is_an_output_error(api, model, answer, said):
    """P5: cut off, empty, refused, or no chat at all; never silently nothing."""
    api.send(answer)
    with pytest.raises(ProviderOutputError, match=said):
        await model.complete(ASK)


async def test_html_is_no_answer(api, model):
    """The client hands on what does not say that it is JSON."""
    api.send("<html>It works!</html>", **{"content-type": "text/html"})
    with pytest.raises(ProviderOutputError, match="no answer"):
        await model.complete(ASK)


async def test_a_hung_server_is_a_timeout(api):
    """P14: by the deadline of the settings."""
    api.answers.append(HANG)
    settings = MemorySettings(
        llm="openai:gpt-x",
        openai={"base_url": api.url, "max_retries": 0},
        limits={"language_model_seconds": 0.2},
    )
    async with Providers(settings) as providers:
        with pytest.raises(ProviderTimeoutError, match=r"openai:gpt-x .* 0\.2 s.*limits\.language_model_seconds"):
            await providers.language_model.complete(ASK)
        assert providers.stats()["language_model"].timed_out == 1


async def test_nobody_there_is_told(connect):
    """With the address's setting."""
    async with FakeAPI().running() as gone:
        server = connect(gone.url)
    with pytest.raises(
        ProviderUnavailableError, match=r"cannot be reached at http://127\.0\.0\.1:\d+: .*openai\.base_url"
    ):
        await OpenAILanguageModel("gpt-x", server, seconds=60).complete(ASK)


async def test_cancelling_is_not_swallowed(api, model):
    """Nor made an error of the provider."""
    api.answers.append(HANG)
    call = asyncio.create_task(model.complete(ASK))
    await wait_until(lambda: api.requests)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


# -- keys


def test_without_a_key_it_says_so():
    """Before anything is sent."""
    with pytest.raises(ConfigError, match=r"openai\.api_key or OPENAI_API_KEY"):
        Providers(MemorySettings(llm="openai:gpt-x"))


@pytest.mark.parametrize("key", ["sk-hunter2\n", " sk-hunter2 "])
async def test_white_space_around_a_key_is_none_of_it(api, monkeypatch, key):
    """As a file or a shell adds."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    async with Providers(MemorySettings(llm="openai:gpt-x", openai={"base_url": api.url})) as providers:
        await providers.language_model.complete(ASK)
    assert api.requests[0][1]["authorization"] == "bearer sk-hunter2"


@pytest.mark.parametrize("key", ["sk-hunter2…", "sk-hunter2\nsk-hunter3", "sk-\0hunter2"])
def test_a_key_that_no_header_holds_is_refused_unseen(key):
    """The client's own error would quote it."""
    with pytest.raises(ConfigError, match="a character that no header can") as refused:
        Providers(MemorySettings(llm="openai:gpt-x", openai={"api_key": key}))
    assert "hunter" not in str(refused.value)


def test_an_address_of_the_environment_is_looked_at(monkeypatch):
    """As that of the settings is."""
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:11434")
    with pytest.raises(ConfigError, match=r"OPENAI_BASE_URL is no address\. It should look like http://"):
        Providers(MemorySettings(llm="openai:gpt-x"))


async def test_a_server_of_ones_own_needs_no_key(api):
    """As Ollama, vLLM and LM Studio."""
    async with Providers(MemorySettings(llm="openai:gpt-x", openai={"base_url": api.url})) as providers:
        assert await providers.language_model.complete(ASK) == "Lisbon."


async def test_the_variables_of_the_client_count(api, monkeypatch):
    """Key and address as every other program takes them."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", api.url)
    async with Providers(MemorySettings(llm="openai:gpt-x")) as providers:
        await providers.language_model.complete(ASK)
    assert api.requests[0][1]["authorization"] == f"bearer {KEY}"


async def test_the_key_is_never_shown(api):
    """Not in settings, objects, errors or tracebacks."""
    settings = MemorySettings(llm="openai:gpt-x", openai={"base_url": api.url, "api_key": KEY, "max_retries": 0})
    api.fail(500)
    async with Providers(settings) as providers:
        with pytest.raises(ProviderError) as raised:
            await providers.language_model.complete(ASK)
    shown = (
        repr(settings)
        + str(settings.model_dump())
        + repr(providers)
        + "".join(traceback.format_exception(raised.value))
    )
    assert KEY not in shown
    with pytest.raises(ConfigError) as refused:
        MemorySettings(openai={"api_key": 123456789})
    assert "123456789" not in str(refused.value)


# -- embedders


async def test_it_embeds(api, embedder):
    """A row for each text, in their order, whatever order they come back in."""
    await embedder.prepare()
    assert isinstance(embedder, Embedder)
    vectors = await embedder.embed(["a", "bb", "ccc"])
    assert vectors.dtype == np.float32
    assert vectors[:, 0].tolist() == [1, 2, 3]
    assert api.requests[-1][2]["input"] == ["a", "bb", "ccc"]
    assert (await embedder.embed([])).shape == (0, 4)


async def test_its_dimension_is_known_or_asked_once(api, server):
    """OpenAI's own are known; another's is asked for."""
    assert OpenAIEmbedder("text-embedding-3-small", server, seconds=60).dimension == 1536
    other = OpenAIEmbedder("nomic-embed-text", server, seconds=60)
    with pytest.raises(ConfigError, match=r"openai\.dimensions"):
        _ = other.dimension
    await other.prepare()
    await other.prepare()
    assert (other.dimension, len(api.requests)) == (4, 1)
    assert "dimensions" not in api.requests[0][2]


async def test_a_server_that_hangs_while_it_is_prepared_is_a_timeout(api):
    """So that connecting ends."""
    api.answers.append(HANG)
    settings = MemorySettings(
        embedder="openai:nomic-embed-text", openai={"base_url": api.url}, limits={"embedder_seconds": 0.2}
    )
    with pytest.raises(ProviderTimeoutError, match=r"openai:nomic-embed-text .* 0\.2 s"):
        async with Providers(settings):
            pass


async def test_shorter_vectors_can_be_asked_for(api, server):
    """Where the model can; they are another embedder's."""
    short = OpenAIEmbedder("text-embedding-3-small", server, seconds=60, dimensions=4)
    assert (short.dimension, short.name) == (4, "openai:text-embedding-3-small@4")
    await short.embed(["a"])
    assert api.requests[0][2]["dimensions"] == 4


def test_requests_stay_within_what_the_api_takes():
    """In number and in size; every text once, in order."""
    texts = ["a" * (number % 7 * 10_000) for number in range(1000)]
    parts = parted(texts)
    assert [text for part in parts for text in part] == texts
    assert max(map(len, parts)) <= TEXTS_AT_A_TIME
    assert max(sum(map(len, part)) for part in parts) <= CHARACTERS_AT_A_TIME
    assert len(parted(["a"] * (TEXTS_AT_A_TIME + 1))) == 2
    assert parted([]) == []


def vectors(*rows):
    """Return the answer that sends these."""
    data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)]
    return {"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}


@pytest.mark.parametrize(
    "answer",
    [vectors(), vectors([]), vectors(["x"]), vectors("AAAA"), vectors([1], []), "<html></html>", '{"data', "[]"],
)
async def test_vectors_that_are_not_there_are_an_output_error(api, embedder, answer):
    """P5: not silently nothing."""
    api.send(answer)
    with pytest.raises(ProviderOutputError, match="openai:text-x"):
        await embedder.embed(["a"])


async def test_vectors_of_another_length_are_refused(api, server):
    """With the setting that takes them: a server may not shorten, or have another model under OpenAI's name."""
    for embedder in (
        OpenAIEmbedder("text-x", server, seconds=60, dimensions=8),
        OpenAIEmbedder("text-embedding-3-small", server, seconds=60),
    ):
        with pytest.raises(
            ProviderOutputError, match=r"of 4 numbers, and not of (8|1536)\. Set openai\.dimensions to 4"
        ):
            await embedder.embed(["a"])


async def test_an_embedders_refusal_is_mapped(api, embedder):
    """As a language model's."""
    api.fail(429, **{"retry-after": 3})
    with pytest.raises(RateLimitError, match=r"embedder openai:text-x .* 3 s"):
        await embedder.embed(["a"])


async def test_an_embedder_by_name(api):
    """Prepared when it is entered, guarded, and closed."""
    api.dimension = 3
    settings = MemorySettings(embedder="openai:nomic-embed-text", openai={"base_url": api.url})
    async with Providers(settings) as providers:
        assert providers.embedder.dimension == 3
        vectors = await providers.embedder.embed(["one", "", "three"])
    assert vectors[:, 0].tolist() == [3, 0, 5]
    assert api.requests[-1][2]["input"] == ["one", "three"]


async def test_requests_of_one_call_share_its_time(api, connect):
    """P14: what has no time left is not tried again, however short the pause."""
    server = connect(api.url, max_retries=3)
    api.fail(429, **{"retry-after-ms": 1})
    with pytest.raises(openai.RateLimitError):
        await server.ask(
            lambda client: client.embeddings.create(model="x", input="a"), asyncio.get_running_loop().time()
        )
    assert len(api.requests) == 1
