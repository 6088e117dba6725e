"""Journals beside each other: names that are chosen, and those whose process is gone, found, adopted and removed."""

from datetime import UTC, datetime

import pytest
from journals import append, begun, crashed, entry, files, filled, flipped, left, numbers, opened

from perdure.errors import JournalError, JournalLockedError
from perdure.journal.sqlite import SqliteJournal, place
from perdure.journal.sqlite.journal import LETTERS


@pytest.fixture
def root(tmp_path):
    return tmp_path / "journal"


async def orphans_of(journal):
    """Return the orphans' names, and close them again."""
    found = await journal.orphans()
    for orphan in found:
        await orphan.close()
    return [orphan.directory.name for orphan in found]


# -- names


async def test_auto_is_the_first_free_name(root):
    """J9: each process gets one of its own, and the next one takes over what is free again."""
    one, two = await begun(root / "auto"), await begun(root / "auto")
    assert [one.directory, two.directory] == [root / "auto-1", root / "auto-2"]
    await append(one, entry(0))
    await one.close()
    three = await begun(root / "auto")
    assert three.directory == root / "auto-1"
    assert await numbers(three) == [0]
    for journal in (two, three):
        await journal.close()
    assert not (root / "auto").exists()


# -- found


async def test_journals_of_processes_that_are_gone_are_found(root, tmp_path):
    """J9: closed or crashed; neither those that are held, nor empty ones, nor ourselves."""
    for name in ("closed", "empty", "held"):
        journal = await filled(root / name, 0 if name == "empty" else 2)
        if name == "held":
            held = journal
        else:
            await journal.close()
    journal = await filled(tmp_path / "elsewhere", 2)
    await crashed(journal, root / "crashed")
    await journal.close()
    async with opened(root / "main") as main:
        assert await orphans_of(main) == ["closed", "crashed"]
        assert main.findings == []
    await held.close()
    async with opened(root / "main") as main:
        assert await orphans_of(main) == ["closed", "crashed", "held"]


async def test_a_journal_with_dead_letters_only_is_left_where_it_is(root):
    """J9, J11: whoever closed it finds them there; nothing of it waits for anybody."""
    journal = await filled(root / "orphan", 1)
    await journal.bury(entry(0), "no", "x")
    await journal.close()
    async with opened(root / "main") as main:
        assert await orphans_of(main) == []


async def test_an_orphan_that_is_found_is_held(root):
    """J9: two processes that start at the same time do not both adopt it."""
    journal = await filled(root / "orphan", 2)
    await journal.close()
    async with opened(root / "one") as one, opened(root / "two") as two:
        (orphan,) = await one.orphans()
        assert await two.orphans() == []
        with pytest.raises(JournalLockedError):
            await SqliteJournal(root / "orphan").open()
        await orphan.close()


async def test_a_journal_for_another_graph_is_left_and_named(root):
    """J9: its writes do not end in ours."""
    journal = await filled(root / "other", 2, target="two")
    await journal.close()
    before = files(root / "other")
    async with opened(root / "main", target="one") as main:
        assert await orphans_of(main) == []
        (finding,) = main.findings
        assert str(root / "other") in finding
        assert "for two" in finding
    async with opened(root / "other", target="two") as other:
        assert await numbers(other) == [0, 1]
    assert before.keys() == files(root / "other").keys()


async def test_a_damaged_orphan_is_left_and_named(root):
    """J6, J9: it keeps nobody from starting, and is not forgotten."""
    journal = await filled(root / "broken", 2)
    await journal.close()
    path = root / "broken" / place.DATABASE
    path.write_bytes(flipped(path.read_bytes(), path.read_bytes().index(b"CREATE (:Note") + 3))
    before = files(root / "broken")
    async with opened(root / "main") as main:
        assert await orphans_of(main) == []
        assert "was not adopted" in main.findings[0]
        assert "damaged" in main.findings[0]
    assert files(root / "broken") == before


# -- adopted


async def adopt(main, orphan, first, count=10**6):
    """Take an orphan's writes over as the recovery does, at most so many of them; return the next free number."""
    done = await main.adopted(orphan.identity)
    pairs = []
    for each in [each for each in await left(orphan) if each.seq > done.get(each.lane, -1)][:count]:
        pairs.append((each, each._replace(seq=first, lane=each.lane + 1)))
        first += 1
    await main.adopt(orphan.identity, pairs)
    return first


async def test_adopted_writes_are_ours_under_new_numbers(root):
    """J9: also after a crash behind it; the orphan's directory is gone once all of it is taken over."""
    journal = await filled(root / "orphan", 6, lanes=2, pad=20)
    await journal.close()
    async with opened(root / "main") as main:
        await append(main, entry(0))
        (orphan,) = await main.orphans()
        given = await left(orphan)
        assert await adopt(main, orphan, 1) == 7
        assert await main.adopted(orphan.identity) == {0: 4, 1: 5}
        expected = [entry(0), *(each._replace(seq=n, lane=each.lane + 1) for n, each in enumerate(given, 1))]
        assert await left(main) == expected
        await orphan.remove()
        assert not (root / "orphan").exists()
        assert await orphans_of(main) == []
        await append(main, entry(7, lane=1))
        copy = await crashed(main, root.with_name("copy"))
    async with opened(copy) as main:
        assert await numbers(main) == list(range(8))
        assert main.findings == []


async def test_an_adoption_that_was_interrupted_goes_on_where_it_stopped(root):
    """J9: nothing comes twice, though the orphan still has all of it."""
    journal = await filled(root / "orphan", 6, lanes=2)
    await journal.close()
    async with opened(root / "main") as main:
        (orphan,) = await main.orphans()
        assert await adopt(main, orphan, 0, count=4) == 4
        assert await main.adopted(orphan.identity) == {0: 4, 1: 1}
        await orphan.close()
    async with opened(root / "main") as main:
        (orphan,) = await main.orphans()
        assert await numbers(orphan) == list(range(6))
        assert await adopt(main, orphan, main.next_seq) == 6
        assert [each.parameters["n"] for each in await left(main)] == [0, 2, 4, 1, 3, 5]
        await orphan.close()


async def test_an_adoption_is_whole_or_not_at_all(root):
    """J9: one of its numbers is taken; neither a write nor a note of it stays, and the journal goes on."""
    async with opened(root / "main") as main:
        await append(main, entry(0))
        with pytest.raises(JournalError):
            await main.adopt("other", [(entry(5), entry(1)), (entry(6), entry(0))])
        assert await main.adopted("other") == {}
        await append(main, entry(2))
        assert await numbers(main) == [0, 2]
    async with opened(root / "main") as main:
        assert await numbers(main) == [0, 2]


async def test_adopted_dead_letters_are_ours_under_new_numbers(root):
    """J9, J11: with all that was known of them, once."""
    async with opened(root / "orphan") as orphan, opened(root / "main") as main:
        await append(orphan, *(entry(n, key="k", failures=n) for n in range(3)))
        for n in range(3):
            await orphan.bury(entry(n), f"error {n}", "x")
        letters = await orphan.letters(None)
        await main.adopt_letters(orphan.identity, letters, 10)
        assert await main.adopted(orphan.identity) == {LETTERS: 2}
        found = await main.letters(None)
    assert [letter.seq for letter in found] == [10, 11, 12]
    for old, new in zip(letters, found, strict=True):
        assert (new.query, new.parameters, new.key, new.error, new.code, new.attempts) == (
            old.query, old.parameters, old.key, old.error, old.code, old.attempts,
        )  # fmt: skip
        assert abs((new.accepted_at - old.accepted_at).total_seconds()) < 0.001
        assert abs((new.failed_at - old.failed_at).total_seconds()) < 0.001


async def test_adopted_writes_keep_the_time_at_which_they_were_accepted(root):
    """J9, B37: how long the oldest has been waiting does not begin anew."""
    async with opened(root / "main") as main:
        long_ago = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
        await main.adopt("other", [(entry(5, accepted_at=long_ago), entry(0, accepted_at=long_ago))])
        assert (await main.resume({})).oldest == long_ago
