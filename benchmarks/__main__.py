"""Every benchmark in one run, on one server, with one table: `python -m benchmarks [--quick] [--json FILE]`."""

from benchmarks import (
    accept,
    chat,
    conversation,
    drain,
    journal,
    memory,
    outage,
    pipeline,
    replay,
    search,
    stalls,
    sync,
    turn,
    waits,
)
from benchmarks.cli import main

if __name__ == "__main__":
    writing = (drain, waits, accept, turn, conversation, journal, stalls, replay, outage)
    parts = (*writing, search, pipeline, memory, sync, chat)
    main(__doc__, [part.measure for part in parts])
