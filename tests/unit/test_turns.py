"""Sharing out the event loop's time among those who compute (P12)."""

import asyncio
from datetime import UTC, datetime

import pytest

from perdure.pipelines.rules import extract, extracting
from perdure.pipelines.statements import Turn
from perdure.runtime.turns import Turns

NOW = datetime(2026, 3, 13, tzinfo=UTC)


class Loop:
    """Counts the turns of the event loop, and notes in which of them somebody went on."""

    def __init__(self, turns):
        self.number = 0
        self.went_on = []
        self._turns = turns

    async def count(self):
        while True:
            self.number += 1
            await asyncio.sleep(0)

    async def compute(self, who):
        await self._turns.take()
        self.went_on.append((who, self.number))


@pytest.fixture
async def crowded():
    """Let nobody go on in the turn in which somebody else did."""
    loop = Loop(Turns(seconds=0))
    task = asyncio.create_task(loop.count())
    yield loop
    task.cancel()


async def test_who_asks_alone_does_not_wait():
    with pytest.raises(StopIteration):
        Turns().take().send(None)


async def test_a_few_go_on_in_one_turn():
    patient = Loop(Turns(seconds=60))
    await asyncio.gather(*map(patient.compute, range(5)))
    assert patient.went_on == [(who, 0) for who in range(5)]


async def test_many_go_on_one_by_one_in_the_order_they_asked_while_the_loop_turns(crowded):
    await asyncio.gather(*map(crowded.compute, range(20)))
    assert [who for who, _ in crowded.went_on] == list(range(20))
    assert len({turn for _, turn in crowded.went_on}) == 20


async def test_one_who_leaves_holds_nobody_up(crowded):
    tasks = [asyncio.create_task(crowded.compute(who)) for who in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    tasks[2].cancel()
    await asyncio.wait(tasks)
    assert [who for who, _ in crowded.went_on] == [0, 3]
    assert tasks[1].cancelled()


async def test_the_next_crowd_begins_anew(crowded):
    for _ in range(2):
        await asyncio.gather(*map(crowded.compute, range(3)))
    assert [who for who, _ in crowded.went_on] == [0, 1, 2, 0, 1, 2]


async def test_a_long_list_of_messages_lets_others_in_between():
    """Without a language model too, one add never keeps the loop for all its messages together."""
    turns = [Turn("user", f"I met Ana in Porto, for the {number}th time.", NOW) for number in range(50)]
    assert sum(1 for _ in extracting(turns)) >= 2 * len(turns)
    *_, found = extracting(turns)
    assert found == extract(turns)
    assert len(found.statements) == len(turns)
