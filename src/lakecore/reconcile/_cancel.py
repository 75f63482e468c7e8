"""Rows that are on both sides taken out in pairs, before the rest is hashed (SHA-256).

A foreign commit mostly copies rows: hashing all of them to find that out costs four times as
much as comparing them. Candidates for a pair are found by a quick hash, and nothing rests on it:
each pair is compared value by value, and only rows that are equal are taken out. Two that
differ under one quick hash, by chance or because somebody made them, stay, and so does a pair
that is missed; the exact multisets decide about all that is left. So the result is that of
hashing every row, whatever the quick hash is worth.

Equal means here what it means to `row_hashes`: equal values, or both null, or both NaN; 0.0 is
-0.0. Nested values are equal when their JSON texts are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import types as pat

from lakecore.journal import changed, json_text

if TYPE_CHECKING:
    import numpy.typing as npt

    Positions = npt.NDArray[np.intp]

_HASHED: Final = (
    pat.is_integer,
    pat.is_floating,
    pat.is_boolean,
    pat.is_string,
    pat.is_binary,
    pat.is_date32,
    pat.is_timestamp,
)


def pairing_columns(schema: pa.Schema) -> list[str]:
    """The columns that candidates are found by; none where there is no plain one."""
    return [item.name for item in schema if any(is_kind(item.type) for is_kind in _HASHED)]


def unpaired(before: pa.Table, after: pa.Table, columns: list[str]) -> tuple[pa.Table, pa.Table]:
    """The rows of both, of one schema, that no equal row of the other side stands against."""
    if not before.num_rows or not after.num_rows:
        return before, after
    old_hashes, new_hashes = (_hashes(rows, columns) for rows in (before, after))
    left = np.arange(len(old_hashes)), np.arange(len(new_hashes))
    for pairs_of in (_in_place, _anywhere):
        pairs = pairs_of(old_hashes[left[0]], new_hashes[left[1]])
        at_old, at_new = (side[found] for side, found in zip(left, pairs, strict=True))
        equal = _equal(before, after, at_old, at_new)
        left = _without(left[0], at_old[equal]), _without(left[1], at_new[equal])
    return before.take(pa.array(left[0])), after.take(pa.array(left[1]))


def _hashes(rows: pa.Table, columns: list[str]) -> npt.NDArray[np.uint64]:
    frame = pl.DataFrame([pl.Series(str(n), rows.column(c)) for n, c in enumerate(columns)])
    return frame.hash_rows().to_numpy()


def _in_place(old: Any, new: Any) -> tuple[Positions, Positions]:
    """Candidates in the same place on both sides: engines keep the order of rows, mostly."""
    count = min(len(old), len(new))
    found = np.flatnonzero(old[:count] == new[:count])
    return found, found


def _anywhere(old: Any, new: Any) -> tuple[Positions, Positions]:
    """Candidates anywhere: the first with a hash against the first, the second the second."""
    frames = [pl.DataFrame({"hash": side}).with_row_index("row") for side in (old, new)]
    # Most of what is left has no other: number what has, which is the slow part.
    shared = frames[0].join(frames[1], on="hash", how="semi").select("hash")
    sides = [
        frame.join(shared, on="hash", how="semi", maintain_order="left").with_columns(
            pl.int_range(pl.len()).over("hash").alias("number")
        )
        for frame in frames
    ]
    both = sides[0].join(sides[1], on=["hash", "number"], how="inner", suffix="_new")
    return both["row"].to_numpy().astype(np.intp), both["row_new"].to_numpy().astype(np.intp)


def _equal(
    before: pa.Table, after: pa.Table, at_old: Positions, at_new: Positions
) -> npt.NDArray[np.bool_]:
    """Which of the pairs are equal in every column."""
    equal = np.ones(len(at_old), np.bool_)
    if not len(at_old):
        return equal
    for name in before.schema.names:
        old, new = taken(before.column(name), at_old), taken(after.column(name), at_new)
        if pat.is_nested(old.type):
            old, new = json_text(old), json_text(new)
        equal &= ~np.asarray(changed(old, new), dtype=np.bool_)
    return equal


def _without(positions: Positions, others: Positions) -> Positions:
    """`positions`, which ascend, without `others`."""
    if not len(others):
        return positions
    gone = np.zeros(int(positions[-1]) + 1, np.bool_)
    gone[others] = True
    return positions[~gone[positions]]


def taken(column: pa.ChunkedArray, positions: Positions) -> pa.ChunkedArray:
    """`column` at `positions`; as it is where these are all of it, in order."""
    count = len(positions)
    if (
        count
        and positions[0] + count - 1 == positions[-1]
        and bool((np.diff(positions) == 1).all())
    ):
        return column.slice(int(positions[0]), count)
    return column.take(pa.array(positions))
