"""Vectors and words in one SQLite file, searched in memory: the vector store for a laptop, and for tests."""

from perdure.stores.sqlite_vectors.store import SqliteVectorStore

__all__ = ["SqliteVectorStore"]
