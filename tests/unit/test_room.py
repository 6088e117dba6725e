"""Room: places in a bounded queue, handed out in the order they were asked for."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure import ClosedError, QueueFullError
from perdure.writes.room import Room

STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "wait", "wait", "cancel", "give back", "turn", "turn"]), st.integers(1, 10)),
    max_size=60,
)


class Crowd:
    """Those who hold a place and those who wait for one, as the room should see them."""

    def __init__(self, room):
        self.room = room
        self.holding = []
        self.waiting = []
        self.tickets = 0
        self.admitted = []

    def fits(self, size):
        return self.room.count < self.room.max_count and self.room.bytes + size <= self.room.max_bytes

    async def do(self, step, number):
        """Do one thing; `number` is a size or chooses one of the crowd."""
        if step == "take":
            self.take(number)
        elif step == "wait":
            self.waiting.append(asyncio.create_task(self.wait(number)))
        elif step == "cancel" and self.waiting:
            self.waiting[number % len(self.waiting)].cancel()
        elif step == "give back" and self.holding:
            self.room.give_back(1, self.holding.pop(number % len(self.holding)))
        elif step == "turn":
            await asyncio.sleep(0)

    def take(self, size):
        free = self.fits(size) and not self.room._waiting
        assert self.room.take(size) is free
        if free:
            self.holding.append(size)

    async def wait(self, size):
        if self.room.take(size):
            self.holding.append(size)
            return
        self.tickets += 1
        ticket = self.tickets

        def accept():
            self.holding.append(size)
            self.admitted.append(ticket)
            return ticket, True

        assert await self.room.wait(size, None, accept) == ticket

    def check(self):
        """Check that the room holds those who hold a place, within its limits, and that nobody overtook."""
        assert self.admitted == sorted(self.admitted)
        assert (self.room.count, self.room.bytes) == (len(self.holding), sum(self.holding))
        assert self.room.count <= self.room.max_count
        assert self.room.bytes <= self.room.max_bytes
        assert not self.room._waiting or not self.fits(self.room._waiting[0].size)


@pytest.mark.slow
@settings(max_examples=200)
@given(max_count=st.integers(1, 5), max_bytes=st.integers(10, 30), steps=STEPS)
async def test_places_are_bounded_and_given_in_turn(max_count, max_bytes, steps):
    """B18, B19, B20, B15: never above the limits, first come first served, and who is cancelled first has none."""
    crowd = Crowd(Room(max_count, max_bytes))
    for step, number in steps:
        await crowd.do(step, number)
        crowd.check()
    await asyncio.sleep(0)
    while crowd.holding:
        await crowd.do("give back", 0)
        await asyncio.sleep(0)
        crowd.check()
    outcomes = await asyncio.gather(*crowd.waiting, return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert (crowd.room.count, crowd.room.bytes, crowd.room.exhausted()) == (0, 0, False)
    assert crowd.room.high_water <= max_count


async def test_what_cannot_be_accepted_holds_no_place():
    """B15: the journal may refuse a write whose turn has come; its place is given back, and the caller is told."""
    room = Room(1, 100)
    assert room.take(10)

    def refuse():
        raise QueueFullError("The journal is full.")

    refused = asyncio.create_task(room.wait(10, None, refuse))
    accepted = asyncio.create_task(room.wait(10, None, lambda: ("in", True)))
    await asyncio.sleep(0)
    room.give_back(1, 10)
    with pytest.raises(QueueFullError, match="journal"):
        await refused
    assert await accepted == "in"
    assert room.count == 1


async def test_a_wait_that_times_out_holds_no_place():
    """B20: the error says how full it is; whoever waits behind goes on."""
    room = Room(1, 100)
    assert room.take(60)
    impatient = asyncio.create_task(room.wait(10, 0.01, lambda: (None, True)))
    patient = asyncio.create_task(room.wait(10, None, lambda: (None, True)))
    with pytest.raises(QueueFullError, match="1 of 1 writes"):
        await impatient
    room.give_back(1, 60)
    await patient
    assert (room.count, room.bytes) == (1, 10)


async def test_a_large_write_that_gives_up_lets_small_ones_in():
    """B19: what did not fit does not stand in the way any more."""
    room = Room(10, 100)
    assert room.take(60)
    large = asyncio.create_task(room.wait(90, 0.01, lambda: (None, True)))
    small = asyncio.create_task(room.wait(10, None, lambda: (None, True)))
    with pytest.raises(QueueFullError):
        await large
    await small
    assert room.bytes == 70


async def test_a_room_that_is_shut_turns_everybody_away():
    """B10: those who wait when the writer closes are told so."""
    room = Room(1, 100)
    assert room.take(10)
    waiting = [asyncio.create_task(room.wait(10, None, lambda: (None, True))) for _ in range(3)]
    await asyncio.sleep(0)
    room.shut()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClosedError] * 3
    assert (room.count, len(room._waiting)) == (1, 0)
