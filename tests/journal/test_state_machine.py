"""The journal against a model of it: whatever is done in whatever order, both say the same, also after a crash."""

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from journals import ALL, append, crashed, entry

from perdure.errors import NotFoundError
from perdure.journal.sqlite import SqliteJournal
from perdure.records import JournalEntry, LaneState

LANES = st.integers(0, 3)
SIZES = st.sampled_from([0, 0, 0, 10, 5000, 40_000])
POSITIONS = st.integers(0, 10**6)
CODE = "statement_rejected"


class Lane:
    """What should be in one lane."""

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []
        self.state = LaneState(-1, -1, -1)

    def pop(self, count: int) -> list[JournalEntry]:
        """Take that many from the front; their last number is settled."""
        gone, self.entries = self.entries[:count], self.entries[count:]
        self.state = self.state._replace(settled=gone[-1].seq)
        return gone


class JournalMachine(RuleBasedStateMachine):
    """Drives one journal on one event loop; the model is what a queue and a shelf of letters would hold."""

    durability: Any = "os"

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="perdure-journal-"))
        self.runner = asyncio.Runner()
        self.lanes: dict[int, Lane] = {}
        self.letters: dict[int, tuple[JournalEntry, int]] = {}
        self.next_seq = 0
        self.epoch = 0
        self.crashes = 0
        self.identity = ""

    def teardown(self) -> None:
        self.run(self.journal.close())
        self.runner.close()
        shutil.rmtree(self.root)

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def lane(self, number: int) -> Lane:
        return self.lanes.setdefault(number, Lane())

    def pick(self, position: int) -> Lane | None:
        """Return one of the lanes that hold something."""
        filled = [lane for _, lane in sorted(self.lanes.items()) if lane.entries]
        return filled[position % len(filled)] if filled else None

    # -- opening

    @initialize()
    def begin(self) -> None:
        """Open a journal where none is."""
        self.open(self.root / "journal" / "0")
        assert self.journal.findings == []

    def open(self, directory: Path) -> None:
        """Open a journal, and see that it knows what the model knows, except that it may not have let go of all."""
        self.journal = SqliteJournal(directory, durability=self.durability)
        states = self.run(self.journal.open())
        for number, lane in self.lanes.items():
            found = states.get(number, LaneState(-1, -1, -1))
            assert found.last == lane.state.last
            assert found.settled <= lane.state.settled
            assert found.applied <= lane.state.applied
        assert self.journal.next_seq == self.next_seq
        assert self.journal.epoch == self.epoch + 1
        assert self.identity in ("", self.journal.identity)
        self.epoch, self.identity = self.journal.epoch, self.journal.identity

    @rule()
    def close_and_open(self) -> None:
        """A clean end: nothing may be left that was settled."""
        self.run(self.journal.close())
        self.open(self.journal.directory)
        self.run(self.journal.resume({}))
        assert self.run(self.journal.open()) == {
            number: lane.state for number, lane in self.lanes.items() if lane.state.last >= 0
        }

    @rule()
    def crash_and_open(self) -> None:
        """A crash: what was settled may be there still, until the store's mark says that it has it."""
        self.crashes += 1
        copy = self.run(crashed(self.journal, self.root / "journal" / str(self.crashes)))
        self.journal.abandon()
        self.open(copy)
        assert self.journal.findings == []
        applied = {number: lane.state.settled for number, lane in self.lanes.items() if lane.state.settled >= 0}
        self.run(self.journal.resume(applied))
        for number, settled in applied.items():
            self.lanes[number].state = self.lanes[number].state._replace(applied=settled)

    # -- writing

    @rule(number=LANES, count=st.integers(1, 12), pad=SIZES, keyed=st.booleans())
    def append(self, number: int, count: int, pad: int, keyed: bool) -> None:  # noqa: FBT001  as hypothesis calls it
        """Some writes at once: each is kept when this returns."""
        made = [
            entry(seq, number, f"k{number}" if keyed else None, pad=pad)
            for seq in range(self.next_seq, self.next_seq + count)
        ]
        self.next_seq += count
        self.run(append(self.journal, *made))
        lane = self.lane(number)
        lane.entries += made
        lane.state = lane.state._replace(last=made[-1].seq)

    @rule(position=POSITIONS, count=st.integers(1, 20))
    def settle(self, position: int, count: int) -> None:
        """Some writes of a lane, from its front, are in the store."""
        if lane := self.pick(position):
            lane.pop(count)
            lane.state = lane.state._replace(applied=lane.state.settled)
            self.settle_all([lane])

    def settle_all(self, lanes: list[Lane]) -> None:
        async def settle() -> None:
            for number, lane in self.lanes.items():
                if lane in lanes:
                    self.journal.settle(number, lane.state.settled)

        self.run(settle())

    @rule(position=POSITIONS)
    def bury(self, position: int) -> None:
        """The first write of a lane failed for good."""
        if lane := self.pick(position):
            (gone,) = lane.pop(1)
            self.run(self.journal.bury(gone, f"error {gone.seq}", CODE))
            self.letters[gone.seq] = (gone, gone.failures + 1)

    @precondition(lambda self: self.letters)
    @rule(position=POSITIONS, number=LANES)
    def redrive(self, position: int, number: int) -> None:
        """A dead letter is sent again, under the next number."""
        seq = sorted(self.letters)[position % len(self.letters)]
        gone, attempts = self.letters.pop(seq)
        again = gone._replace(seq=self.next_seq, lane=number, failures=attempts)
        self.next_seq += 1
        self.run(append(self.journal, again, replacing=seq))
        lane = self.lane(number)
        lane.entries.append(again)
        lane.state = lane.state._replace(last=again.seq)

    @rule(seqs=st.lists(st.integers(0, 60), max_size=4))
    def drop(self, seqs: list[int]) -> None:
        """Dead letters are dropped; numbers that are none are not counted."""
        dropped = self.run(self.journal.drop_letters(seqs))
        assert dropped == len({self.letters.pop(seq) and seq for seq in set(seqs) & set(self.letters)})

    # -- reading

    @rule(number=LANES, skip=st.integers(0, 8), count=st.integers(1, 10), size=st.sampled_from([1, 500, 60_000, ALL]))
    def read(self, number: int, skip: int, count: int, size: int) -> None:
        """A page from somewhere in a lane, within both limits and never empty without need."""
        lane = self.lane(number)
        after = lane.entries[skip - 1].seq if 0 < skip <= len(lane.entries) else lane.state.settled
        expected = [each for each in lane.entries if each.seq > after][:count]
        while len(expected) > 1 and sum(each.size for each in expected) > size:
            expected.pop()
        assert self.page(number, after, count, size) == expected

    def page(self, number: int, after: int, count: int, size: int) -> list[JournalEntry]:
        found = self.run(self.journal.read(number, after, count, size))
        return [each._replace(accepted_at=0.0) for each in found]

    @rule(seq=st.integers(0, 60))
    def look_at_one_letter(self, seq: int) -> None:
        """It is there, or NotFoundError."""
        with contextlib.nullcontext() if seq in self.letters else pytest.raises(NotFoundError):
            assert self.run(self.journal.letter(seq)).seq == seq

    @invariant()
    def every_entry_is_there(self) -> None:
        for number, lane in self.lanes.items():
            assert self.page(number, lane.state.settled, ALL, ALL) == lane.entries

    @invariant()
    def every_letter_is_there(self) -> None:
        found = self.run(self.journal.letters(None))
        assert {each.seq: (each.query, each.parameters, each.key, each.attempts, each.error) for each in found} == {
            seq: (gone.statement, gone.parameters, gone.key, attempts, f"error {seq}")
            for seq, (gone, attempts) in self.letters.items()
        }

    @invariant()
    def nothing_is_wrong_with_it(self) -> None:
        assert self.journal.trouble == ""


class SyncingJournalMachine(JournalMachine):
    """The same, with each group of writes synced."""

    durability = "disk"


SETTINGS = settings(max_examples=12, stateful_step_count=25, deadline=None)
TestJournalMachine = JournalMachine.TestCase
TestJournalMachine.settings = SETTINGS
TestSyncingJournalMachine = SyncingJournalMachine.TestCase
TestSyncingJournalMachine.settings = settings(SETTINGS, max_examples=5)
