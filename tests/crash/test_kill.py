"""Kill -9 at any moment, again and again, with a store that fails on the way: what was accepted is kept, once."""

from dataclasses import replace

import pytest
from agent_process import Options
from faulty_store import Faults
from rounds import FAULTS, play, repeated

pytestmark = pytest.mark.slow

MOST_ROUNDS_OF_A_CONTROL = 10


@pytest.fixture
def over_neo4j(neo4j_server, graph, tmp_path):
    """Options for a client of the tests' server."""
    return Options(tmp_path, uri=neo4j_server.uri, password=neo4j_server.password or "", label=graph.label)


@repeated(few=3)
async def test_what_was_accepted_outlives_kill_nine(number, tmp_path, tally):
    """J1, J3: over the embedded store, with transient errors, lost answers and statements that no store can run."""
    verdict = tally("kill -9, embedded", await play(Options(tmp_path, faults=FAULTS, poison=0.01)))
    assert verdict.faultless, verdict


@repeated(few=2, share=0.3)
async def test_what_was_accepted_for_neo4j_outlives_kill_nine(number, over_neo4j, tally):
    """J1, J3: the same over a real Neo4j."""
    verdict = tally("kill -9, Neo4j", await play(replace(over_neo4j, faults=FAULTS, poison=0.01)))
    assert verdict.faultless, verdict


async def over_some_rounds(options, shows):
    """Play rounds of a control until it shows, and return what they came to together."""
    played = await play(options)
    for number in range(1, MOST_ROUNDS_OF_A_CONTROL):
        if shows(played):
            break
        played += await play(
            replace(options, data_dir=options.data_dir / f"{number}", label=f"{options.label}{number}")
        )
    return played


async def test_without_the_mark_writes_would_be_applied_twice(tmp_path, tally):
    """The control of J3: nothing fails but the process, and the store is not told which batch it is sent again."""
    options = Options(tmp_path, faults=Faults(without_mark=True))
    verdict = tally("control: without the mark", await over_some_rounds(options, lambda played: played.duplicated))
    assert verdict.duplicated
    assert not verdict.lost


async def test_in_memory_writes_would_be_lost(tmp_path, tally):
    """The control of J1: durability "memory"."""
    options = Options(tmp_path, durability="memory")
    verdict = tally('control: durability "memory"', await over_some_rounds(options, lambda played: played.lost))
    assert verdict.lost
    assert not verdict.duplicated
