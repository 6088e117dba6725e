"""A program that writes until it is killed, and says on stdout what it was told is accepted, a line each.

Its one argument is `Options` as JSON.

    opening             it is about to connect
    open                it is connected
    kept KEY NUMBER     submit has returned for this number, which is appended to the list on its key's node
    poison KEY NUMBER   submit has returned for a statement that no store can run
    refused KEY ERROR   submit raised
    closed N            it has closed by itself, after `until` numbers, with N writes uncommitted

Each key has one writer, which waits for its submit to return before the next: a loss, a repetition and a wrong order
all show in the list. Numbers begin at a million times `life`, so that those of later processes are higher.
"""

import asyncio
import json
import os
import random
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from faulty_store import Faults, FaultyStore

from perdure import MemoryClient, MemorySettings
from perdure.errors import JournalError
from perdure.protocols import GraphStore

KEYS = ("a", "b", "c", None)
NUMBERS_IN_A_LIFE = 1_000_000


@dataclass(frozen=True)
class Options:
    """Which graph to write to, and how."""

    data_dir: Path
    """Where the journal is, and the embedded store when there is no `uri`."""
    uri: str = ""
    password: str = ""
    label: str = "Log"
    durability: str = "os"
    life: int = 0
    poison: float = 0.0
    """Share of statements that no store can run."""
    max_pending: int = 20_000
    lanes: int = 8
    linger: float = 0.005
    pad: int = 0
    """Bytes to add to each write."""
    until: int = 0
    """How many numbers to write before closing; 0 goes on for ever."""
    tries: int = 1
    """How often each writer may be refused before it ends."""
    faults: Faults = field(default_factory=Faults)

    def as_argument(self) -> str:
        """Return these options as the program takes them."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_argument(cls, text: str) -> Self:
        """Return what `as_argument` was made of."""
        given = json.loads(text)
        return cls(**{**given, "data_dir": Path(given["data_dir"]), "faults": Faults(**given["faults"])})

    def settings(self) -> MemorySettings:
        """Return the settings of a client with these options; the store is wrapped also when it has no faults."""
        memory = {
            "write_mode": "buffered",
            "durability": self.durability,
            "max_pending": self.max_pending,
            "lanes": self.lanes,
            "linger_seconds": self.linger,
        }
        return MemorySettings(store=FaultyStore(self._store(), self.faults), data_dir=self.data_dir, memory=memory)

    def _store(self) -> GraphStore:
        if not self.uri:
            from perdure.stores.embedded import EmbeddedGraphStore  # noqa: PLC0415  loads a large library

            return EmbeddedGraphStore(self.data_dir)
        from perdure.stores.neo4j import Neo4jGraphStore  # noqa: PLC0415  an optional extra

        return Neo4jGraphStore(self.uri, password=self.password or None)


class Writers:
    """One writer for each key, and the numbers they share."""

    def __init__(self, client: MemoryClient, options: Options) -> None:
        self._client = client
        self._options = options
        self._next = options.life * NUMBERS_IN_A_LIFE
        self._append = f"MERGE (n:{options.label} {{id: $id}}) SET n.log = coalesce(n.log, []) + $v"
        self._pad = {"pad": "x" * options.pad} if options.pad else {}
        if options.pad:
            self._append += ", n.pad = $pad"

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for key in KEYS:
                tasks.create_task(self._write(key))

    async def _write(self, key: str | None) -> None:
        refused = 0
        while refused < self._options.tries and not self._are_done():
            number, self._next = self._next, self._next + 1
            try:
                await self._submit(key, number)
            except JournalError as error:
                refused += 1
                say("refused", name_of(key), type(error).__name__)

    def _are_done(self) -> bool:
        until = self._options.until
        return until > 0 and self._next >= self._options.life * NUMBERS_IN_A_LIFE + until

    async def _submit(self, key: str | None, number: int) -> None:
        poisonous = random.random() < self._options.poison
        statement = "NO STORE {id: $id} RUNS $v" if poisonous else self._append
        parameters = {"id": name_of(key), "v": number, **({} if poisonous else self._pad)}
        await self._client.buffered.submit(statement, parameters, key=key)
        say("poison" if poisonous else "kept", name_of(key), number)


def name_of(key: str | None) -> str:
    """Return the id of a key's node."""
    return key or "-"


def say(*words: object) -> None:
    """Tell the parent, past every buffer of ours."""
    os.write(1, f"{' '.join(map(str, words))}\n".encode())


async def main(options: Options) -> None:
    """Write until killed, refused, or done."""
    say("opening")
    async with MemoryClient(options.settings()) as client:
        say("open")
        await Writers(client, options).run()
        report = await client.close()
    say("closed", report.unsettled)


if __name__ == "__main__":
    asyncio.run(main(Options.from_argument(sys.argv[1])))
