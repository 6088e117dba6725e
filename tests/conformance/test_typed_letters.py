"""Typed calls that failed for good in the background: sent again, and forgotten with their user."""

import pytest

GONE = "MATCH (m:Message {public_id: $id}) WHERE m.owner STARTS WITH $mine DETACH DELETE m"


@pytest.fixture
def deferred(searched):
    """Typed memory in deferred mode; in the others nothing fails in the background."""
    if searched.mode != "deferred":
        pytest.skip("typed calls are not queued in this mode")
    return searched


async def fail(typed, memory, task):
    """Queue a trace whose message somebody else deletes first; return the message."""
    message = await memory.short_term.add_message("s", "user", "why")
    await typed.client.flush()
    await typed.graph.store.write(GONE, {"id": message.id, "mine": f'["{typed.tenant}"'})
    await memory.reasoning.start_trace("s", task, triggered_by=message.id)
    await typed.client.flush()
    assert len(typed.client.write_errors) == 1
    typed.client.write_errors.clear()
    return message


async def test_a_dead_letter_that_is_sent_again_is_seen_and_found(deferred):
    """J11, B41: by reads and searches of this client, without another start."""
    message = await fail(deferred, deferred.ada, "brew tea")
    assert await deferred.ada.reasoning.search_traces("tea") == []
    await deferred.ada.short_term.add_message("s", "user", "why", id=message.id)
    await deferred.client.buffered.dead_letters.redrive()
    [hit] = await deferred.ada.reasoning.search_traces("tea")
    assert [hit.item] == await deferred.ada.reasoning.list_traces()
    assert await deferred.client.buffered.dead_letters.list() == []


async def test_one_that_is_sent_again_alone_is_seen_too(deferred):
    """J11, B41: when nothing else of this client is on its way."""
    message = await fail(deferred, deferred.ada, "brew tea")
    await deferred.ada.short_term.add_message("s", "user", "why", id=message.id)
    assert await deferred.ada.reasoning.list_traces() == []
    await deferred.client.flush()
    await deferred.client.buffered.dead_letters.redrive()
    assert [trace.task for trace in await deferred.ada.reasoning.list_traces()] == ["brew tea"]
    [hit] = await deferred.ada.reasoning.search_traces("tea")
    assert hit.item.task == "brew tea"


async def test_a_users_dead_letters_are_forgotten_with_the_user(deferred):
    """T9: they hold what the user said; nobody else's are touched."""
    await fail(deferred, deferred.ada, "secret")
    await fail(deferred, deferred.bob, "other")
    await deferred.client.buffered.submit("THIS FAILS", {"owner": 7})
    await deferred.client.flush()
    deferred.client.write_errors.clear()
    report = await deferred.client.scope(tenant=deferred.tenant).users.delete("ada")
    assert (report.dead_letters, report.traces, report.total) == (1, 0, report.conversations + 1)
    left = await deferred.client.buffered.dead_letters.list()
    assert "secret" not in "".join(repr(letter.parameters) for letter in left)
    assert sum("other" in repr(letter.parameters) for letter in left) == 1
    assert len(left) == 2
