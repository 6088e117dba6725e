"""Chat clients whose memory is slow, fails, or is closed or not open yet, or whose API fails: what comes out then."""

import asyncio
import threading

import openai
import pytest
from doors import PATIENCE, Rig, settings

from perdure import Memory, SyncMemory
from perdure.errors import ProviderError
from perdure.openai import TurnMemory, blocking, remembering
from perdure.stores.embedded import EmbeddedGraphStore
from perdure.testing import FakeEmbedder


def test_recalling_can_be_switched_off(door, api):
    """X4: the turn is remembered all the same."""
    rig = Rig(door, api, settings(), recall_limit=0)
    rig.chat("I live in Lisbon.")
    rig.remembered()
    assert rig.chat("What of Lisbon?").memory == TurnMemory(status="off", remembered="accepted")


def test_no_more_memories_than_asked_for_are_in_a_prompt(door, api):
    """X6: the best ones."""
    rig = Rig(door, api, settings(), recall_limit=2)
    for place in ("Lisbon", "Porto", "Faro", "Braga"):
        rig.door.do(rig.memory.add(f"I was in {place} in Portugal", user_id="u1"))
    assert len(rig.chat("Was I in Faro in Portugal?").memory.hits) == 2
    assert rig.api.prompt().count("\n- ") == 2


def test_a_long_memory_does_not_fill_the_prompt(rig):
    """X4: a completion would fail for a prompt that is too long."""
    rig.chat("Lisbon is where I live. " + "And so on. " * 10_000)
    rig.remembered()
    assert rig.chat("Where is Lisbon?").memory.status == "hit"
    assert "user: Lisbon is where I live. And so on." in rig.api.prompt()
    assert len(rig.api.prompt()) < 2_000


class Trouble(FakeEmbedder):
    """An embedder that is slow or fails when it is told to."""

    trouble = None

    async def embed(self, texts):
        if self.trouble is not None:
            await self.trouble()
        return await super().embed(texts)


async def be_slow():
    await asyncio.sleep(0.5)


async def fail():
    raise ProviderError("no")


async def break_down():
    raise ZeroDivisionError


@pytest.mark.parametrize(("trouble", "status"), [(be_slow, "timeout"), (fail, "failed"), (break_down, "failed")])
def test_memory_trouble_does_not_fail_a_completion(door, api, trouble, status):
    """X4: within its time, the completion goes on without memories, and says so."""
    embedder = Trouble()
    rig = Rig(door, api, settings(embedder=embedder), recall_timeout=0.05 if status == "timeout" else PATIENCE)
    rig.chat("Hello", user_id="u2")  # the first completion waits longer
    embedder.trouble = trouble
    answer = rig.chat("Where do I live?")
    embedder.trouble = None
    assert answer.choices[0].message.content == "Lisbon."
    assert (answer.memory.status, answer.memory.remembered) == (status, "accepted")
    assert isinstance(answer.memory.error, ProviderError if status == "failed" else type(None))
    assert ("assistant", "Lisbon.") in rig.remembered()


def test_a_memory_that_was_closed_does_not_fail_a_completion(rig):
    """X4: nor does it hide that nothing is remembered."""
    rig.door.do(rig.memory.close())
    answer = rig.chat("Where do I live?")
    assert (answer.memory.status, answer.memory.remembered) == ("failed", "failed")
    assert "not connected" in answer.memory.reason or "closed" in answer.memory.reason


def test_what_memory_does_not_take_is_said(rig):
    """X3: a text that no journal takes."""
    answer = rig.chat("x" * 1_000_001)
    assert answer.memory.remembered == "failed"
    assert "characters" in answer.memory.reason


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, openai.AuthenticationError), (429, openai.RateLimitError), (500, openai.InternalServerError)],
)
def test_an_error_of_the_api_comes_out_as_it_is(rig, status, kind):
    """X5: with its type, status and body; nothing is remembered of what will be asked again."""
    rig.api.fail(status, code="c", x_request_id="r7")
    with pytest.raises(kind) as error:
        rig.chat("Hello")
    assert (error.value.status_code, error.value.code, error.value.request_id) == (status, "c", "r7")
    assert rig.remembered() == []


def test_a_request_that_is_tried_again_is_one_turn(door, api):
    """X3: the official client's own retries."""
    rig = Rig(door, api, settings(), max_retries=1)
    rig.api.fail(500, retry_after="0")
    assert rig.chat("Hello").memory.remembered == "accepted"
    assert len(rig.api.requests) == 2
    assert rig.remembered() == [("user", "Hello"), ("assistant", "Lisbon.")]


# -- a memory of its own


def test_a_client_with_a_memory_of_its_own_keeps_it_until_it_is_closed(door, api, tmp_path, monkeypatch):
    """X3, P24: opened when it is needed; what was said is there after close, and nothing was lost in between."""
    monkeypatch.chdir(tmp_path)
    client = door.client_class(api_key="k", base_url=api.url)
    said = [{"role": "user", "content": "I live in Lisbon."}]
    door.do(client.chat.completions.create(model="m", messages=said))
    assert not list(tmp_path.iterdir())
    answer = door.do(client.chat.completions.create(model="m", messages=said, user_id="u123", agent_id="assistant"))
    door.do(client.close())
    assert answer.memory.remembered == "accepted"
    memory = door.enter(door.memory_class())
    assert door.do(memory.flush(30))
    found = door.do(memory.get_all(user_id="u123", agent_id="assistant")).results
    assert [one.memory for one in found] == ["I live in Lisbon.", "Lisbon."]


class SlowToOpen(EmbeddedGraphStore):
    """A graph that is opened when it is told to."""

    def __init__(self):
        super().__init__(None)
        self.released = threading.Event()

    async def connect(self):
        await asyncio.to_thread(self.released.wait)
        await super().connect()


def test_a_memory_that_takes_long_to_open_is_waited_for_once(door, api, tmp_path, monkeypatch):
    """X4: and not for long; what is said meanwhile is remembered when it is open."""
    monkeypatch.setattr(remembering, "SECONDS_FOR_THE_FIRST", 0.05)
    for module in (blocking, remembering):
        monkeypatch.setattr(module, "SECONDS_FOR_ACCEPTING", 0.05)
    store = SlowToOpen()
    made = settings(store=store, data_dir=tmp_path)
    monkeypatch.setattr(f"{remembering.__name__}.Memory", lambda: Memory(made))
    monkeypatch.setattr(f"{blocking.__name__}.SyncMemory", lambda: SyncMemory(made))
    client = door.client_class(api_key="k", base_url=api.url, recall_timeout=0.05)
    said = [{"role": "user", "content": "I live in Lisbon."}]
    answers = [door.do(client.chat.completions.create(model="m", messages=said, user_id="u1")) for _ in range(2)]
    assert [(one.memory.status, one.memory.remembered) for one in answers] == [("timeout", "pending")] * 2
    store.released.set()
    door.do(client.close())
    assert [one.memory.remembered for one in answers] == ["accepted"] * 2


def test_a_memory_that_cannot_be_opened_does_not_fail_a_completion(door, api, tmp_path, monkeypatch):
    """X4: and is tried anew at the next one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".perdure").write_text("in the way")
    client = door.client_class(api_key="k", base_url=api.url, recall_timeout=20)
    said = [{"role": "user", "content": "I live in Lisbon."}]
    answer = door.do(client.chat.completions.create(model="m", messages=said, user_id="u1"))
    assert (answer.memory.status, answer.memory.remembered) == ("failed", "failed")
    (tmp_path / ".perdure").unlink()
    answer = door.do(client.chat.completions.create(model="m", messages=said, user_id="u1"))
    assert answer.memory.status == "miss"
    door.do(client.close())
    assert answer.memory.remembered == "accepted"
