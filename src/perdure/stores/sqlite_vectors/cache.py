"""Which owners' records are in memory: loaded when first searched, followed as they change, let go of when idle."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Event, Lock
from typing import NamedTuple

from perdure.errors import StoreUnavailableError
from perdure.stores.sqlite_vectors.corpus import Corpus, Row


class Change(NamedTuple):
    """What one write did to one owner's records."""

    removed: Sequence[str]
    added: Sequence[Row]

    def apply(self, corpus: Corpus) -> None:
        """Do it in memory; once more changes nothing."""
        corpus.remove(self.removed)
        corpus.add(self.added)


class Place:
    """Where one owner's records stand, or will."""

    def __init__(self) -> None:
        self.corpus: Corpus | None = None
        self.ended = Event()
        self._lock = Lock()
        self._missed: list[Change] = []

    def tell(self, change: Change) -> None:
        """Have a change made, now or when the records are loaded."""
        with self._lock:
            if self.corpus is None:
                self._missed.append(change)
            else:
                change.apply(self.corpus)

    def fill(self, corpus: Corpus) -> None:
        """Make the changes that came while the records were loaded, some of which they may have already."""
        with self._lock:
            for change in self._missed:
                change.apply(corpus)
            self.corpus = corpus


class Cache:
    """Corpora by owner, of at most so many bytes together; one alone may be larger.

    A place is registered before its records are read from the file, and a change is told after it is in the file:
    whatever the reading misses is told.
    """

    def __init__(self, load: Callable[[str], Corpus], max_bytes: int) -> None:
        self._load = load
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._places: OrderedDict[str, Place] = OrderedDict()
        self._sizes: dict[str, int] = {}

    def get(self, owner: str) -> Corpus:
        """Return an owner's records, loading them where need be; several callers load once."""
        with self._lock:
            place = self._places.get(owner)
            mine = place is None
            if place is None:
                place = self._places[owner] = Place()
            self._places.move_to_end(owner)
        if mine:
            self._fill(owner, place)
        elif place.corpus is None:
            place.ended.wait()
        if place.corpus is None:
            raise StoreUnavailableError("The records could not be loaded.", relief="again")
        return place.corpus

    def tell(self, owner: str, change: Change) -> None:
        """Follow a change that is in the file now."""
        with self._lock:
            place = self._places.get(owner)
        if place is not None:
            place.tell(change)

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._places.clear()
            self._sizes.clear()

    def _fill(self, owner: str, place: Place) -> None:
        try:
            place.fill(self._load(owner))
        except BaseException:
            with self._lock:
                self._places.pop(owner, None)
            raise
        finally:
            place.ended.set()
        self._make_room(owner, place)

    def _make_room(self, owner: str, place: Place) -> None:
        size = place.corpus.nbytes if place.corpus is not None else 0
        with self._lock:
            self._sizes[owner] = size
            for other in list(self._places):
                if sum(self._sizes.values()) <= self._max_bytes:
                    break
                if other != owner and other in self._sizes:
                    del self._places[other], self._sizes[other]
