"""Writes that failed for good: the bounded list that the application reads."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import overload

from perdure.records import WriteError


class WriteErrors(Sequence[WriteError]):
    """The newest failed writes, newest last; `dropped` counts the older ones that were let go."""

    def __init__(self, limit: int) -> None:
        self._kept: deque[WriteError] = deque(maxlen=limit)
        self.dropped = 0

    @overload
    def __getitem__(self, index: int) -> WriteError: ...
    @overload
    def __getitem__(self, index: slice) -> list[WriteError]: ...
    def __getitem__(self, index: int | slice) -> WriteError | list[WriteError]:
        return list(self._kept)[index] if isinstance(index, slice) else self._kept[index]

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[WriteError]:
        return iter(tuple(self._kept))

    def __repr__(self) -> str:
        return f"<WriteErrors {len(self)} kept, {self.dropped} dropped>"

    def add(self, error: WriteError) -> None:
        """Keep an error, letting the oldest go when there are too many."""
        self.dropped += len(self._kept) == self._kept.maxlen
        self._kept.append(error)

    def clear(self) -> None:
        """Forget the errors kept and the count of those dropped."""
        self._kept.clear()
        self.dropped = 0
