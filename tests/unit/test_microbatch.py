"""Several callers, and the calls that are made for them."""

import asyncio

import pytest

from perdure import ProviderError, ProviderOutputError, ProviderTimeoutError
from perdure.runtime.limits import Pool
from perdure.runtime.microbatch import Microbatch


class Calls:
    """A function that doubles numbers when it is let, and what it was asked."""

    def __init__(self, places=1, most=4, seconds=10.0):
        self.asked = []
        self.going = asyncio.Event()
        self.pool = Pool("embedder", places, seconds)
        self.batch = Microbatch(self._double, self.pool, most)

    async def _double(self, numbers):
        self.asked.append(list(numbers))
        await self.going.wait()
        if "bad" in numbers:
            raise ProviderOutputError("One of these is none.")
        if "late" in numbers:
            raise ProviderTimeoutError("It was late.")
        return [2 * number for number in numbers]

    async def double(self, *numbers):
        whole, first = await self.batch.ask(numbers)
        return whole[first : first + len(numbers)]

    async def under_way(self, *asked):
        """Begin to ask for each of these, and return the tasks when all of them wait."""
        tasks = [asyncio.create_task(self.double(*numbers)) for numbers in asked]
        for _ in range(3):
            await asyncio.sleep(0)
        return tasks

    async def end(self, tasks):
        self.going.set()
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_whoever_has_to_wait_goes_along_with_the_next_call():
    """P4: and each gets its own answer."""
    calls = Calls()
    tasks = await calls.under_way([1], [2, 3], [4])
    assert calls.asked == [[1]]
    assert await calls.end(tasks) == [[2], [4, 6], [8]]
    assert calls.asked == [[1], [2, 3, 4]]


async def test_nobody_waits_for_company():
    """P4: while there are places, each call is its caller's own."""
    calls = Calls(places=3)
    tasks = await calls.under_way([1], [2], [3])
    assert calls.asked == [[1], [2], [3]]
    assert await calls.end(tasks) == [[2], [4], [6]]


async def test_a_call_is_about_so_many_at_most():
    """P13: what does not fit in goes with the next one."""
    calls = Calls(most=3)
    tasks = await calls.under_way([1], [2, 3], [4, 5], [6, 7, 8, 9])
    assert await calls.end(tasks) == [[2], [4, 6], [8, 10], [12, 14, 16, 18]]
    assert calls.asked == [[1], [2, 3], [4, 5], [6, 7, 8, 9]]


async def test_what_cannot_be_answered_fails_alone():
    """P14: the others are asked again without it."""
    calls = Calls()
    tasks = await calls.under_way([1], [2], ["bad"], [3])
    first, second, bad, third = await calls.end(tasks)
    assert (first, second, third) == ([2], [4], [6])
    assert isinstance(bad, ProviderOutputError)
    assert calls.asked == [[1], [2, "bad", 3], [2], ["bad"], [3]]


async def test_what_may_help_later_is_everybodys_error():
    """P14: nothing is asked over and over of what is late already."""
    calls = Calls()
    tasks = await calls.under_way([1], [2], ["late"])
    first, *others = await calls.end(tasks)
    assert first == [2]
    assert [type(other) for other in others] == [ProviderTimeoutError] * 2
    assert calls.asked == [[1], [2, "late"]]


@pytest.mark.parametrize("place", [1, 2])
async def test_a_caller_that_leaves_leaves_the_others_as_they_are(place):
    """B17, P14: also the one whose call it is."""
    calls = Calls()
    tasks = await calls.under_way([1], [2], [3], [4])
    tasks[place].cancel()
    answers = await calls.end(tasks)
    assert isinstance(answers.pop(place), asyncio.CancelledError)
    assert answers == [[2 * number] for number in (1, 2, 3, 4) if number != place + 1]
    assert calls.pool.running == calls.pool.waiting == 0


async def test_the_one_that_makes_the_call_leaves_while_it_runs():
    """P14: those that went along ask anew."""
    calls = Calls()
    tasks = await calls.under_way([1], [2], [3])
    first, calls.going = calls.going, asyncio.Event()
    first.set()
    assert await tasks[0] == [2]
    for _ in range(3):
        await asyncio.sleep(0)
    assert calls.asked == [[1], [2, 3]]
    tasks[1].cancel()
    assert (await calls.end(tasks))[2] == [6]
    assert calls.asked == [[1], [2, 3], [3]]


async def test_nobody_goes_along_past_a_parting():
    """What is asked after it is done after it."""
    calls = Calls()
    tasks = await calls.under_way([1], [2])
    calls.batch.part()
    tasks += await calls.under_way([3], [4])
    assert await calls.end(tasks) == [[2], [4], [6], [8]]
    assert calls.asked == [[1], [2], [3, 4]]


def test_errors_that_are_not_said_to_pass_do_not():
    """What `test_what_cannot_be_answered_fails_alone` stands on."""
    assert not ProviderError.retryable
    assert not ProviderOutputError.retryable
