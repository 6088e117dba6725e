"""Queues of accepted writes behind the Journal protocol: each decides what *accepted* means."""
