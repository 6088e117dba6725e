"""Where code that is not ours is called: a model's library, a user's own function."""

from collections.abc import Generator
from contextlib import contextmanager

from perdure.errors import PerdureError, ProviderError, shorten


@contextmanager
def answering(who: str) -> Generator[None]:
    """Raise what goes wrong inside as a ProviderError of `who`, if it is not an error of ours already."""
    try:
        yield
    except PerdureError:
        raise
    except Exception as error:
        raise ProviderError(f"The {who} failed: {type(error).__name__}: {shorten(str(error), 200)}") from error
