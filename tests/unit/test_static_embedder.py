"""The embedder that needs no network: what it makes of any text."""

import asyncio
import socket

import numpy as np
import pytest

from perdure.embedders import static
from perdure.embedders.static import StaticEmbedder
from perdure.errors import ConfigError, InputError
from perdure.protocols import Embedder
from perdure.runtime.threads import Threads


@pytest.fixture(scope="module")
def embedder():
    return StaticEmbedder()


async def test_it_keeps_the_protocol(embedder):
    """One row a text, of the dimension it names, as float32."""
    assert isinstance(embedder, Embedder)
    vectors = await embedder.embed(["one", "two", "three"])
    assert vectors.shape == (3, embedder.dimension)
    assert vectors.dtype == np.float32
    assert (await embedder.embed([])).shape == (0, embedder.dimension)


async def test_texts_that_mean_alike_point_alike(embedder):
    """The reason to have it at all."""
    cat, kitten, invoice = await embedder.embed(["the cat sleeps", "a kitten is sleeping", "the invoice is overdue"])
    assert cat @ kitten > cat @ invoice + 0.2


async def test_a_text_has_one_vector(embedder):
    """Alone, among others, and in a batch longer than those it is cut into."""
    texts = [f"note {number} about the organ" for number in range(600)]
    together = await embedder.embed(texts)
    for place in (0, 255, 256, 599):
        [alone] = await embedder.embed([texts[place]])
        assert np.array_equal(alone, together[place])


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
async def test_a_text_without_words_means_nothing(embedder, text):
    """Zeros, which stores know not to search."""
    assert not (await embedder.embed([text])).any()


@pytest.mark.parametrize("text", ["😀", "NUL \0 within", "漢字", "\u200b", "a" * 20_000, "<s>", "\ufffd", "é" * 9])
async def test_any_other_text_has_a_vector_of_length_one(embedder, text):
    """Emoji, control characters, other scripts, endless words."""
    [vector] = await embedder.embed([text])
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


async def test_of_a_very_long_text_the_beginning_counts(embedder):
    """So that a megabyte costs no more than a long page."""
    first = "word " * 4000
    one, other = await embedder.embed([first + "and more " * 100_000, first])
    assert np.array_equal(one, other)


@pytest.mark.parametrize("text", [None, 1, b"bytes", "\ud800"])
async def test_what_is_no_text_is_refused(embedder, text):
    """With its place, before anything is embedded."""
    with pytest.raises(InputError, match=r"texts\[1\]"):
        await embedder.embed(["fine", text])


async def test_it_asks_no_network(monkeypatch):
    """Not when it is loaded either."""

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    with monkeypatch.context() as patched:  # undone before the watch over blocking calls is
        patched.setattr(socket.socket, "connect", refuse)
        patched.setattr(socket, "getaddrinfo", refuse)
        assert (await StaticEmbedder().embed(["hello"])).any()


async def test_files_that_are_not_there_are_named(monkeypatch):
    """With what to install."""
    monkeypatch.setattr(static, "PACKAGE", "perdure_has_no_such_package")
    with pytest.raises(ConfigError, match="pip install"):
        await StaticEmbedder().embed(["hello"])


async def test_files_that_are_not_the_models_are_refused(monkeypatch):
    """Cut short, or something else."""
    for name in ("__init__.py", "tokenizers/l2_supercat_tokenizer_config.json"):
        monkeypatch.setattr(static, "WEIGHTS", name)
        with pytest.raises(ConfigError, match="cannot be used"):
            await StaticEmbedder().embed(["hello"])


async def test_many_callers_load_it_once_and_wait_in_turn(embedder):
    """P13: its threads are its own, and bounded."""
    fresh = StaticEmbedder(threads=Threads("embedder", 2))
    answers = await asyncio.gather(*(fresh.embed([f"text {number}"]) for number in range(20)))
    for number, [vector] in enumerate(answers):
        assert np.array_equal(vector, (await embedder.embed([f"text {number}"]))[0])


class Counted(Threads):
    """Threads that count what they are asked to do."""

    def __init__(self):
        super().__init__("embedder", 1)
        self.asked = 0

    def begin(self, function, *args):
        self.asked += 1
        return super().begin(function, *args)


async def test_one_short_text_in_a_turn_wakes_no_thread():
    """It takes less time than that; everything else is left to the thread, and is the same there."""
    threads = Counted()
    embedder = StaticEmbedder(threads=threads)
    [first] = await embedder.embed(["hello"])
    assert threads.asked == 1  # which read the model
    [second] = await embedder.embed(["hello"])
    assert threads.asked == 1
    assert np.array_equal(first, second)
    await asyncio.sleep(0)
    together = await asyncio.gather(*(embedder.embed(["hello"]) for _ in range(3)))
    assert threads.asked == 3
    assert all(np.array_equal(first, each[0]) for each in together)
    await embedder.embed(["hello"] * 2)
    await embedder.embed(["hello " * 1000])
    assert threads.asked == 5


async def test_nor_does_it_overtake_what_the_thread_is_at():
    """A question during an import waits behind one part of it, in the thread."""
    threads = Counted()
    embedder = StaticEmbedder(threads=threads)
    await embedder.warm_up()
    several = asyncio.ensure_future(embedder.embed(["hello"] * 2))
    await asyncio.sleep(0)
    await embedder.embed(["hello"])
    await several
    assert threads.asked == 3
