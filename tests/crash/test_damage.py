"""Bits that flip in the journal of a killed process: all that was accepted is there, or nothing is touched."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from agent_process import KEYS, Options
from faulty_store import Faults
from rounds import CHANCE, Agent, Said, judge, read_log, repeated

from perdure import MemoryClient
from perdure.errors import JournalCorruptError

pytestmark = pytest.mark.slow

DATABASE, LOG = "journal.db", "journal.db-wal"
PAGE, FRAME_HEADER, LOG_HEADER = 4096, 24, 32
FLIPS = 20
MOST_IN_A_COMMIT = len(KEYS)
LET_GO = "last commit"
"""What is reported when the end of the log is not whole, as when the machine died while it was written."""


@dataclass(frozen=True)
class Victim:
    """What a killed process left, none of it in the graph yet, and what it was told is accepted."""

    options: Options
    said: Said

    def copy(self, to: Path) -> Options:
        """Return options for a copy of it."""
        shutil.copytree(self.options.data_dir, to)
        return replace(self.options, data_dir=to, faults=Faults())


def killed(place: Path, least: int, most: int) -> Victim:
    """Have a program write and killed, with nothing but its journal to show for it."""
    options = Options(place / "victim", faults=Faults(stalled=True))
    with Agent(options) as agent:
        agent.hear_until("kept", CHANCE.randint(least, most))
        agent.kill()
    return Victim(options, agent.said)


@pytest.fixture
def victim(tmp_path) -> Victim:
    """A journal with writes in its database and in its log."""
    return killed(tmp_path, 600, 900)


@pytest.fixture
def young(tmp_path) -> Victim:
    """A journal whose writes are all in its log."""
    return killed(tmp_path, 100, 300)


def journal_of(options: Options) -> Path:
    return options.data_dir / "journal" / "main"


def contents(options: Options) -> dict[str, bytes]:
    """Return the files that hold writes."""
    return {name: (journal_of(options) / name).read_bytes() for name in (DATABASE, LOG)}


def somewhere(size: int, name: str) -> int:
    """Return a place in a file: any, or often one of those that say what the others mean."""
    if CHANCE.random() < 0.5:
        return CHANCE.randrange(size)
    if name == DATABASE:
        return CHANCE.randrange(size // PAGE) * PAGE + CHANCE.randrange(100)
    frame = CHANCE.randrange(size // (FRAME_HEADER + PAGE))
    return CHANCE.choice([0, frame_at(frame)]) + CHANCE.randrange(FRAME_HEADER)


def frame_at(number: int) -> int:
    """Return where a frame begins in a log."""
    return LOG_HEADER + number * (FRAME_HEADER + PAGE)


def flip(path: Path, place: int, bit: int) -> None:
    """Turn one bit of a file over."""
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))


async def outcome(victim: Victim, options: Options) -> str:
    """Return how connecting went: "whole", "refused", or "let go" when the end of the log was, with a report."""
    damaged = contents(options)
    try:
        async with MemoryClient(options.settings()) as client:
            await client.flush()
            findings = client.buffered.recovery.findings
            verdict = judge(victim.said, await read_log(client, options.label), [])
    except JournalCorruptError:
        assert contents(options) == damaged
        return "refused"
    if verdict.faultless:
        return "whole"
    assert any(LET_GO in finding for finding in findings), (verdict, findings)
    assert replace(verdict, lost=0).faultless, verdict
    assert verdict.lost <= MOST_IN_A_COMMIT, verdict
    return "let go"


@repeated(few=1, share=0.1)
async def test_damage_is_refused_or_does_no_harm(number, victim, tmp_path, count):
    """J6: whichever bit flips, in the database or in the log, no write is missing without a word."""
    for trial in range(FLIPS):
        options = victim.copy(tmp_path / f"{trial}")
        name = CHANCE.choice([DATABASE, LOG])
        place, bit = somewhere((journal_of(options) / name).stat().st_size, name), CHANCE.randrange(8)
        flip(journal_of(options) / name, place, bit)
        try:
            count("flipped bits", **{await outcome(victim, options): 1})
        except Exception as error:
            error.add_note(f"Bit {bit} of byte {place} of {name} was flipped.")
            raise


def flip_in_frame(log: Path, number: int) -> None:
    """Damage what a frame of a log holds; -1 is the last."""
    frames = log.stat().st_size // (FRAME_HEADER + PAGE)
    flip(log, frame_at(number % frames) + FRAME_HEADER + PAGE // 2, 0)


async def test_an_end_that_is_not_whole_is_let_go_with_a_report(young, tmp_path):
    """J6: the last commit is as one that a crash has cut short; those before it are there."""
    options = young.copy(tmp_path / "copy")
    flip_in_frame(journal_of(options) / LOG, -1)
    async with MemoryClient(options.settings()) as client:
        assert any(LET_GO in finding for finding in client.buffered.recovery.findings)
        await client.flush()
        verdict = judge(young.said, await read_log(client, options.label), [])
    assert verdict.lost <= MOST_IN_A_COMMIT, verdict
    assert replace(verdict, lost=0).faultless, verdict


async def test_sqlite_by_itself_would_drop_writes_without_a_word(young, tmp_path):
    """The control of J6: the same file, opened without a look at it first; Perdure refuses it."""
    options = young.copy(tmp_path / "copy")
    log = journal_of(options) / LOG
    flip_in_frame(log, log.stat().st_size // (FRAME_HEADER + PAGE) // 2)
    assert await outcome(young, options) == "refused"
    with closing(sqlite3.connect(journal_of(options) / DATABASE)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (count,) = database.execute("SELECT count(*) FROM entries").fetchone()
    assert 0 < count < young.said.accepted
