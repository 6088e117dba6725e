"""Short-term memory: conversations, on both stores and in every write mode."""

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest

from perdure import ConflictError
from perdure.graph import short_term
from perdure.models import Message

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)


def texts(conversation):
    return [message.content for message in conversation.messages]


async def test_a_message_is_appended_once_for_each_id(typed):
    """M1: the same again changes nothing; other words under the same id are refused."""
    first = await typed.ada.short_term.add_message("s", "user", "hello", id="m1")
    again = await typed.ada.short_term.add_message("s", "user", "hello", id="m1")
    assert again.id == first.id == "m1"
    for session_id, role, content in (("s", "user", "other"), ("s", "tool", "hello"), ("t", "user", "hello")):
        with pytest.raises(ConflictError):
            await typed.ada.short_term.add_message(session_id, role, content, id="m1")
    assert await typed.chain("s") == ["m1"]


async def test_first_messages_at_the_same_time_make_one_conversation(typed):
    """M2: whoever comes first makes it."""
    await asyncio.gather(*(typed.ada.short_term.add_message("s", "user", str(n)) for n in range(10)))
    assert [session.session_id for session in await typed.ada.short_term.list_sessions()] == ["s"]
    assert len(await typed.chain("s")) == 10


async def test_a_hundred_appends_at_once_form_one_chain_in_time_order(typed):
    """M3: also where they overtake each other on the way."""
    made = await asyncio.gather(*(typed.ada.short_term.add_message("s", "user", str(n)) for n in range(100)))
    in_order = sorted(made, key=lambda message: (message.created_at, message.id))
    assert await typed.chain("s") == [message.id for message in in_order]


async def test_messages_from_the_past_find_their_places(typed):
    """M3: an import in any order, one by one and at once, ends in the order of time."""
    order = [5, 1, 9, 3, 7, 0, 8, 2, 6, 4]
    for hour in order[:5]:
        await typed.ada.short_term.add_message("s", "user", str(hour), created_at=NOON + timedelta(hours=hour))
    await asyncio.gather(
        *(
            typed.ada.short_term.add_message("s", "user", str(hour), created_at=NOON + timedelta(hours=hour))
            for hour in order[5:]
        )
    )
    assert texts(await typed.ada.short_term.get_conversation("s")) == [str(hour) for hour in range(10)]
    assert len(await typed.chain("s")) == 10


async def test_the_newest_are_returned_oldest_first(typed):
    """M4: `since` and `before` apply before the limit; `since` is included, `before` is not."""
    for hour in range(6):
        await typed.ada.short_term.add_message("s", "user", str(hour), created_at=NOON + timedelta(hours=hour))

    async def get(**asked):
        return texts(await typed.ada.short_term.get_conversation("s", **asked))

    assert await get() == ["0", "1", "2", "3", "4", "5"]
    assert await get(limit=2) == ["4", "5"]
    assert await get(limit=1000) == ["0", "1", "2", "3", "4", "5"]
    assert await get(since=NOON + timedelta(hours=4), limit=5) == ["4", "5"]
    assert await get(since=NOON + timedelta(hours=2), before=NOON + timedelta(hours=5), limit=2) == ["3", "4"]
    assert await get(before=NOON) == []
    assert (await typed.ada.short_term.get_conversation("unknown")).messages == []


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
async def test_deleting_a_message_joins_the_chain(typed, place):
    """M6: wherever it stood; what follows is appended behind the others."""
    made = [await typed.ada.short_term.add_message("s", "user", str(n)) for n in range(3)]
    assert await typed.ada.short_term.delete_message(made[place].id) is True
    assert await typed.ada.short_term.delete_message(made[place].id) is False
    made.append(await typed.ada.short_term.add_message("s", "user", "after"))
    assert await typed.chain("s") == [message.id for n, message in enumerate(made) if n != place]


async def test_a_conversation_can_lose_its_only_message(typed):
    """M6: and begin again."""
    only = await typed.ada.short_term.add_message("s", "user", "x")
    assert await typed.ada.short_term.delete_message(only.id)
    assert await typed.chain("s") == []
    again = await typed.ada.short_term.add_message("s", "user", "y")
    assert await typed.chain("s") == [again.id]


async def test_deletes_and_appends_at_the_same_time_keep_one_chain(typed):
    """M6: neighbours that go at once, while others come."""
    made = await typed.ada.short_term.add_messages("s", [{"role": "user", "content": str(n)} for n in range(20)])
    deleted = await asyncio.gather(
        *(typed.ada.short_term.delete_message(message.id) for message in made[5:15]),
        *(typed.ada.short_term.add_message("s", "user", "new") for _ in range(10)),
    )
    assert deleted[:10] == [True] * 10
    walked = await typed.chain("s")
    assert [each for each in walked if each in {message.id for message in made}] == [
        message.id for message in made[:5] + made[15:]
    ]
    assert len(walked) == 20


async def test_clearing_a_session_removes_what_is_in_it_and_nothing_else(typed):
    """M7: messages, traces, steps and tool calls, of this session of this user."""
    for user, session_id in ((typed.ada, "s"), (typed.ada, "t"), (typed.bob, "s")):
        message = await user.short_term.add_message(session_id, "user", "x")
        trace = await user.reasoning.start_trace(session_id, "task", triggered_by=message.id)
        step = await user.reasoning.add_step(trace, thought="y")
        await user.reasoning.record_tool_call(step, "search", message_id=message.id)
    assert await typed.ada.short_term.clear_session("s") == 4
    assert await typed.ada.short_term.clear_session("s") == 0
    assert await typed.ada.reasoning.list_traces() == await typed.ada.reasoning.list_traces("t") != []
    kinds = ("Conversation", "Message", "ReasoningStep", "ToolCall", "Trace")
    assert [(label, count) for _, label, count in await typed.contents()] == [(kind, 1) for kind in kinds] * 2


async def test_a_batch_equals_its_messages_one_by_one(typed):
    """M8: the same chain and the same records, also where the batch is not in order and reaches back."""
    hours = [4, 1, 9, 1, 6]
    given = [
        {"role": "user", "content": str(hour), "id": f"b{n}", "created_at": NOON + timedelta(hours=hour),
         "name": "Ada", "metadata": {"n": n}, "tool_calls": [{"id": n}]}
        for n, hour in enumerate(hours)
    ]  # fmt: skip
    for user in (typed.ada, typed.bob):
        for hour in (2, 5):
            await user.short_term.add_message(
                "s", "user", "old", id=f"o{hour}", created_at=NOON + timedelta(hours=hour)
            )
    batch = await typed.ada.short_term.add_messages("s", given)
    each = [
        await typed.bob.short_term.add_message("s", part["role"], part["content"], **{
            name: value for name, value in part.items() if name not in ("role", "content")
        })
        for part in given
    ]  # fmt: skip
    assert [message.model_copy(update={"user_id": "bob"}) for message in batch] == each
    assert await typed.chain("s", "ada") == await typed.chain("s", "bob") == ["b1", "b3", "o2", "b0", "o5", "b4", "b2"]
    assert (await typed.ada.short_term.get_conversation("s")).messages[0] == batch[1]


async def test_a_batch_sent_again_changes_nothing(typed):
    """M8: and one that is new in part adds that part."""
    given = [{"role": "user", "content": str(n), "id": f"b{n}"} for n in range(3)]
    first = await typed.ada.short_term.add_messages("s", given[:2])
    again = await typed.ada.short_term.add_messages("s", given)
    assert again[:2] == first
    assert await typed.chain("s") == ["b0", "b1", "b2"]
    with pytest.raises(ConflictError):
        await typed.ada.short_term.add_messages("s", [{**given[0], "content": "other"}])
    assert await typed.ada.short_term.add_messages("s", []) == []


async def test_what_a_message_carries_comes_back_equal(typed):
    """M10: times in UTC whatever zone they came in; unicode, empty text, NUL, nested metadata, a megabyte."""
    metadata = {
        "none": None, "nested": {"list": [1, 2.5, "x", [True, None], {}]}, "when": datetime.now(UTC),
        "day": date(2025, 1, 2), "berlin": datetime(2025, 7, 1, 9, tzinfo=ZoneInfo("Europe/Berlin")),
        "naive": datetime(2025, 1, 1), "$perdure": ["datetime"], "title": "t", "big": 2**62, "`; MATCH (n)": "'\"",  # noqa: DTZ001  naive on purpose
    }  # fmt: skip
    zone = timezone(timedelta(hours=-5, minutes=-30))
    for content in ("", "🎉 naïve \u202e", "a\0b", "x" * 1_000_000, "$owner }) DETACH DELETE (n) //"):
        made = await typed.ada.short_term.add_message(
            "s", "tool", content, name="Grüße", created_at=datetime(2025, 1, 1, 12, tzinfo=zone), metadata=metadata,
            tool_calls=[{"id": "c1", "function": {"arguments": "{}"}}],
        )  # fmt: skip
        assert made.created_at == datetime(2025, 1, 1, 17, 30, tzinfo=UTC)
        assert made.created_at.utcoffset() == timedelta(0)
        assert await typed.ada.short_term.get_message(made.id) == made
        assert made.content == content
        assert made.metadata == metadata


async def test_messages_can_be_passed_on_as_they_were_returned(typed):
    """M8: a Message is as good as a map."""
    made = [await typed.ada.short_term.add_message("s", "user", str(n)) for n in range(3)]
    copies = await typed.bob.short_term.add_messages("s", made)
    assert [copy.id for copy in copies] == [message.id for message in made]
    assert all(isinstance(copy, Message) and copy.user_id == "bob" for copy in copies)


async def test_sessions_are_listed_by_prefix_and_page(typed):
    """T3: each owner's own."""
    for name in ("a1", "a2", "b1"):
        await typed.ada.short_term.add_message(name, "user", "x", agent_id="planner" if name == "b1" else None)
    await typed.bob.short_term.add_message("a1", "user", "x")

    async def names(**asked):
        return [session.session_id for session in await typed.ada.short_term.list_sessions(**asked)]

    assert await names() == ["a1", "a2", "b1"]
    assert await names(prefix="a") == ["a1", "a2"]
    assert await names(limit=1, offset=1) == ["a2"]
    assert await names(agent_id="planner") == ["b1"]
    assert await names(agent_id="nobody") == []


async def test_an_append_touches_as_much_of_a_long_conversation_as_of_a_short_one(typed):
    """M9: both ways of reading the newest agree in a long one; the benchmark says what it costs."""
    made = await typed.ada.short_term.add_messages("s", [{"role": "user", "content": str(n)} for n in range(1500)])
    await typed.ada.short_term.add_message("s", "user", "last")
    begun = perf_counter()
    newest = await typed.ada.short_term.get_conversation("s", limit=100)
    print(f"the newest 100 of 1,501 in {(perf_counter() - begun) * 1e3:.1f} ms")
    assert texts(newest) == [message.content for message in made[-99:]] + ["last"]
    assert texts(await typed.ada.short_term.get_conversation("s", limit=101))[1:] == texts(newest)


async def test_a_long_session_is_cleared_in_portions(typed, monkeypatch):
    """M7: to the last message, whether or not they fill the portions."""
    monkeypatch.setattr(short_term, "AT_ONCE", 4)
    for count in (3, 4, 5, 8, 13):
        await typed.ada.short_term.add_messages("s", [{"role": "user", "content": str(n)} for n in range(count)])
        assert await typed.ada.short_term.clear_session("s") == count
        assert await typed.contents() == []


async def test_what_is_left_between_two_portions_is_a_chain(typed):
    """M7, M3: with traces and steps still there; and what is appended meanwhile goes with the rest."""
    made = await typed.ada.short_term.add_messages("s", [{"role": "user", "content": str(n)} for n in range(9)])
    await typed.ada.reasoning.add_step(await typed.ada.reasoning.start_trace("s", "task", triggered_by=made[0].id))
    await typed.client.flush()
    owner = f'["{typed.tenant}","ada"]'
    given = {"owner": owner, "conversation": f"{owner}s", "now": made[0].created_at, "most": 4}
    left = []
    for _ in range(3):
        left += await typed.graph.store.write(short_term.TEXTS["clear_oldest"], given)
    assert left == [{"messages": n} for n in (4, 4, 0)]
    late = await typed.ada.short_term.add_message("s", "user", "late")
    assert await typed.chain("s") == [message.id for message in [made[8], late]]
    assert await typed.ada.short_term.clear_session("s") == 2 + 2
    assert await typed.contents() == []
