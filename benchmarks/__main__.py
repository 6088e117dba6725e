"""Every benchmark in one run, on one server, with one table: `python -m benchmarks [--quick] [--json FILE]`."""

from benchmarks import accept, drain, memory, waits
from benchmarks.cli import main

if __name__ == "__main__":
    main(__doc__, [drain.measure, waits.measure, accept.measure, memory.measure])
