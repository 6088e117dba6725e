"""`perdure add`, `search` and `messages`: what a person types is remembered, and found as the library finds it."""

import asyncio
import io
import json
import sys

import pytest

from perdure import Memory, MemoryClient, MemorySettings

ADA = ("--user-id", "ada")
LISBON = "I moved to Lisbon last month."


@pytest.fixture
def types(monkeypatch):
    """Put something on standard input."""

    def put(text: str | bytes) -> None:
        data = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))

    return put


def texts(said):
    """Return what was found."""
    return [hit["text"] for hit in said.document["results"]]


async def keep(*words: str, session="chat-1", user="ada"):
    """Have a program keep messages by typed calls."""
    async with MemoryClient(MemorySettings()) as client:
        for each in words:
            await client.short_term.add_message(session, "user", each, user_id=user)


def test_what_is_added_is_found(look, data_dir):
    """X10: by the same call as in Python; several words are one text, and one query."""
    assert look("add", *LISBON.split(), *ADA).out == f"added  {LISBON}\n"
    assert look("add", "I", "like", "green", "tea.", *ADA, "--json").document["results"][0]["event"] == "ADD"
    said = look("search", "where", "does", "she", "live", *ADA, "--limit", "1")
    assert said.out.startswith("Memories\n")
    assert LISBON in said.out
    assert "green tea" not in said.out
    assert texts(look("search", "where does she live", *ADA, "--json"))[0] == LISBON


async def test_the_order_is_that_of_the_library(data_dir):
    """X10: a command line that ranks by itself would be another search."""
    settings = MemorySettings(data_dir=data_dir)
    said = ["I moved to Lisbon.", "Lisbon is where my sister works.", "I drink green tea.", "My flat is by the river."]
    async with Memory(settings) as memory:
        for each in said:
            await memory.add(each, user_id="ada", infer=False)
        found = (await memory.search("Where is my flat in Lisbon?", user_id="ada")).results
    expected = [(hit.memory, pytest.approx(hit.score, rel=0.01)) for hit in found]  # a little less with each second
    assert len(expected) == 4
    command = ("search", "Where is my flat in Lisbon?", *ADA, "--kind", "memory", "--json")
    said = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "perdure", *command, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await said.communicate()
    assert [(hit["text"], hit["score"]) for hit in json.loads(out)["results"]] == expected


def test_what_typed_calls_have_kept_is_found_too(look, data_dir):
    """M5: whichever way a program keeps what is said, whoever looks for it finds it; --kind narrows that."""
    asyncio.run(keep("The rent is 980 euro.", "The dog is called Rex."))
    said = look("search", "how much is the flat", *ADA)
    assert said.out.startswith("Messages\n")
    assert "session chat-1" in said.out
    found = look("search", "the dog", *ADA, "--kind", "message", "--limit", "1", "--json", "--explain")
    assert texts(found) == ["The dog is called Rex."]
    assert found.document["results"][0]["why"].keys() == {"meaning", "words", "cosine", "word_score"}
    assert look("search", "the dog", *ADA, "--kind", "fact").out == "Nothing was found for user 'ada'.\n"
    asyncio.run(keep("Nobody's word.", user=None))
    assert texts(look("search", "word", "--kind", "message", "--json")) == ["Nobody's word."]


def test_a_threshold_is_a_cosine(look, data_dir):
    """P16: and when nothing is that close, that is said."""
    look("add", LISBON, *ADA)
    said = look("search", "an unrelated matter", *ADA, "--threshold", "0.99")
    assert "--threshold" in said.out
    assert "Lisbon" not in said.out
    assert "cosine" in look("search", "where is she", *ADA, "--explain").out


def test_messages_come_from_standard_input(look, data_dir, types):
    """P1: a text, a message or a list of them; `created_at` as JSON can say it."""
    types("[an aside] She is fond of tea.\n")
    assert look("add", "-", *ADA, "--no-infer", "--json").document["results"][0]["memory"].startswith("[an aside]")
    types(
        json.dumps(
            [
                {"role": "user", "content": LISBON, "created_at": "2026-03-01T10:00:00+01:00", "name": "Ada"},
                {"role": "assistant", "content": "How nice.", "created_at": 1772355700},
            ]
        )
    )
    results = look("add", "-", *ADA, "--no-infer", "--metadata", "source=a chat", "--json").document["results"]
    assert len(results) == 2
    [hit] = look("search", "Lisbon", *ADA, "--limit", "1", "--json").document["results"]
    assert (hit["observed_at"], hit["name"], hit["metadata"]) == (
        "2026-03-01T09:00:00+00:00", "Ada", {"source": "a chat"},
    )  # fmt: skip
    types('{"role": "user", "content": "I have a sister."}')
    assert look("add", "-", *ADA, "--observed-at", "2026-01-02", "--json").document["results"]


def test_what_supersedes_says_what_it_supersedes(look, data_dir):
    """P7: and what is known already is not kept twice."""
    look("add", "I live in Porto.", *ADA)
    said = look("add", "I live in Lisbon.", *ADA)
    assert said.out == "added  I live in Lisbon.\n       in place of: I live in Porto.\n"
    assert look("add", "I live in Lisbon.", *ADA).out == "known  I live in Lisbon.\n"


@pytest.mark.parametrize(
    "text",
    [
        "[Note] I live in Porto.",
        "{sic} I live in Porto.",
        "- I live in Porto.",
        "[ ] Call the dentist on Monday.",
        "[[Lisbon]] is where I live.",
        "[] is an empty list.",
        "{'a': 1} is a dictionary.",
    ],
)
def test_a_text_is_no_json_for_its_brackets(look, data_dir, types, text):
    """Control: what is refused below could be nothing else."""
    types(text)
    assert text in look("add", "-", *ADA, "--no-infer").out
    assert "known" in look("add", *ADA, "--no-infer", "--", text).out


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ('[{"role": "user", "content": "cut', "begins as JSON, and is none"),
        ("[{]", "begins as JSON, and is none: Expecting property name enclosed in double quotes, line 1, column 3"),
        ('{"a": 1} is JSON.', 'To keep it as a text, as it is: perdure add --user-id ID -- "$(cat FILE)"'),
        ("[ ]\n", "messages"),
        (" {}", "has no content"),
        ('[{"role": "robot", "content": "x"}]', "role = 'robot' should be one of"),
        ('[{"role": "user"}]', "has no content"),
        ('{"role": "user", "content": "x", "created_at": "soon"}', "created_at = 'soon' is no time"),
        ('{"content": "x", "created_at": 1700000000000}', "in seconds since 1970, not in milliseconds"),
        ('[{"content": "x", "created_at": 1e300}]', "created_at = 1e+300 is no time"),
        ('{"content": "x", "created_at": NaN}', "created_at = nan is no time"),
        ('[{"content":' + "[" * 200_000, "is nested too deep"),
        ('{"content": "x", "created_at": ' + "1" * 5000 + "}", "a number too long to be read"),
        (" \n", "There is nothing to remember"),
        (b"\xff\xfe", "Standard input is no UTF-8: byte 1"),
    ],
)
def test_what_cannot_be_remembered_is_refused(look, data_dir, types, given, what):
    """P1: with 2, and nothing is made."""
    types(given)
    assert what in look("add", "-", *ADA, code=2).err
    assert not data_dir.exists() or not look("search", "x", *ADA).out.startswith("Memories")


def test_a_standard_input_that_is_closed_is_refused(look, data_dir, monkeypatch):
    """P1: as `<&-` closes it."""
    monkeypatch.setattr("sys.stdin", None)
    assert look("add", "-", *ADA, code=2).err == "perdure: There is no standard input: it is closed.\n"
    assert not data_dir.exists()


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (("add", "x"), "Say whose memory it is: --user-id"),
        (("search", "x"), "Say whose memory it is: --user-id"),
        (("search", "x", "--tenant", "acme"), "Say whose memory it is: --user-id"),
        (("search", " ", *ADA), "The query is empty"),
        (("search", *ADA), "QUERY is missing"),
        (("search", "x", *ADA, "--threshold", "2"), "--threshold should be a number from 0 to 1"),
        (("search", "x", *ADA, "--kind", "thought"), "--kind should be memory, fact, "),
        (("add", "x", *ADA, "--metadata", "colour"), "should be NAME=VALUE"),
        (("add", "x", *ADA, "--observed-at", "then"), "is no time"),
        (("search", "x", *ADA, "--uri", "http://host"), "--uri 'http://host' should look like neo4j://host:7687"),
        (("search", "x", *ADA, "--uri", "bolt://me:hunter2@host"), "--uri should not carry a name or password"),
        (("add", "x", "--user-id", " "), "user_id is blank"),
        (("messages", "--since", "1d"), "--since is about the messages of one session"),
        (("messages", "s", "--since", "yesterday"), "is no time"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_use_says_what_would_be_right(look, data_dir, command, what):
    """T1: before anything is read or made."""
    assert what in look(*command, code=2).err
    assert what in look(*command, "--json", code=2).document["error"]["message"]
    assert not data_dir.exists()


def test_where_there_is_no_memory_none_is_made(look, data_dir):
    """A command in the wrong directory says so, and leaves nothing behind."""
    reading = (("search", "x", *ADA), ("messages", *ADA), ("messages", "s", *ADA), ("export", "-", "--all"))
    for command in (*reading, ("reindex",)):
        said = look(*command, code=1)
        assert "There is no memory in" in said.err
        assert "--data-dir" in said.err
    assert not data_dir.exists()


def test_strict_mode_wants_to_know_whose(look, data_dir, monkeypatch):
    """T1: a tenant is enough for what typed calls keep."""
    asyncio.run(keep("hello"))
    monkeypatch.setenv("PERDURE_MEMORY__MULTI_TENANT", "true")
    said = look("messages", code=2)
    assert "memory.multi_tenant asks" in said.err
    assert "--user-id" in said.err
    assert "There are no sessions of tenant 'acme'" in look("messages", "--tenant", "acme").out
    look("messages", "chat-1", *ADA)
    look("messages", "chat-1", *ADA, "--tenant", "acme", code=1)


def test_sessions_are_listed_and_read(look, data_dir):
    """M4: the newest, oldest first; with what there is when there is more."""
    asyncio.run(keep("one", "two", "three\nlines\n"))
    asyncio.run(keep("else", session="chat-2"))
    said = look("messages", *ADA)
    assert "chat-1" in said.out
    assert [each["session_id"] for each in look("messages", *ADA, "--json").document["sessions"]] == [
        "chat-1",
        "chat-2",
    ]
    assert "more than 1" in look("messages", *ADA, "--limit", "1").out
    said = look("messages", "chat-1", *ADA)
    assert said.out.index("  one") < said.out.index("  two") < said.out.index("  three\n  lines")
    document = look("messages", "chat-1", *ADA, "--limit", "2", "--json").document
    assert ([each["content"] for each in document["messages"]], document["more"]) == (["two", "three\nlines\n"], True)
    assert "The newest 2" in look("messages", "chat-1", *ADA, "--limit", "2").out
    assert look("messages", "chat-1", *ADA, "--since", "2h", "--json").document["messages"]
    assert look("messages", "chat-1", *ADA, "--since", "2999-01-01").out == "Nothing was said then.\n"


def test_a_session_that_is_not_there_is_an_error(look, data_dir):
    """With what there is in its place."""
    asyncio.run(keep("one"))
    said = look("messages", "chat-9", *ADA, code=1)
    assert "There is no session 'chat-9' of user 'ada'." in said.err
    assert "'chat-1'" in said.err
    assert "--user-id" in look("messages", "chat-1", code=1).err
    assert look("messages", "chat-9", *ADA, "--json", code=1).document["error"]["code"] == "not_found"


def test_what_only_the_journal_has_is_owned_up_to(look, killed_agent):
    """B3: nothing found is not the same as nothing there."""
    killed_agent(committed=1, pending=5)
    said = look("search", "notes", *ADA)
    assert "perdure journal drain" in said.err
    look("journal", "drain")
    assert look("search", "notes", *ADA).err == ""


def test_a_store_that_a_process_has_names_that_process(look, living_agent):
    """J9: what to do about it, too."""
    with living_agent(committed=1) as pid:
        for command in (("search", "x", *ADA), ("messages", *ADA), ("add", "x", *ADA), ("export", "-", "--all")):
            said = look(*command, code=1)
            assert f"process {pid}" in said.err
            assert "Neo4j" in said.err
