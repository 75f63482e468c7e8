"""Leaf hashes and canonical lines, recomputed from sealed events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from lakecore.base import CorruptData
from lakecore.journal._events.hashing import hash_ahead

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.tlog import Hashes

Result = TypeVar("Result")

Sealed = Callable[[int, int], "Iterator[pa.Table]"]
"""``sealed(first, end)``: the sealed events from one `seq` up to but without another."""
Leaves = Callable[[int, int], "Hashes"]
"""``leaves(first, end)``: their leaf hashes, shape (n, 32)."""
Lines = Callable[[int, int], "list[bytes]"]
"""``lines(first, end)``: their canonical lines."""


def leaf_batches(sealed: Sealed, first: int, end: int) -> Iterator[Hashes]:
    """The leaf hashes of sealed events, in order, some at a time.

    Raises:
        CorruptData: an event is missing, is twice there, or is at another's place.
    """
    for table, hashes in hash_ahead(_in_order(sealed(first, end), first, end)):
        del table
        yield hashes


def sealed_leaves(sealed: Sealed) -> Leaves:
    """Leaf hashes of any range, always from the segments."""

    def leaves(first: int, end: int) -> Hashes:
        import numpy as np

        parts = list(leaf_batches(sealed, first, end))
        return np.concatenate(parts) if parts else np.empty((0, 32), np.uint8)

    return leaves


def sealed_lines(sealed: Sealed) -> Lines:
    """Canonical lines of any range, always from the segments."""

    def lines(first: int, end: int) -> list[bytes]:
        from lakecore.journal._events.leaf import leaf_lines

        tables = _in_order(sealed(first, end), first, end)
        return [line for table in tables for line in leaf_lines(table).to_pylist()]

    return lines


def either(
    indexed: Callable[[int, int], Result] | None, recomputed: Callable[[int, int], Result]
) -> Callable[[int, int], Result]:
    """What an index says of a range, or what the segments give where it says nothing."""
    if indexed is None:
        return recomputed

    def call(first: int, end: int) -> Result:
        try:
            return indexed(first, end)
        except CorruptData:
            return recomputed(first, end)

    return call


def _in_order(tables: Iterator[pa.Table], first: int, end: int) -> Iterator[pa.Table]:
    import numpy as np

    at = first
    for table in tables:
        seq = table.column("seq").to_numpy()
        if not np.array_equal(seq, np.arange(at, at + len(seq))):
            raise CorruptData(
                "sealed events are not in a row", expected=f"seq {at} and on", found=seq[:3]
            )
        at += len(seq)
        yield table
    if at != end:
        raise CorruptData("sealed events are missing", expected=f"seq {first} to {end}", found=at)
