"""Who holds a journal: one client of one process, by a lock that ends with it."""

import asyncio
import fcntl
import json
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from journals import append as keep
from journals import begun, entry, numbers, opened

from perdure.errors import JournalLockedError
from perdure.journal.sqlite import SqliteJournal, place

HOLDER = """
import asyncio, sys
from journals import begun, entry

async def main():
    journal = await begun(sys.argv[1], durability=sys.argv[2])
    print("open", flush=True)
    for line in sys.stdin:
        seq = int(line)
        journal.on_kept(lambda entries, error: print("kept", entries[0].seq, flush=True))
        if journal.append(entry(seq)):
            print("kept", seq, flush=True)
        while line and journal._scribe._underway:
            await asyncio.sleep(0)

asyncio.run(main())
"""


@asynccontextmanager
async def holding(directory, durability="os"):
    """Have another process hold a journal; it keeps the write whose number it is sent, and says so."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, str(directory), durability),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])},
    )
    try:
        assert await process.stdout.readline() == b"open\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ask_to_keep(process, seq):
    """Have the other process keep a write, and return when it says that it has."""
    process.stdin.write(f"{seq}\n".encode())
    assert await process.stdout.readline() == f"kept {seq}\n".encode()


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "journal" / "main"


async def test_a_second_client_of_this_process_is_refused(directory):
    """J9: it says that the other one is ours and unclosed; when it is closed, the journal is free."""
    async with opened(directory) as journal:
        with pytest.raises(JournalLockedError, match="an unclosed client of this process") as caught:
            await SqliteJournal(directory).open()
        assert "journal_name" in str(caught.value)
        await keep(journal, entry(0))
        assert await numbers(journal) == [0]
    async with opened(directory) as journal:
        assert await numbers(journal) == [0]


async def test_a_second_process_is_refused_by_the_first_ones_number(directory):
    """J9: and may have the journal once the first one is gone."""
    async with holding(directory) as process:
        with pytest.raises(JournalLockedError, match=rf"process {process.pid} since "):
            await SqliteJournal(directory).open()
        await ask_to_keep(process, 0)
        process.stdin.close()
        await process.wait()
    async with opened(directory) as journal:
        assert await numbers(journal) == [0]


@pytest.mark.parametrize("durability", ["os", "disk"])
async def test_kill_nine_frees_the_journal_and_loses_nothing_accepted(directory, durability):
    """J1, J9: the system lets go of the lock, whatever else is left lying there."""
    async with holding(directory, durability) as process:
        for seq in range(20):
            await ask_to_keep(process, seq)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        assert json.loads((directory / place.LOCK).read_text())["pid"] == process.pid
    async with opened(directory, durability=durability) as journal:
        assert await numbers(journal) == list(range(20))
        assert journal.findings == []


async def test_a_holder_on_another_machine_is_named_with_it(directory):
    """J9: a process number says nothing without its machine."""
    journal = await begun(directory)
    (directory / place.LOCK).write_text(json.dumps({"pid": os.getpid(), "host": f"not-{socket.gethostname()}"}))
    with pytest.raises(JournalLockedError, match=rf"process {os.getpid()} on not-"):
        await SqliteJournal(directory).open()
    await journal.close()


@pytest.mark.parametrize("signature", ["", "{", "[]", "{}", "\x00\xff", '{"pid": null}'])
async def test_an_unreadable_signature_does_not_matter(directory, signature):
    """J9: the lock counts, and not what is written in it, as on a full disk."""
    journal = await begun(directory)
    (directory / place.LOCK).write_text(signature, encoding="latin-1")
    with pytest.raises(JournalLockedError, match="is in use by"):
        await SqliteJournal(directory).open()
    await journal.close()
    async with opened(directory) as journal:
        assert json.loads((directory / place.LOCK).read_text())["pid"] == os.getpid()


async def test_a_forked_child_does_not_hold_the_journal(directory):
    """J9, B36: a child that lives on does not keep it from the next owner, nor does its end harm anything."""
    journal = await begun(directory)
    await keep(journal, entry(0))
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    try:
        await journal.close()
        async with opened(directory) as journal:
            assert await numbers(journal) == [0]
            await keep(journal, entry(1))
            os.write(writer, b"x")
            os.waitpid(child, 0)  # noqa: ASYNC222  it ends at once
            child = 0
            assert await numbers(journal) == [0, 1]
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)  # noqa: ASYNC222  as above
        os.close(reader)
        os.close(writer)


async def test_looking_whether_a_journal_is_held_does_not_keep_its_owner_out(directory):
    """J9: every start looks at the journals beside its own, and theirs may be starting at that moment."""
    journal = await begun(directory)
    await journal.close()
    failures = []
    stop = False

    def look():
        while not stop:
            place.is_locked(directory)

    looking = asyncio.create_task(asyncio.to_thread(look))
    for _ in range(30):
        try:
            async with opened(directory):
                pass
        except JournalLockedError as error:
            failures.append(error)
    stop = True
    await looking
    assert failures == []


def test_a_lock_is_not_taken_on_a_file_that_is_gone(directory, monkeypatch):
    """J9: an adopted journal's directory is removed by its holder, while somebody may be about to lock it."""
    flock = fcntl.flock
    directory.mkdir(parents=True)

    def too_late(file, operation):
        monkeypatch.setattr(fcntl, "flock", flock)
        (directory / place.LOCK).unlink()
        other.take(directory)
        flock(file, operation)

    lock, other = place.Lock(), place.Lock()
    monkeypatch.setattr(fcntl, "flock", too_late)
    with pytest.raises(JournalLockedError):
        lock.take(directory)
    other.release()
    lock.take(directory)
    assert place.is_locked(directory)
    lock.release()
    assert not place.is_locked(directory)
