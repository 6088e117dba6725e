"""One Neo4j for all processes of a test run: the first that asks starts it, and ends it when the others are done."""

import fcntl
import json
from pathlib import Path

from neo4j_server import Neo4jServer, ServerUnavailable, find_server

__all__ = ["ServerUnavailable", "Share"]

WHAT_OTHERS_NEED = ("uri", "username", "password", "version", "source")


class Share:
    """A process's share in the server of a run; the processes find each other in a directory.

    Raises ServerUnavailable where there is no server, and none can be started.
    """

    def __init__(self, directory: Path) -> None:
        self._present = (directory / "neo4j.users").open("a")
        fcntl.flock(self._present, fcntl.LOCK_SH)
        self._note = directory / "neo4j.json"
        self._started: Neo4jServer | None = None
        with (directory / "neo4j.lock").open("a") as one_at_a_time:
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            self.server = self._found() if self._note.exists() else self._start()

    def _found(self) -> Neo4jServer:
        return Neo4jServer(**json.loads(self._note.read_text()))

    def _start(self) -> Neo4jServer:
        self._started = server = find_server()
        self._note.write_text(json.dumps({name: getattr(server, name) for name in WHAT_OTHERS_NEED}))
        return server

    def leave(self) -> None:
        """Let the server go; who started it waits for all others to do so, and ends it."""
        if self._started is not None:
            fcntl.flock(self._present, fcntl.LOCK_EX)
            self._note.unlink()
            self._started.close()
        self._present.close()
