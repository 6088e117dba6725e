"""What a database or an adapter quotes of a write's values appears in no log line, message or traceback."""

import logging
import pickle
import traceback
from datetime import UTC, date, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perdure import BufferedWriter, InputError, StatementRejectedError, StoreUnavailableError, WriteFailed
from perdure.testing import FakeGraphStore
from perdure.values import redacted

SECRET = "hunter2-is-my-password"
NOTE = "CREATE (:Note {secret: $secret})"
QUOTES = f"Node with property `secret` = '{SECRET}' already exists ({SECRET!r})."
WRITE = {"secret": SECRET, "deep": {"list": [SECRET]}}


def everything_shown(*things):
    """Return what any of these would show on a terminal."""
    shown = []
    for thing in things:
        shown += [str(thing), repr(thing), f"{thing!s:.2000}"]
        if isinstance(thing, BaseException):
            shown += traceback.format_exception(thing)
            shown += everything_shown(*(inner for inner in (thing.__cause__, thing.__context__) if inner is not None))
    return "\n".join(shown)


@pytest.mark.parametrize("fault", ["refused", "away", "broken", "left"])
async def test_no_parameter_value_is_shown(fault, buffered, store, caplog):
    """B34: not in a log line of any level, not in an error, its causes, its traceback, or a repr."""
    caplog.set_level(logging.DEBUG)
    faults = {
        "refused": lambda: store.reject("Note", message=QUOTES),
        "away": lambda: store.fail(2, StoreUnavailableError(QUOTES)),
        "broken": lambda: store.break_adapter(3, RuntimeError(QUOTES)),
        "left": store.hold,
    }
    writer = await buffered().start()
    faults[fault]()
    receipt = await writer.submit(NOTE, WRITE, key="k")
    await writer.close(timeout=0.5)
    shown = [receipt, receipt.entry, writer, writer.errors, writer.stats(), *writer.errors]
    shown += [failure.error for failure in writer.errors]
    if receipt.error is not None:
        with pytest.raises(WriteFailed) as caught:
            await receipt
        shown += [caught.value, caught.value.error]
    shown += [*store.batches]
    assert SECRET not in everything_shown(*shown)
    assert SECRET not in caplog.text
    assert all(SECRET not in str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize("error", [StatementRejectedError(QUOTES), StoreUnavailableError(QUOTES)])
async def test_sync_mode_shows_no_value_either(store, error, caplog):
    """B34: what submit raises was cleaned before, its traceback too."""
    caplog.set_level(logging.DEBUG)
    store.fail(1, error)
    async with BufferedWriter(store) as writer:
        with pytest.raises(type(error)) as caught:
            await writer.submit(NOTE, WRITE)
    assert SECRET not in everything_shown(caught.value)
    assert SECRET not in caplog.text


async def test_the_application_itself_can_read_the_values(store, buffered):
    """B34: control: the values are there for who asks for them by name."""
    store.reject("Note", message=QUOTES)
    async with buffered() as writer:
        await writer.submit(NOTE, WRITE)
    assert writer.errors[0].parameters["secret"] == SECRET
    assert "already exists" in str(writer.errors[0])


async def test_an_on_error_that_raises_a_value_does_not_log_it(store, buffered, caplog):
    """B34: of the application's own error the log has the type."""
    caplog.set_level(logging.DEBUG)
    store.reject("Note")

    async def careless(failure):
        raise ValueError(failure.parameters["secret"])

    async with buffered(on_error=careless) as writer:
        await writer.submit(NOTE, WRITE)
    assert "on_error raised ValueError" in caplog.text
    assert SECRET not in caplog.text


async def test_a_refused_argument_is_named_without_its_value(buffered):
    """B34: what submit refuses, it does not repeat."""
    async with buffered(max_pending_bytes=1000) as writer:
        for parameters in ({"secret": SECRET.encode()}, {"secret": SECRET, "bad": {1, 2}}, {"secret": SECRET * 100}):
            with pytest.raises(InputError) as caught:
                await writer.submit(NOTE, parameters)
            assert SECRET not in everything_shown(caught.value)


VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="… "), min_size=3),
    st.integers(min_value=100),
    st.floats(min_value=0.001, max_value=1e6).map(lambda x: x + 0.123),
    st.dates(),
    st.datetimes(),
)


@given(value=VALUES, wrap=st.sampled_from([lambda v: v, lambda v: [v], lambda v: {"a": [1, {"b": v}]}]))
@example(value=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC), wrap=lambda v: v)
@example(value=date(2024, 5, 6), wrap=lambda v: v)
def test_a_quoted_value_is_taken_out_of_a_message(value, wrap):
    """B34: whatever its type and however deep it stands in the parameters."""
    quoted = value.isoformat() if isinstance(value, date) else str(value)
    for kind in (StatementRejectedError, StoreUnavailableError):
        clean = redacted(kind(f"Before <{quoted}> after", hint="Do this."), {"p": wrap(value)})
        assert type(clean) is kind
        assert f"<{quoted}>" not in str(clean)
        assert str(clean).endswith("Do this.")


@pytest.mark.parametrize("value", ["ab", "a", 7, True])
def test_short_values_are_taken_out_where_they_are_quoted(value):
    """B34: a message does not fall apart because some value is a single letter."""
    error = StatementRejectedError(f"A table at bay has '{value}', `{value}` and {value}a: a mass.")
    clean = str(redacted(error, {"p": value}))
    assert f"'{value}'" not in clean or value is True
    assert "A table at bay has" in clean


def test_write_failed_can_be_pickled():
    """B34: an error may leave the process, as what it is."""
    failed = WriteFailed("CREATE (:A)", StatementRejectedError("No."))
    back = pickle.loads(pickle.dumps(failed))
    assert (type(back), back.query, str(back)) == (WriteFailed, failed.query, str(failed))


def test_a_store_that_quotes_would_be_seen():
    """B34: control: without redaction the value stands in the message."""
    assert SECRET in str(StatementRejectedError(QUOTES))
    assert SECRET not in str(redacted(StatementRejectedError(QUOTES), WRITE))
    assert isinstance(FakeGraphStore(), object)
