"""The names of Perdure's loggers: the one place to look when you route or silence them."""

import logging

WRITES = logging.getLogger("perdure.writes")
"""Retries, failed writes, crashed and restarted drains, what close left behind. Never a parameter's value."""
STORES = logging.getLogger("perdure.stores")
"""Connections made and lost, texts that cannot be composed."""
