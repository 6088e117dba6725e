"""What takes long to make: made when it is first asked for, once, whichever thread asks."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Gives what `make` returns; other threads wait while it is made. Where that fails, it is tried anew."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = Lock()
        self.made: T | None = None
        """It, once it is there."""

    def __call__(self) -> T:
        """Return it."""
        with self._lock:
            if self.made is None:
                self.made = self._make()
            return self.made
