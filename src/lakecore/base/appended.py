"""A file in memory that only grows and is taken away in pieces."""

from __future__ import annotations

import io
from typing import Any


class AppendedFile(io.RawIOBase):
    """Takes what a writer appends until `drain`; it knows its position, as Parquet asks."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []
        self._size_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._held.append(piece)
        self._size_bytes += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size_bytes

    def drain(self) -> bytes:
        piece = b"".join(self._held)
        self._held.clear()
        return piece
