"""How the program ends."""

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130


class Interrupted(Exception):  # noqa: N818  it is no error
    """Somebody pressed Ctrl-C; its text says what became of what was begun."""
