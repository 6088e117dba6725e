"""Where, when and how much of it work runs: event loops and processes, threads, places, deadlines, turns."""
