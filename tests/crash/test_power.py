"""The machine dies: what was on the disk at that moment is all there is.

A program writes to a file system in a block image. It is frozen, and what has reached the image is copied, which
leaves out everything that the system still had in its memory. The program then is killed, and the copy taken over.
"""

import contextlib
from dataclasses import replace

import pytest
from agent_process import Options
from disks import copied, ext4_image, loop
from faulty_store import Faults
from rounds import CHANCE, Agent, judge, recover, repeated

from perdure.errors import JournalCorruptError

pytestmark = pytest.mark.slow

MOST_ROUNDS_OF_A_CONTROL = 10


def cut_the_power(tmp_path, durability):
    """Have a program write, and return its options and what it had said when the image was copied."""
    image = ext4_image(tmp_path / "image")
    with loop(image, tmp_path / "disk") as disk:
        faults = Faults(stalled=CHANCE.random() < 0.3)
        options = Options(disk / "data", durability=durability, faults=faults)
        with Agent(options) as agent:
            agent.hear_until("kept", CHANCE.randint(1, 500))
            agent.freeze()
            copied(image, tmp_path / "copy")
            return options, agent.said


async def what_is_left(tmp_path, options, said):
    """Take over what is in the copy, and judge it by what was said."""
    with loop(tmp_path / "copy", tmp_path / "disk"):
        log, letters = await recover(options)
    return replace(judge(said, log, letters), kills=1)


@repeated(few=2, share=0.1)
async def test_on_disk_accepted_writes_outlive_power_loss(number, tmp_path, tally):
    """J2: durability "disk"."""
    options, said = cut_the_power(tmp_path, "disk")
    verdict = tally('power loss, durability "disk"', await what_is_left(tmp_path, options, said))
    assert verdict.faultless, verdict


async def test_durability_os_would_lose_them(tmp_path, tally):
    """The control of J2: durability "os" leaves it to the system when to write."""
    for number in range(MOST_ROUNDS_OF_A_CONTROL):
        place = tmp_path / f"{number}"
        place.mkdir()
        options, said = cut_the_power(place, "os")
        with contextlib.suppress(JournalCorruptError):
            verdict = tally('control: power loss, durability "os"', await what_is_left(place, options, said))
            if verdict.lost:
                return
    pytest.fail("nothing was lost")
