"""How the embedded store commits: where the graph stands, for as long as reads can wait for that; then on the disk."""

import kglite
import pytest

from perdure import StatementRejectedError, StoreUnavailableError
from perdure.records import Batch, JournalEntry
from perdure.stores.embedded import EmbeddedGraphStore, store

LANE = "journal/1"
MANY = "UNWIND range(1, 20000) AS number MERGE (n:Number {id: number}) ON CREATE SET n.of = $of"
COUNT = "MATCH (n:Number) RETURN count(n) AS count"


class Session:
    """Stands before kglite's session: it counts transactions, and may have a disk that cannot be synced."""

    def __init__(self, session):
        self._session = session
        self.transactions = self.checkpoints = 0
        self.syncs_fail = self.closing_fails = False

    def __getattr__(self, name):
        return getattr(self._session, name)

    def begin(self):
        self.transactions += 1
        return self._session.begin()

    def sync(self):
        if self.syncs_fail:
            raise kglite.FileIoError("commit was NOT applied — the log rejected it: Input/output error (os error 5)")
        self._session.sync()

    def close(self):
        if self.closing_fails:
            raise kglite.FileIoError("Input/output error (os error 5)")
        self._session.close()

    def save(self):
        self.checkpoints += 1
        self._session.save()


@pytest.fixture
async def opened(tmp_path, monkeypatch):
    """An embedded store in a directory, and the session it writes with."""
    sessions = []
    open_really = kglite.open_session

    def open_session(*given, **named):
        sessions.append(Session(open_really(*given, **named)))
        return sessions[-1]

    with monkeypatch.context() as patched:
        patched.setattr(kglite, "open_session", open_session)
        graph = EmbeddedGraphStore(tmp_path)
        await graph.connect()
    yield graph, sessions[0]
    await graph.close()


def batch(seq, statement, **parameters):
    return Batch(LANE, 1, [JournalEntry(seq, 1, None, statement, parameters, 1, 0.0, 0)])


async def test_a_statement_that_would_keep_reads_waiting_is_made_beside_them(opened, monkeypatch):
    graph, session = opened
    await graph.write("MERGE (n:Number {id: 0}) SET n.of = 'the test'", {})
    before = session.transactions
    monkeypatch.setattr(store, "MILLISECONDS_IN_PLACE", 1)
    await graph.write(MANY, {"of": "the test"})
    assert session.transactions == before + 1
    assert await graph.read(COUNT, {}) == [{"count": 20001}]


async def test_so_is_a_batch_of_one_and_once(opened, monkeypatch):
    graph, session = opened
    await graph.apply(batch(0, MANY, of="the test"))
    await graph.apply(batch(1, "MERGE (n:Number {id: 1}) SET n.times = 0", of="the test"))
    before = session.transactions
    await graph.apply(batch(2, "MATCH (n:Number {id: 1}) SET n.times = n.times + 1", of="the test"))
    assert session.transactions == before
    monkeypatch.setattr(store, "MILLISECONDS_IN_PLACE", 1)
    each = batch(3, "MATCH (n:Number) SET n.times = coalesce(n.times, 0) + 1")
    assert [await graph.apply(each), await graph.apply(each)] == [1, 1]
    assert session.transactions > before
    rows = await graph.read("MATCH (n:Number) RETURN n.times AS times, count(n) AS count ORDER BY times", {})
    assert rows == [{"times": 1, "count": 19999}, {"times": 2, "count": 1}]


async def test_what_cannot_be_synced_is_not_committed_and_what_comes_next_is_in_a_checkpoint(opened):
    """A sync that comes after one that failed says nothing of what that one lost."""
    graph, session = opened
    session.syncs_fail = True
    with pytest.raises(StoreUnavailableError, match=r"cannot be synced to its disk: Input/output error"):
        await graph.apply(batch(0, "MERGE (n:Number {id: 0}) SET n.of = $of", of="the test"))
    assert session.checkpoints == 0
    assert await graph.apply(batch(0, "MERGE (n:Number {id: 0}) SET n.of = $of", of="another")) == 1
    assert session.checkpoints == 1
    assert await graph.read("MATCH (n:Number) RETURN n.of AS of", {}) == [{"of": "the test"}]
    session.syncs_fail = False
    await graph.apply(batch(1, "MERGE (n:Number {id: 1}) SET n.of = $of", of="the test"))
    assert session.checkpoints == 1


async def test_rows_that_python_cannot_hold_are_refused(opened):
    graph, _ = opened
    with pytest.raises(StatementRejectedError, match="out of range"):
        await graph.write("MERGE (n:Number {id: 0}) RETURN date('+12000-01-01') AS day", {})


async def test_a_graph_that_cannot_be_closed_can_be_closed_again(opened, tmp_path):
    graph, session = opened
    await graph.write("MERGE (n:Number {id: 0}) SET n.of = 'the test'", {})
    session.closing_fails = True
    with pytest.raises(StoreUnavailableError):
        await graph.close()
    session.closing_fails = False
    await graph.close()
    again = EmbeddedGraphStore(tmp_path)
    await again.connect()
    assert await again.read(COUNT, {}) == [{"count": 1}]
    await again.close()
