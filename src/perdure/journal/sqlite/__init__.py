"""The durable journal: accepted writes in an SQLite file, kept by one thread."""

from perdure.journal.sqlite.journal import SqliteJournal

__all__ = ["SqliteJournal"]
