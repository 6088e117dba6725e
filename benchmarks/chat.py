"""What memory adds to a chat completion: Perdure's clients beside the official ones, on a server that answers at once.

A client of its own each: without an id, remembering only, and recalling as well, of a user with a thousand memories.
Each call is measured from call to return, or to the first chunk of its stream. Between two calls everything that is
still to be remembered is, as while a user reads an answer; that is not measured.

    python -m benchmarks.chat [--quick] [--json FILE]
"""

import asyncio
import random
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import openai

from benchmarks.cli import Run, main
from benchmarks.figures import Figure, Side, longer, progress, value
from perdure import Memory, MemorySettings, SyncMemory
from perdure.openai import AsyncOpenAI, OpenAI

MEMORIES = 1000
USER = {"user_id": "ana"}
PLAIN, OFF, REMEMBERING, RECALLING = "the official client", "without an id", "remembering", "remembering and recalling"
MOST = 1.1
"""Of the official client's time to the first chunk, where nothing is recalled."""
_numbers = count()
Waits = dict[str, list[float]]


@contextmanager
def served() -> Generator[dict[str, Any]]:
    """Run the server in a process of its own; yield what a client takes to reach it."""
    program = [sys.executable, str(Path(__file__).with_name("chat_server.py"))]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield {"api_key": "k", "base_url": f"http://127.0.0.1:{int(process.stdout.readline())}/v1", "max_retries": 0}
        process.communicate()


def known() -> list[dict[str, str]]:
    """Return what the user has said before."""
    places = ("Lisbon", "Porto", "Faro", "Braga", "Evora")
    texts = [f"In summer {n} I saw film {n * 7} in {places[n % 5]} with my friend Anna." for n in range(MEMORIES)]
    return [{"role": "user", "content": text} for text in texts]


def asked() -> dict[str, Any]:
    """Return what is asked now, which was never said before."""
    said = f"Where was I with Anna when I saw film {next(_numbers)}, and whom did we meet there?"
    return {"model": "m", "messages": [{"role": "user", "content": said}]}


def arms(official: type, ours: type, memory: object, how: Mapping[str, Any]) -> dict[str, tuple[Any, dict[str, str]]]:
    """Return each client with the ids of its calls."""
    return {
        PLAIN: (official(**how), {}),
        OFF: (ours(memory=memory, **how), {}),
        REMEMBERING: (ours(memory=memory, recall_limit=0, **how), USER),
        RECALLING: (ours(memory=memory, **how), USER),
    }


async def awaited(client: Any, ids: Mapping[str, str], *, stream: bool) -> float:
    """Return the seconds until an answer, or until the first chunk of one."""
    question = asked()
    started = perf_counter()
    answer = await client.chat.completions.create(**question, **ids, stream=stream)
    if stream:
        await anext(answer)
    taken = perf_counter() - started
    if stream:
        async for _ in answer:
            pass
    return taken


def blocking(client: Any, ids: Mapping[str, str], *, stream: bool) -> float:
    """Return that of a blocking client."""
    question = asked()
    started = perf_counter()
    answer = client.chat.completions.create(**question, **ids, stream=stream)
    if stream:
        next(answer)
    taken = perf_counter() - started
    if stream:
        list(answer)
    return taken


def in_turns(names: Sequence[str], time: Callable[[str, bool], float], rounds: int, calls: int) -> list[Waits]:
    """Time every arm call by call, each time in another order, since one leaves work to the next.

    Return the milliseconds of both kinds, a median per round; the first round warms up.
    """
    order = random.Random(1)
    found: list[Waits] = [defaultdict(list), defaultdict(list)]
    for number in range(rounds + 1):
        for stream, kept in enumerate(found):
            seconds = defaultdict[str, list[float]](list)
            for _ in range(calls):
                for name in order.sample(names, len(names)):
                    seconds[name].append(time(name, bool(stream)))
            for name in names if number else ():
                kept[name].append(statistics.median(seconds[name]) * 1e3)
    return found


def measure_awaited(how: Mapping[str, Any], rounds: int, calls: int) -> list[Waits]:
    """Measure the asynchronous client."""
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as directory, asyncio.Runner() as runner:
        memory = runner.run(Memory(MemorySettings(store=directory)).connect())
        runner.run(memory.add(known(), infer=False, **USER))
        clients = arms(openai.AsyncOpenAI, AsyncOpenAI, memory, how)

        def time(name: str, stream: bool) -> float:  # noqa: FBT001  as in_turns calls it
            taken = runner.run(awaited(*clients[name], stream=stream))
            runner.run(memory.flush())
            runner.run(memory.client.flush())
            return taken

        found = in_turns(list(clients), time, rounds, calls)
        for client, _ in clients.values():
            runner.run(client.close())
        runner.run(memory.close())
        return found


def measure_blocking(how: Mapping[str, Any], rounds: int, calls: int) -> list[Waits]:
    """Measure the blocking client."""
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as directory:
        memory = SyncMemory(MemorySettings(store=directory))
        memory.add(known(), infer=False, **USER)
        clients = arms(openai.OpenAI, OpenAI, memory, how)

        def time(name: str, stream: bool) -> float:  # noqa: FBT001  as in_turns calls it
            taken = blocking(*clients[name], stream=stream)
            memory.flush()
            memory.client.flush()
            return taken

        found = in_turns(list(clients), time, rounds, calls)
        for client, _ in clients.values():
            client.close()
        memory.close()
        return found


def figures(kind: str, answers: Waits, chunks: Waits) -> list[Figure]:
    """Return what each of ours takes beside the official client, and what it adds."""
    found: list[Figure] = []
    for what, waits in (("answer", answers), ("first chunk", chunks)):
        plain = Side(PLAIN, waits[PLAIN], "ms")
        for name in (OFF, REMEMBERING, RECALLING):
            most = MOST if what == "first chunk" and name != RECALLING else None
            found.append(longer(f"{kind}, {what}: {name}", Side("Perdure", waits[name], "ms"), plain, most))
            added = [ours - theirs for ours, theirs in zip(waits[name], waits[PLAIN], strict=True)]
            found.append(value(f"{kind}, {what}: {name} adds", Side("Perdure", added, "ms")))
    return found


async def measure(run: Run) -> list[Figure]:
    """Measure both clients."""
    rounds, calls = run.scaled((5, 30), (2, 5))
    with served() as how:
        progress("chat: awaited…")
        found = figures("AsyncOpenAI", *await asyncio.to_thread(measure_awaited, how, rounds, calls))
        progress("chat: blocking…")
        return found + figures("OpenAI", *await asyncio.to_thread(measure_blocking, how, rounds, calls))


if __name__ == "__main__":
    main(__doc__, [measure], needs_server=False)
