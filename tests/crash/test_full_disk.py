"""A disk that fills up while the store takes nothing, and what becomes of the writes that were accepted until then."""

import asyncio

import pytest
from disks import MIB, small

from perdure import BufferedWriter
from perdure.errors import JournalFullError
from perdure.journal.sqlite import SqliteJournal
from perdure.testing import FakeGraphStore

pytestmark = pytest.mark.slow

STATEMENT = "CREATE (:Note {v: $v, text: $text})"
SMALL, LARGE = 100, 4000
PRODUCERS = 4


@pytest.fixture
def disk(tmp_path):
    """A file system with room for a few thousand writes."""
    with small(tmp_path / "disk", 6) as at:
        yield at


@pytest.fixture(params=[SMALL, LARGE], ids=["small writes", "large writes"])
def text(request):
    """What each write carries."""
    return "x" * request.param


@pytest.fixture(params=["os", "disk"])
def durability(request):
    return request.param


def over(store, disk, durability):
    """Return a writer whose journal is on the small disk."""
    journal = SqliteJournal(disk / "journal", durability=durability)
    return BufferedWriter(store, journal=journal, write_mode="buffered", max_pending=1_000_000)


async def fill(writer, text):
    """Write until there is no room, from several sides, and return what was accepted."""
    accepted = []

    async def produce(first):
        value = first
        while True:
            await writer.submit(STATEMENT, {"v": value, "text": text}, key=str(first))
            accepted.append(value)
            value += PRODUCERS

    outcomes = await asyncio.gather(*map(produce, range(PRODUCERS)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {JournalFullError}
    return accepted


async def until_there_is_room(writer, text):
    """Submit one write until it is accepted."""
    async with asyncio.timeout(20):
        while True:
            try:
                await writer.submit(STATEMENT, {"v": -1, "text": text})
            except JournalFullError:
                await asyncio.sleep(0)
            else:
                return


def assert_all_is_there(store, accepted):
    """Compare what is in the store with what was accepted: each once, and in order among those of its key."""
    stored = store.values("v")
    assert sorted(stored) == sorted([*accepted, -1])
    for key in range(PRODUCERS):
        mine = [value for value in stored if value >= 0 and value % PRODUCERS == key]
        assert mine == sorted(mine)


async def test_a_full_disk_refuses_writes_until_the_store_is_back(disk, durability, text):
    """J7: nothing accepted is lost, and what is committed makes room without anybody's help."""
    store = FakeGraphStore()
    store.hold()
    async with over(store, disk, durability) as writer:
        accepted = await fill(writer, text)
        assert writer.pending == len(accepted)
        store.release()
        await until_there_is_room(writer, text)
        assert (await writer.flush()).complete
    assert_all_is_there(store, accepted)


async def test_a_process_that_starts_on_a_full_disk_drains_it(disk, durability, text):
    """J7: what is in the journal is all it needs to make room."""
    store = FakeGraphStore()
    store.hold()
    async with over(store, disk, durability) as writer:
        accepted = await fill(writer, text)
        report = await writer.close(timeout=0)
        assert (report.unsettled, report.kept) == (len(accepted), True)
    store.release()
    async with over(store, disk, durability) as writer:
        assert writer.recovery.left == len(accepted)
        await until_there_is_room(writer, text)
    assert_all_is_there(store, accepted)


async def test_a_process_that_cannot_start_for_want_of_room_says_so(disk, tmp_path):
    """J7: and touches nothing; with room made, it starts."""
    (disk / "rubbish").write_bytes(bytes(6 * MIB - 8192))
    writer = over(FakeGraphStore(), disk, "os")
    with pytest.raises(JournalFullError):
        await writer.start()
    (disk / "rubbish").unlink()
    store = FakeGraphStore()
    async with over(store, disk, "os") as writer:
        await until_there_is_room(writer, "x")
    assert store.values("v") == [-1]
