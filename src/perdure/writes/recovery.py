"""What happens when a journal is taken over: the store says how far each lane is applied, the journal what is left.

The two are compared, since either may have been restored from a backup; nothing is skipped without being reported.
Journals of processes that are gone are emptied into our own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from perdure.protocols import GraphStore, Journal
from perdure.records import LETTERS, Backlog, JournalEntry, LaneState, RecoveryReport
from perdure.telemetry import WRITES
from perdure.writes.acceptance import Acceptance
from perdure.writes.tail import Tail

ADOPTED_AT_ONCE = 500
ADOPTED_BYTES_AT_ONCE = 4 * 1024 * 1024


class Taken(NamedTuple):
    """A journal whose lanes are ours in the store."""

    backlog: Backlog
    epochs: Mapping[int, int]
    already_applied: int
    findings: Sequence[str]


class Recovery(NamedTuple):
    """A writer's journal, ready to go on with."""

    report: RecoveryReport
    backlog: Backlog
    epochs: Mapping[int, int]


async def recover(store: GraphStore, journal: Journal, acceptance: Acceptance, tail: Callable[[int], Tail]) -> Recovery:
    """Take a journal over and adopt its orphans; `acceptance` knows afterwards which keys are in which lane."""
    taken = await take(store, journal)
    acceptance.next_seq = journal.next_seq
    acceptance.lanes.restore(taken.backlog, tail)
    adopted, findings = await adopt_orphans(store, journal, acceptance)
    backlog = await journal.resume({}) if adopted else taken.backlog
    acceptance.lanes.restore(backlog, tail)
    acceptance.room.restore(backlog.count, backlog.bytes)
    report = RecoveryReport(
        backlog.count, taken.already_applied, adopted, (*journal.findings, *taken.findings, *findings)
    )
    announce(report, journal)
    return Recovery(report, backlog, taken.epochs)


def announce(report: RecoveryReport, journal: Journal) -> None:
    """Log what was found."""
    for finding in report.findings:
        WRITES.warning("%s", finding)
    if report.left:
        WRITES.info("%d writes of an earlier process are in the journal %s, to be committed", report.left, journal.name)


async def take(store: GraphStore, journal: Journal) -> Taken:
    """Become the owner of a journal's lanes in the store, and drop what they have applied already."""
    states = await journal.open()
    names = [f"{journal.identity}/{lane}" for lane in sorted(states)]
    marks = await store.take_over(journal.identity, names, journal.epoch)
    applied = {int(mark.lane.rpartition("/")[2]): mark for mark in marks}
    findings = list(compare(states, {lane: mark.seq for lane, mark in applied.items()}, journal))
    backlog = await journal.resume({lane: mark.seq for lane, mark in applied.items()})
    epochs = {lane: mark.epoch for lane, mark in applied.items()}
    return Taken(backlog, epochs, backlog.let_go, findings)


def compare(states: Mapping[int, LaneState], applied: Mapping[int, int], journal: Journal) -> Iterable[str]:
    """Yield a sentence for each lane in which the journal and the store do not belong to the same moment."""
    newest = journal.next_seq - 1
    for lane, seq in sorted(applied.items()):
        known = states[lane].applied if lane in states else -1
        if seq < known:
            yield (
                f"The graph is older than the journal, as after restoring it from a backup: in lane {lane}, writes "
                f"{seq + 1} to {known} were committed to it once and are neither there nor in the journal any more."
            )
        if seq > newest:
            yield (
                f"The journal is older than the graph, as after restoring it from a backup: in lane {lane} the graph "
                f"has writes up to {seq}, and the journal's last is {newest}. What was accepted in between and not "
                "committed is lost; new writes get numbers above those."
            )


async def adopt_orphans(store: GraphStore, journal: Journal, acceptance: Acceptance) -> tuple[int, Sequence[str]]:
    """Empty the journals of processes that are gone into this one; return how many writes that were."""
    adopted = 0
    findings: list[str] = []
    for orphan in await journal.orphans():
        try:
            taken = await take(store, orphan)
            findings += taken.findings
            adopted += await adopt(orphan, taken.backlog, journal, acceptance)
            await orphan.remove()
        finally:
            await orphan.close()
    return adopted, findings


async def adopt(orphan: Journal, backlog: Backlog, journal: Journal, acceptance: Acceptance) -> int:
    """Copy what is left in a journal into another one, in order, under new numbers; safe to be interrupted."""
    done = await journal.adopted(orphan.identity)
    count = 0
    for lane in sorted(backlog.lanes):
        after = done.get(lane, -1)
        while entries := await orphan.read(lane, after, ADOPTED_AT_ONCE, ADOPTED_BYTES_AT_ONCE):
            await journal.adopt(orphan.identity, [(entry, renumbered(entry, acceptance)) for entry in entries])
            after = entries[-1].seq
            count += len(entries)
    letters = [letter for letter in await orphan.letters(None) if letter.seq > done.get(LETTERS, -1)]
    await journal.adopt_letters(orphan.identity, letters, acceptance.next_seq)
    acceptance.next_seq += len(letters)
    return count


def renumbered(entry: JournalEntry, acceptance: Acceptance) -> JournalEntry:
    """Return an entry under the next number of its new journal, in the lane its key has there."""
    lane = acceptance.lanes.bind(entry.key).number
    seq, acceptance.next_seq = acceptance.next_seq, acceptance.next_seq + 1
    return entry._replace(seq=seq, lane=lane)
