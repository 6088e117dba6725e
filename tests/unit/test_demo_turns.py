"""The demo's parts: what it reads, what it keeps of that, and what it asks."""

import io
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from perdure import MemoryClient, MemorySettings
from perdure.demo.answers import SHIPPED, questions_about, recall
from perdure.demo.figures import percentile
from perdure.demo.graphs import Graph, expected_counts, first_difference
from perdure.demo.remembering import Agent, calls_for
from perdure.demo.report import wait_table
from perdure.demo.turns import Mention, Statement, Wish, derive_mentions, load_turns, read_turns
from perdure.errors import InputError
from perdure.graph.scope import Scope

HELLO = {"role": "user", "content": "We met Ana Lima in Porto."}
REPLY = {"role": "assistant", "content": "Noted."}

PUBLISHED = [
    {
        "sample_id": "one",
        "conversation": {
            "speaker_a": "Ada",
            "speaker_b": "Ben",
            "session_10": [{"speaker": "Ben", "dia_id": "D10:1", "text": "Last."}],
            "session_2": [
                {"speaker": "Ada", "dia_id": "D2:1", "text": "First.", "blip_caption": "a kite"},
                {"speaker": "Ben", "dia_id": "D2:2", "text": "Second."},
            ],
            "session_2_date_time": "1 May 2023",
        },
    }
]
REGROUPED = [
    {
        "id": "one",
        "speakers": ["Ada", "Ben"],
        "sessions": [
            {
                "id": "session_2",
                "date_time": "1 May 2023",
                "turns": [
                    {"id": "D2:1", "speaker": "Ada", "text": "First.", "image_caption": "a kite"},
                    {"id": "D2:2", "speaker": "Ben", "text": "Second.", "image_caption": None},
                ],
            },
            {"id": "session_10", "turns": [{"id": "D10:1", "speaker": "Ben", "text": "Last."}]},
        ],
    }
]


def read(*messages: Any) -> Any:
    return read_turns(json.dumps(messages))


def test_the_shipped_conversation_has_fifty_turns_of_several_calls_each() -> None:
    turns = load_turns(None, 1000)
    assert len(turns) == 50
    assert [[message.role for message in turn] for turn in turns] == [["user", "assistant"]] * 50
    assert all(message.moment for turn in turns for message in turn)
    assert all(5 <= calls_for([turn]) <= 15 for turn in turns)


def test_limit_takes_the_first_turns() -> None:
    assert load_turns(None, 3) == load_turns(None, 1000)[:3]


def test_a_plain_list_of_messages_gets_mentions_and_steps() -> None:
    ((said, reply),) = read(HELLO, REPLY)
    assert said.mentions == (Mention("Ana Lima", "name"), Mention("Porto", "name"))
    assert (said.name, said.steps) == ("user", ())
    assert reply.steps == ("Answer: Noted.",)


def test_given_mentions_and_steps_are_kept_and_none_are_derived() -> None:
    ((said, reply),) = read(
        {**HELLO, "mentions": []},
        {**REPLY, "mentions": ["Porto", {"name": "porto", "type": "place"}], "steps": ["Think.", "Act."]},
    )
    assert said.mentions == ()
    assert reply.mentions == (Mention("porto", "place"),)
    assert reply.steps == ("Think.", "Act.")


def test_a_tool_call_belongs_to_the_step_it_names_or_to_the_last() -> None:
    calls = [{"tool_name": "a", "arguments": {"x": 1}, "step": 1}, {"tool_name": "b", "result": "done"}]
    ((reply,),) = read({**REPLY, "steps": ["Think.", "Act."], "tool_calls": calls})
    assert [(call.step, call.tool_name, call.arguments, call.result) for call in reply.tool_calls] == [
        (1, "a", {"x": 1}, None),
        (2, "b", None, "done"),
    ]


def test_an_exported_chat_with_null_content_and_tool_messages_is_read() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"q": "x"}'}}
    (turn,) = read(
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "found", "tool_call_id": "c1"},
        REPLY,
    )
    assert [message.role for message in turn] == ["user", "assistant", "tool", "assistant"]
    assert turn[1].tool_calls[0][:3] == (1, "search", '{"q": "x"}')


def test_facts_and_preferences_are_read() -> None:
    ((said,),) = read(
        {
            **HELLO,
            "facts": [{"subject": "Ana", "predicate": "lives in", "object": " Porto "}],
            "preferences": [{"category": "food", "preference": "no fish"}],
        }
    )
    assert said.facts == (Statement("Ana", "lives in", "Porto"),)
    assert said.preferences == (Wish("food", "no fish"),)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2025-09-08T19:42:00+01:00", datetime(2025, 9, 8, 18, 42, tzinfo=UTC)),
        ("2025-09-08T19:42:00", None),
        ("1 May 2023", None),
        (None, None),
    ],
)
def test_a_time_counts_where_it_has_a_zone(written: str | None, moment: datetime | None) -> None:
    ((said,),) = read({**HELLO, "created_at": written})
    assert said.moment == moment


def test_a_turn_begins_where_the_user_speaks_after_somebody_else() -> None:
    turns = read({"role": "system", "content": "Be kind."}, HELLO, HELLO, REPLY, REPLY, HELLO)
    assert [len(turn) for turn in turns] == [1, 4, 1]


@pytest.mark.parametrize("data", [PUBLISHED, REGROUPED], ids=["published", "regrouped"])
def test_a_locomo_file_is_read_with_speakers_as_roles(data: Any) -> None:
    turns = read(*data)
    assert [[(m.role, m.name, m.content, m.session_id) for m in turn] for turn in turns] == [
        [("user", "Ada", "First. [photo: a kite]", "session_2"), ("assistant", "Ben", "Second.", "session_2")],
        [("assistant", "Ben", "Last.", "session_10")],
    ]
    assert turns[0][0].created_at == "1 May 2023"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", "the file holds an object, not a list."),
        ("[]", "the list is empty."),
        ("[\n oops", "line 2 is not JSON: Expecting value."),
        ("[1]", "message 1 should be an object, not a number."),
        ('[{"role": "user"}]', 'message 1 has no "content".'),
        ('[{"content": "x"}]', 'message 1 has no "role".'),
        ('[{"role": "user", "content": 5}]', 'message 1: "content" should be text, not a number.'),
        ('[{"role": "user", "content": null}]', 'message 1: "content" should be text, not null.'),
        (
            '[{"role": "me", "content": "x"}]',
            "message 1: \"role\" should be one of user, assistant, system, tool, not 'me'.",
        ),
        (
            '[{"role": "user", "content": "x", "mentions": "y"}]',
            'message 1: "mentions" should be a list, not text.',
        ),
        (
            '[{"role": "user", "content": "x", "mentions": [{}]}]',
            'message 1, mention 1 has no "name".',
        ),
        (
            '[{"role": "user", "content": "x", "mentions": [" "]}]',
            'message 1, mention 1: "name" is blank.',
        ),
        (
            '[{"role": "user", "content": "x", "facts": [{"subject": "y"}]}]',
            'message 1, facts 1 has no "predicate".',
        ),
        (
            '[{"role": "user", "content": "x", "steps": [null]}]',
            "message 1, step 1 should be text, not null.",
        ),
        (
            '[{"role": "user", "content": "x", "tool_calls": [{"tool_name": "t", "step": 2}]}]',
            'message 1, tool call 1: "step" is 2, but the message has 1 of them.',
        ),
        (
            '[{"role": "user", "content": "half a pair: \\ud800"}]',
            'message 1: "content" holds half of a surrogate pair, which is not text.',
        ),
        ('[{"sessions": []}]', "its first conversation has no turns."),
        ('[{"sessions": [{"turns": [{}]}]}]', 'a turn of session should be an object with "speaker" and "text".'),
        ('[{"conversation": []}]', 'the first sample\'s "conversation" should be an object.'),
    ],
)
def test_wrong_input_is_named(text: str, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        read_turns(text)
    assert caught.value.message == complaint


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "it cannot be read: No such file"), (b"\xff\xfe[]", "it is not UTF-8 text"), (b"[]", "the list is empty")],
)
def test_a_complaint_begins_with_the_path(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    path = tmp_path / "talk.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_turns(path, 5)
    assert caught.value.message.startswith(f"{path}: {complaint}")


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("Then I went. We ate.", []),
        ("On Monday, Maria Silva and João came.", ["Monday", "Maria Silva", "João"]),
        ("We like Ana and ana and Ana.", ["Ana"]),
        ("", []),
    ],
)
def test_derived_mentions_are_names_and_not_sentence_starts(content: str, names: list[str]) -> None:
    assert [mention.name for mention in derive_mentions(content)] == names


@pytest.fixture
def turns() -> Any:
    return load_turns(None, 32)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "deferred"])
async def test_what_a_turn_leaves_is_what_was_expected(turns: Any, mode: str) -> None:
    """M22: and a fact that was said anew is superseded when the agent settles it, in either mode."""
    async with MemoryClient(MemorySettings(store="memory://", memory={"write_mode": mode})) as client:
        ada = client.scope(user_id="ada")
        agent = Agent(ada)
        for turn in turns:
            await agent.keep(turn)
        stored, expected = await ada.stats(), expected_counts(turns)
        assert (stored["messages"], stored["steps"]) == (64, 32)
        assert stored["tool_calls"] == expected["ToolCall"]
        assert stored["facts"] == expected["Fact"]
        assert [old.object for old, _ in agent.replaced] == ["17 October 2025", "28 November 2025"]
        await agent.settle()
        [now] = await ada.long_term.get_facts_about("the crossing")
        assert now.object == "7 November 2025"


def test_the_expected_counts_are_of_what_is_one_in_the_graph() -> None:
    one = expected_counts(load_turns(None, 50))
    assert (one["Message"], one["NEXT"], one["LAST"]) == (100, 100, 1)
    (turn,) = read({**HELLO, "mentions": ["Porto", " porto "]}, {**REPLY, "mentions": ["PORTO"]})
    counts = expected_counts([turn, turn])
    assert (counts["Entity"], counts["EntityName"], counts["Trace"], counts["Conversation"]) == (1, 1, 2, 1)


def test_questions_are_about_what_is_mentioned_most() -> None:
    turns = read({**HELLO, "mentions": ["Porto", "Ana"]}, {**REPLY, "mentions": ["Ana"]})
    assert questions_about(turns) == ["What do we know about Ana?", "What do we know about Porto?", HELLO["content"]]


@pytest.fixture
def conversation() -> Any:
    return load_turns(None, 50)


@pytest.mark.slow
async def test_what_is_asked_of_the_shipped_conversation_is_answered(conversation: Any) -> None:
    """The best hit of each question says it, and who said that and when."""
    settings = MemorySettings(store="memory://", memory={"write_mode": "deferred"})
    done = await recall(settings, conversation, SHIPPED, Scope(user_id="ada"))
    assert (done.memories, len(done.turns)) == (100, 50)
    best = [answer.hits[0] for answer in done.answers]
    for hit, words in zip(best, ("celluloid", "Voices with the organ", "played Calon Lân"), strict=True):
        assert words in hit.memory
    assert [(hit.role, hit.name, f"{hit.observed_at:%d %b}") for hit in best] == [
        ("assistant", None, "26 Sep"),
        ("user", "Nuala", "24 Nov"),
        ("user", "Nuala", "14 Dec"),
    ]


def test_a_difference_between_graphs_is_found_and_named() -> None:
    one = Graph([("Message", "m1", "name", "'Ana'")], [("NEXT", "m1", "m2")])
    assert first_difference(one, one, ("one", "other")) is None
    other_node = one._replace(nodes=[("Message", "m1", "name", "'Eva'")])
    assert "'Message m1 name'" in str(first_difference(one, other_node, ("one", "other")))
    twice = one._replace(relationships=one.relationships * 2)
    said = first_difference(one, twice, ("one", "other"))
    assert said == "'NEXT m1 m2' is in other and not, or not the same, in one."
    assert Counter(twice.relationships)["NEXT", "m1", "m2"] == 2


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 99) == 99.0
    assert percentile([5.0], 99) == 5.0


@pytest.mark.parametrize("columns", [50, 80])
def test_nothing_of_a_table_is_cut_off(columns):
    """Also on a narrow terminal, and with figures as long as they get."""
    long = 99_990.0
    names = ("wait_p50_ms", "wait_p99_ms", "wait_total_ms", "drain_ms", "all_committed_ms", "rehearsal_ms")
    one: dict[str, Any] = {**dict.fromkeys(names, long), "batches": 1000, "high_water": 1000}
    out = io.StringIO()
    table = wait_table({"turns": 1000, "calls": 10_000, "max_pending": 1000, "sync": one, "deferred": one})
    Console(file=out, width=columns).print(table)
    assert "…" not in out.getvalue()
    assert out.getvalue().count("99.99 s") == 11
