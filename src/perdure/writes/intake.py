"""What happens to a write before it is accepted: everything that can be wrong with it is said here, before any I/O."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

from perdure.cypher import bind
from perdure.errors import ConflictError, InputError, shorten
from perdure.records import DeadLetter
from perdure.values import size_of, snapshot
from perdure.writes.receipts import Receipt

OVERHEAD = 64
REMEMBERED = 10_000


class Write(NamedTuple):
    """A checked statement with a snapshot of its parameters, its ordering key and its size in bytes."""

    statement: str
    parameters: dict[str, Any]
    key: str | None
    size: int
    failures: int = 0
    replacing: int | None = None
    """The dead letter it was before."""
    idempotency_key: str | None = None


def check(
    statement: object, parameters: Mapping[str, Any] | None, key: object, idempotency_key: str | None, max_bytes: int
) -> Write:
    """Return the write, or raise InputError with what is wrong with it."""
    text, copy, size = bind(statement, parameters)
    if key is not None and (not isinstance(key, str) or not key.strip()):
        raise InputError(f"key should be text that is not blank, or None; it is {shorten(repr(key), 40)}.")
    if not is_text(text) or not is_text(key or ""):
        raise InputError("The statement or its key holds half of a surrogate pair, which is not text.")
    return Write(text, copy, key, _fitting(size + OVERHEAD, max_bytes), idempotency_key=idempotency_key)


def own(statement: str, parameters: dict[str, Any], key: str, max_bytes: int) -> Write:
    """Return a write of typed memory, whose values need no copy: they were checked, and nobody else can change them.

    Raises InputError for half of a surrogate pair, which the first check lets through.
    """
    try:
        size = size_of(parameters)
    except ValueError:
        bind(statement, parameters)  # which says where it is
        raise
    return Write(statement, parameters, key, _fitting(len(statement) + size + OVERHEAD, max_bytes))


def again(letter: DeadLetter, max_bytes: int) -> Write:
    """Return a dead letter as a new write, of the size it had: the two checks above do not measure alike.

    Raises InputError when `max_bytes` is less by now.
    """
    copy, _ = snapshot(letter.parameters)
    return Write(letter.query, copy, letter.key, _fitting(letter.size, max_bytes), letter.attempts, letter.seq)


def _fitting(size: int, max_bytes: int) -> int:
    if size > max_bytes:
        raise InputError(f"The write has {size} bytes, and max_pending_bytes is {max_bytes}.", hint="Split it.")
    return size


def is_text(text: str) -> bool:
    """Return whether a text can be written down as bytes."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Repeats:
    """Receipts by idempotency key: the same write submitted again within this process gets its first receipt.

    The newest 10,000 keys are remembered; a write that failed may be submitted again under its key.
    """

    def __init__(self) -> None:
        self._receipts: OrderedDict[str, Receipt] = OrderedDict()

    def find(self, write: Write) -> Receipt | None:
        """Return the earlier receipt for a write's key, if there is one.

        Raises InputError for a blank key and ConflictError when the key came with another write before.
        """
        idempotency_key = write.idempotency_key
        if idempotency_key is None:
            return None
        if not isinstance(idempotency_key, str) or not idempotency_key.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError("idempotency_key should be text that is not blank, or None.")
        receipt = self._receipts.get(idempotency_key)
        if receipt is None or receipt.state == "failed":
            return None
        if repr((receipt.entry.statement, receipt.entry.parameters)) != repr((write.statement, write.parameters)):
            raise ConflictError(f"idempotency_key {shorten(idempotency_key)!r} belongs to another write already.")
        return receipt

    def remember(self, write: Write, receipt: Receipt) -> None:
        """Keep a receipt under its write's key."""
        if write.idempotency_key is not None:
            self._receipts[write.idempotency_key] = receipt
            self._receipts.move_to_end(write.idempotency_key)
            if len(self._receipts) > REMEMBERED:
                self._receipts.popitem(last=False)
