"""When something is true, and since when it is known."""

from datetime import datetime

from perdure.errors import InputError
from perdure.graph import checks
from perdure.models import Timed


def interval(valid_from: datetime | None, valid_until: datetime | None) -> tuple[datetime | None, datetime | None]:
    """Return both ends in UTC; raises InputError when the end is not behind the beginning."""
    start, end = checks.moment("valid_from", valid_from), checks.moment("valid_until", valid_until)
    if start is not None and end is not None and end <= start:
        raise InputError(f"valid_until = {end} is not after valid_from = {start}.")
    return start, end


def holds(timed: Timed, as_of: datetime | None, *, include_expired: bool) -> bool:
    """Return whether something is to be shown.

    Without `as_of`: unless it is expired. With it: when it was true at that moment, as far as is known now.
    """
    if as_of is None:
        return include_expired or timed.expired_at is None
    begun = timed.valid_from is None or timed.valid_from <= as_of
    return begun and (timed.valid_until is None or timed.valid_until > as_of)
