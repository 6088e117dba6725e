"""Dead letters, as every journal gives them."""

from perdure.errors import NotFoundError
from perdure.records import DeadLetter


def existing(seq: int, letter: DeadLetter | None) -> DeadLetter:
    """Return the dead letter of a number; raises NotFoundError when there is none."""
    if letter is None:
        raise NotFoundError(
            f"There is no dead letter {seq}.",
            hint="`perdure dead-letters list` shows those there are, and so does dead_letters.list().",
        )
    return letter
