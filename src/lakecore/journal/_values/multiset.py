"""A hash of a set of rows that may repeat, in any order: equal sets, equal hashes.

Each row's hash (`row_hash`) is four little-endian 64-bit numbers; the hash is their sum,
lane by lane, modulo 2^64. A sum, where an exclusive or would lose rows that occur twice.
Rows can be taken out again, and hashes of parts add up to the hash of the whole.

It shows a row that was changed by accident or by a program. Whoever can choose rows freely
could find colliding sums; against them stands the Merkle tree, not this.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakecore.base import CorruptData
from lakecore.journal._values.row_hash import row_hashes
from lakecore.tlog import HASH_BYTES

_LANES: Final = 4
_LANE: Final = np.dtype("<u8")


class MultisetHash:
    """The running hash of a multiset of rows.

    `count` may be negative: the hash of a difference has more rows taken out than put in.
    """

    __slots__ = ("_count", "_lanes")

    def __init__(self, count: int = 0, lanes: npt.NDArray[np.uint64] | None = None) -> None:
        self._count = count
        self._lanes = np.zeros(_LANES, np.uint64) if lanes is None else lanes.astype(np.uint64)

    @property
    def count(self) -> int:
        """Rows put in, less rows taken out."""
        return self._count

    def add(self, rows: pa.Table) -> None:
        """Put rows in."""
        self._count += rows.num_rows
        self._lanes += _lanes_of(rows)

    def subtract(self, rows: pa.Table) -> None:
        """Take rows out."""
        self._count -= rows.num_rows
        self._lanes -= _lanes_of(rows)

    def merge(self, other: MultisetHash) -> None:
        """Put all rows of another hash in."""
        self._count += other._count
        self._lanes += other._lanes

    def copy(self) -> MultisetHash:
        """Another hash of the same rows."""
        return MultisetHash(self._count, self._lanes)

    def __add__(self, other: MultisetHash) -> MultisetHash:
        return MultisetHash(self._count + other._count, self._lanes + other._lanes)

    def __sub__(self, other: MultisetHash) -> MultisetHash:
        return MultisetHash(self._count - other._count, self._lanes - other._lanes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MultisetHash):
            return NotImplemented
        return self._count == other._count and bool((self._lanes == other._lanes).all())

    __hash__ = None  # type: ignore[assignment]  # it changes

    def hex(self) -> str:
        """The four lanes, little-endian, as 64 hexadecimal digits."""
        return self._lanes.astype(_LANE).tobytes().hex()

    def to_json(self) -> dict[str, object]:
        """``{"count": n, "sum": "<64 hexadecimal digits>"}``."""
        return {"count": self._count, "sum": self.hex()}

    @classmethod
    def from_json(cls, document: Any) -> MultisetHash:
        """The hash of `to_json`.

        Raises:
            CorruptData: it is not of that form.
        """
        try:
            count, digits = document["count"], document["sum"]
            data = bytes.fromhex(digits)
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptData("not a multiset hash", found=error) from error
        if type(count) is not int or len(data) != HASH_BYTES:
            raise CorruptData("not a multiset hash", expected="a count and 64 digits")
        return cls(count, np.frombuffer(data, _LANE))

    def __repr__(self) -> str:
        return f"MultisetHash(count={self._count}, sum={self.hex()})"


def multiset_hash(rows: pa.Table) -> MultisetHash:
    """The hash of a table's rows."""
    result = MultisetHash()
    result.add(rows)
    return result


def _lanes_of(rows: pa.Table) -> npt.NDArray[np.uint64]:
    lanes: npt.NDArray[np.uint64] = row_hashes(rows).view(_LANE).sum(axis=0, dtype=np.uint64)
    return lanes
