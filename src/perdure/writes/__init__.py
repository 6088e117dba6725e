"""The path of a buffered write: accept, lane, batch, store; receipts and errors come back."""

from perdure.writes.buffer import BufferedWriter
from perdure.writes.receipts import Receipt

__all__ = ["BufferedWriter", "Receipt"]
