"""journal.sqlite.wal against SQLite itself: what it would drop from a log without a word, we must see."""

import random
import sqlite3
import struct
from contextlib import closing
from typing import NamedTuple

import pytest

from perdure.journal.sqlite import wal
from perdure.journal.sqlite.wal import FRAME_HEADER, HEADER, Log, examine, frames

PAGE = 512
FRAME = FRAME_HEADER + PAGE
FRAMES_OF = (1, 2, 1, 4, 1)
"""How many frames each commit of the logs under test has."""


class Logged(NamedTuple):
    """A database and its log, after some commits: the one numbered n added the row n."""

    database: bytes
    log: bytes
    ends: list[int]
    """Where each commit ends, in frames."""


def make(directory, sizes, *, earlier=0):
    """Commit as often as there are sizes, each in that many frames, and return the files as they are then.

    `earlier` commits are in the database already, and their log, begun anew, still has its size.
    """
    path = directory / "made.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for pragma in (f"page_size={PAGE}", "journal_mode=WAL", "wal_autocheckpoint=0", "synchronous=OFF"):
            database.execute(f"PRAGMA {pragma}")
        database.execute("CREATE TABLE commits (n INTEGER PRIMARY KEY)")
        for number in range(max((3, *sizes))):
            database.execute(f"CREATE TABLE ballast_{number} (n)")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        commit(database, [3] * earlier)
        database.execute("PRAGMA wal_checkpoint(RESTART)")
        log = path.with_name("made.db-wal")
        ends = commit(database, sizes)
        return Logged(path.read_bytes(), log.read_bytes(), ends)


def commit(database, sizes):
    """Make commits of that many frames, and return where each of them ends."""
    ends = []
    for size in sizes:
        database.execute("BEGIN")
        database.execute("INSERT INTO commits DEFAULT VALUES")
        for number in range(size - 1):
            database.execute(f"INSERT INTO ballast_{number} VALUES (1)")
        database.execute("COMMIT")
        ends.append((ends[-1] if ends else 0) + size)
    return ends


@pytest.fixture
def look(tmp_path):
    """Return how many commits SQLite reads from a database with a log, and what `examine` says of the log."""

    def at(database, log):
        path, log_path = tmp_path / "journal.db", tmp_path / "journal.db-wal"
        path.write_bytes(database)
        log_path.write_bytes(log)
        said = examine(log_path, PAGE)
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as opened:
            (seen,) = opened.execute("SELECT count(*) FROM commits").fetchone()
        assert log_path.read_bytes() == log
        return seen, said

    return at


@pytest.fixture
def logged(tmp_path):
    """A log whose commits are all whole."""
    made = make(tmp_path, FRAMES_OF)
    assert len(made.log) == HEADER + FRAME * sum(FRAMES_OF)
    return made


def damaged(data, position, mask):
    return data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :]


def is_noticed(seen, said, ends, behind):
    """Return whether what is said of a log fits what SQLite reads; `behind`: whole commits behind the damage."""
    if seen == len(ends):
        return said == Log(ends[-1], torn=False, lost_commits=0)
    if said.used != (ends[seen - 1] if seen else 0):
        return False
    return said.lost_commits > 0 if behind else said.torn or said.lost_commits > 0


# -- logs that are as they should be


def test_a_whole_log_is_whole(look, logged):
    """J6: SQLite reads all of it."""
    assert look(logged.database, logged.log) == (len(FRAMES_OF), Log(sum(FRAMES_OF), torn=False, lost_commits=0))


def test_no_log_and_an_empty_one_hold_nothing(tmp_path):
    """J6: as after a clean close, and right after a checkpoint."""
    nothing = Log(0, torn=False, lost_commits=0)
    assert examine(tmp_path / "none", PAGE) == nothing
    (tmp_path / "empty").touch()
    assert examine(tmp_path / "empty", PAGE) == nothing


@pytest.mark.parametrize("now", [(), (1,), (2, 1), (1, 1, 1, 1)])
def test_what_an_earlier_run_of_the_log_left_behind_is_no_damage(look, tmp_path, now):
    """J6: the file keeps its size when the log begins anew, and old frames stand behind the new ones."""
    made = make(tmp_path, now or (1,), earlier=5)
    log = made.log if now else make(tmp_path, (), earlier=5).log
    assert len(log) > HEADER + FRAME * sum(now)
    seen, said = look(made.database, log)
    assert (said.torn, said.lost_commits) == (False, 0)
    if now:
        assert (seen, said.used) == (5 + len(now), sum(now))


@pytest.mark.parametrize("commits", [1, 3])
def test_a_log_in_the_other_byte_order_is_read(look, logged, commits):
    """J6: SQLite writes its log in the order of the machine, and reads both."""
    log = other_byte_order(logged.log[: HEADER + FRAME * logged.ends[commits - 1]])
    assert look(logged.database, log) == (commits, Log(logged.ends[commits - 1], torn=False, lost_commits=0))
    for position in (HEADER + 3, HEADER + 20, len(log) - FRAME + 30):
        seen, said = look(logged.database, damaged(log, position, 1))
        assert seen < commits
        assert said.torn or said.lost_commits


def other_byte_order(log):
    """Return a log with its checksums made in the other byte order."""
    magic = wal.LITTLE if log[:4] == wal.BIG else wal.BIG
    order = ">" if magic == wal.BIG else "<"
    header = magic + log[4:24]
    seed = sums(header, order, (0, 0))
    made = [header + struct.pack(">II", *seed)]
    for start in range(HEADER, len(log), FRAME):
        block = log[start : start + FRAME]
        seed = sums(block[:8] + block[FRAME_HEADER:], order, seed)
        made.append(block[:16] + struct.pack(">II", *seed) + block[FRAME_HEADER:])
    return b"".join(made)


def sums(data, order, seed):
    """Return the checksum of the format's description, written out once more."""
    one, two = seed
    for even, odd in struct.iter_unpack(f"{order}II", data):
        one = (one + even + two) % 2**32
        two = (two + odd + one) % 2**32
    return one, two


# -- torn tails


def test_a_log_cut_anywhere_is_torn_except_right_behind_a_commit(look, logged):
    """J6: every length near a frame's beginning or end, and some within: SQLite reads the whole commits before it."""
    ends = [HEADER + FRAME * end for end in logged.ends]
    near = {start + n for start in range(HEADER, ends[-1], FRAME) for n in (-1, 0, 1, 8, 23, 24, 25, 200, PAGE)}
    for length in sorted(near | set(range(1, HEADER + 2))):
        seen, said = look(logged.database, logged.log[:length])
        whole = sum(end <= length for end in ends)
        assert seen == whole
        assert said == Log(
            logged.ends[whole - 1] if whole else 0,
            torn=length not in (*ends, HEADER),
            lost_commits=0,
        )


@pytest.mark.parametrize("length", [1, 23, 24, 100, FRAME - 1])
@pytest.mark.parametrize("filling", [b"\x00", b"\xff", b"\x5a"])
def test_half_a_frame_at_the_end_is_torn(look, logged, length, filling):
    """J6: whatever it holds; nothing before it is touched."""
    seen, said = look(logged.database, logged.log + filling * length)
    assert (seen, said) == (len(FRAMES_OF), Log(sum(FRAMES_OF), torn=True, lost_commits=0))


@pytest.mark.parametrize("written", [1, 2, 3])
def test_half_a_commit_over_what_an_earlier_run_left_is_torn(look, tmp_path, written):
    """J6: only some of its frames were written, in the middle of an older log."""
    made = make(tmp_path, (1, 4), earlier=6)
    start = HEADER + FRAME
    behind = make(tmp_path, (1,), earlier=6).log[start:]
    log = made.log[: start + written * FRAME] + behind[written * FRAME :]
    assert len(log) > start + 4 * FRAME
    assert look(made.database, log) == (7, Log(1, torn=True, lost_commits=0))


def test_half_a_frame_over_what_an_earlier_run_left_is_torn(look, tmp_path):
    """J6: the last commit is one frame, of which some was written."""
    made = make(tmp_path, (1, 1), earlier=6)
    start = HEADER + FRAME
    for length in (17, 24, 25, 300, FRAME - 1):
        older = bytes(byte ^ 0xFF for byte in made.log[start : start + FRAME])
        log = made.log[: start + length] + older[length:] + made.log[start + FRAME :]
        assert look(made.database, log) == (7, Log(1, torn=True, lost_commits=0))


# -- damage


def test_any_flipped_bit_of_any_header_is_noticed(look, logged):
    """J6: three of each byte, in the log's own and those of all frames: SQLite drops commits, and we say so."""
    headers = [0, *range(HEADER, len(logged.log), FRAME)]
    unseen = [
        (position, bit)
        for start in headers
        for position in range(start, start + (HEADER if start == 0 else FRAME_HEADER))
        for bit in (0, 3, 7)
        if not flip_is_noticed(look, logged, position, 1 << bit)
    ]
    assert not unseen, "\n".join(map(str, unseen))


def test_any_flipped_bit_of_the_pages_is_noticed(look, logged):
    """J6: in each frame at its first and last byte, and at some between."""
    chance = random.Random(4)
    for start in range(HEADER + FRAME_HEADER, len(logged.log), FRAME):
        for position in (0, PAGE - 1, *chance.sample(range(PAGE), 10)):
            assert flip_is_noticed(look, logged, start + position, 1 << chance.randrange(8))


def flip_is_noticed(look, logged, position, mask):
    """Return whether a flip is noticed: as damage in the middle when whole commits stand behind it."""
    seen, said = look(logged.database, damaged(logged.log, position, mask))
    assert seen < len(logged.ends)
    frame = (position - HEADER) // FRAME
    hit = sum(end <= frame for end in logged.ends) if position >= HEADER else -1
    assert seen == max(hit, 0)
    return is_noticed(seen, said, logged.ends, behind=len(logged.ends) - 1 - hit)


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_a_flipped_bit_in_the_header_of_a_short_log_is_damage(look, logged, commits):
    """J6: no crash makes this one: it would take all commits, and none of them was half written."""
    log = logged.log[: HEADER + FRAME * logged.ends[commits - 1]]
    unseen = []
    for position in range(8 * HEADER):
        seen, said = look(logged.database, damaged(log, position // 8, 1 << position % 8))
        assert seen == 0
        unseen += [] if said.lost_commits else [(position // 8, position % 8)]
    assert not unseen, "\n".join(map(str, unseen))


def test_a_commit_whose_size_was_flipped_to_none_does_not_hide_the_next_one(look, tmp_path):
    """J6: a frame ends a commit when it says how many pages there are then, and one bit can be all of that number."""
    for extra in range(1, 40):
        made = make(tmp_path, (extra, 1, 1))
        (pages,) = struct.unpack(">I", made.log[HEADER + FRAME * (extra - 1) + 4 :][:4])
        if pages.bit_count() == 1:
            break
    position = HEADER + FRAME * extra + 4 + (3 - (pages.bit_length() - 1) // 8)
    seen, said = look(made.database, damaged(made.log, position, 1 << (pages.bit_length() - 1) % 8))
    assert seen == 1
    assert said.lost_commits > 0


@pytest.mark.parametrize("block", [512, 4096])
@pytest.mark.parametrize("filling", [b"\x00", b"\xff"])
def test_a_block_of_the_disk_that_was_lost_is_noticed(look, tmp_path, block, filling):
    """J6: a whole sector or page of it reads as something else, wherever it lies."""
    made = make(tmp_path, FRAMES_OF * 4)
    for start in range(0, len(made.log), block):
        log = made.log[:start] + filling * len(made.log[start : start + block]) + made.log[start + block :]
        seen, said = look(made.database, log)
        assert seen < len(made.ends)
        assert said.torn or said.lost_commits
        first_behind = -(-(start + block - HEADER) // FRAME)
        behind = sum(end > first_behind for end in made.ends) - 2
        assert said.lost_commits > 0 or behind <= 0


def test_a_stretch_that_was_exchanged_is_noticed(look, logged):
    """J6: two frames of the middle changed places, each whole in itself."""
    one, two = HEADER, HEADER + 3 * FRAME
    log = bytearray(logged.log)
    log[one : one + FRAME], log[two : two + FRAME] = logged.log[two : two + FRAME], logged.log[one : one + FRAME]
    seen, said = look(logged.database, bytes(log))
    assert seen < len(FRAMES_OF)
    assert said.lost_commits > 0


# -- what the frames say


def test_frames_are_what_sqlite_wrote(tmp_path, logged):
    """J6: which page each holds, and how many pages the database has where a commit ends."""
    path = tmp_path / "log"
    path.write_bytes(logged.log)
    found = list(frames(path, PAGE))
    assert [number for number, frame in enumerate(found, 1) if frame.pages] == logged.ends
    assert all(frame.current and frame.fits for frame in found)
    assert [frame.data for frame in found] == [
        logged.log[start + FRAME_HEADER : start + FRAME] for start in range(HEADER, len(logged.log), FRAME)
    ]
