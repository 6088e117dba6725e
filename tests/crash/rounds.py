"""One round of a crash test: a program that writes is killed, some times over, and what it was told is judged."""

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from random import SystemRandom
from typing import IO, Any, Self

import pytest
from agent_process import KEYS, NUMBERS_IN_A_LIFE, Options, name_of
from faulty_store import Faults

from perdure import MemoryClient

ROUNDS = int(os.environ.get("PERDURE_TEST_ROUNDS", "0"))
"""How many rounds are asked for; 0 means the few that are part of `make test`."""
PROGRAM = Path(__file__).parent / "agent_process.py"
CHANCE = SystemRandom()
"""Not the generator of the random module, which begins anew with each test."""

FAULTS = Faults(transient=0.1, lost=0.1)
Log = Mapping[str, Sequence[int]]
"""Numbers in order, by the id of a key's node."""


def repeated(few: int, share: float = 1.0) -> pytest.MarkDecorator:
    """Run a test as `number` 0, 1 …: a few times in `make test`, for a share of the rounds in `make crash`."""
    return pytest.mark.parametrize("number", range(max(1, round(ROUNDS * share)) if ROUNDS else few))


@dataclass
class Said:
    """What a program said on stdout, or several of them together."""

    kept: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    poison: list[int] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def hear(self, line: str) -> None:
        """Take one line in."""
        self.lines.append(line)
        match line.split(maxsplit=2):
            case ["kept", key, number]:
                self.kept[key].append(int(number))
            case ["poison", _, number]:
                self.poison.append(int(number))
            case ["refused", key, error]:
                self.refused.append((key, error.strip()))
            case _:
                pass

    @property
    def accepted(self) -> int:
        """How many writes were accepted, those that no store can run among them."""
        return len(self.poison) + sum(map(len, self.kept.values()))


class Agent:
    """A running `agent_process.py`; a context manager that kills it."""

    def __init__(self, options: Options, said: Said | None = None, **environment: str) -> None:
        self.said = Said() if said is None else said
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PERDURE_")}
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), options.as_argument()],
            stdout=subprocess.PIPE,
            env=inherited | environment,
        )

    def hear_until(self, word: str, count: int = 1) -> None:
        """Listen until that many lines begin with a word; raises AssertionError when the program ends before."""
        while count:
            line = self._out.readline().decode()
            assert line, f"the program ended with status {self._process.wait()}, having said {self.said.lines[-3:]}"
            self.said.hear(line)
            count -= line.startswith(word)

    def hear_to_the_end(self) -> None:
        """Listen until the program has ended."""
        for line in self._out:
            self.said.hear(line.decode())
        self._process.wait()

    def run_for(self, seconds: float) -> None:
        """Let it go on for a moment, or until it ends."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def freeze(self) -> None:
        """Stop every thread of it, wherever it is, and hear what it had said until then."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)
        os.set_blocking(self._out.fileno(), False)
        while line := self._out.readline():
            self.said.hear(line.decode())
        os.set_blocking(self._out.fileno(), True)

    def kill(self) -> None:
        """Kill it with signal 9, and hear what it had said until then."""
        self._process.kill()
        self.hear_to_the_end()

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        self._out.close()


@dataclass(frozen=True)
class Verdict:
    """What became of accepted writes."""

    accepted: int = 0
    lost: int = 0
    duplicated: int = 0
    misordered: int = 0
    strays: int = 0
    """Numbers in the graph that nobody can have submitted."""
    dead_letters: int = 0
    kills: int = 0
    rounds: int = 0

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def __str__(self) -> str:
        wrong = f"{self.lost} lost, {self.duplicated} duplicated, {self.misordered} misordered"
        strays = f", {self.strays} from nowhere" if self.strays else ""
        accepted = f"{self.accepted} accepted ({self.dead_letters} dead letters)"
        return f"{self.rounds} rounds, {self.kills} kills, {accepted}: {wrong}{strays}"

    @property
    def faultless(self) -> bool:
        """Whether all is there once, in order, and nothing else."""
        return not (self.lost or self.duplicated or self.misordered or self.strays)


def judge(said: Said, log: Log, letters: Sequence[int]) -> Verdict:
    """Compare what was accepted with what is in the graph, and the dead letters with the writes no store can run.

    The last write of each key and life may have been taken in without a word to the writer: it may be there, once.
    """
    lost = duplicated = misordered = strays = 0
    for key in map(name_of, KEYS):
        found, kept = log.get(key, ()), said.kept.get(key, ())
        lost += len(set(kept) - set(found))
        duplicated += len(found) - len(set(found))
        misordered += sum(later < earlier for earlier, later in pairwise(dict.fromkeys(found)))
        strays += count_strays(kept, found)
    lost += len(set(said.poison) - set(letters))
    duplicated += sum(count - 1 for count in Counter(letters).values())
    return Verdict(said.accepted, lost, duplicated, misordered, strays, len(letters), rounds=1)


def count_strays(kept: Sequence[int], found: Sequence[int]) -> int:
    """Return how many numbers are there besides those kept and the first after them in each life."""
    newest = {number // NUMBERS_IN_A_LIFE: number for number in kept}
    extra = sorted(set(found) - set(kept))
    allowed = {number // NUMBERS_IN_A_LIFE: number for number in extra if number > newest.get(life_of(number), -1)}
    return len(extra) - len(allowed)


def life_of(number: int) -> int:
    """Return in which process a number was written."""
    return number // NUMBERS_IN_A_LIFE


def live_and_die(options: Options, said: Said, *, kills: int, most: int = 1500) -> None:
    """Start the program and kill it, again and again: while it opens its journal, or after some writes."""
    for life in range(1, kills + 1):
        with Agent(varied(options, life), said) as agent:
            if life > 1 and CHANCE.random() < 0.3:
                agent.hear_until("opening")
                agent.run_for(CHANCE.uniform(0.0, 0.15))
            else:
                agent.hear_until("kept", CHANCE.randint(1, most))
            agent.kill()


def varied(options: Options, life: int) -> Options:
    """Return options for one life: with fewer lanes or more, and now and then a store that takes nothing."""
    faults = replace(options.faults, stalled=CHANCE.random() < 0.2)
    return replace(options, life=life, lanes=CHANCE.choice([1, 2, 8]), faults=faults)


async def recover(options: Options) -> tuple[dict[str, list[int]], list[int]]:
    """Take over what the program left, commit it, and return the log and the dead letters."""
    spotless = replace(options, faults=replace(options.faults, transient=0.0, lost=0.0, stalled=False))
    async with MemoryClient(spotless.settings()) as client:
        summary = await client.flush()
        assert summary.complete
        letters = [letter.parameters["v"] for letter in await client.buffered.dead_letters.list(1_000_000)]
        return await read_log(client, options.label), letters


async def read_log(client: MemoryClient, label: str) -> dict[str, list[Any]]:
    """Return what is in the graph."""
    rows = await client.query.cypher(f"MATCH (n:{label}) RETURN n.id AS id, n.log AS log")
    return {row["id"]: row["log"] for row in rows}


async def play(options: Options, *, most: int = 1500) -> Verdict:
    """Play a round, and return what became of the writes it was told are accepted."""
    said = Said()
    kills = CHANCE.randint(1, 4)
    live_and_die(options, said, kills=kills, most=most)
    log, letters = await recover(options)
    return replace(judge(said, log, letters), kills=kills)
