"""Rows taken out in pairs leave the same difference, whatever the quick hash is worth."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.reconcile import _cancel
from lakecore.reconcile._cancel import pairing_columns, unpaired
from lakecore.reconcile._unkeyed import RowSets

SCHEMA = pa.schema(
    [
        ("n", pa.int64()),
        ("x", pa.float64()),
        ("t", pa.string()),
        ("l", pa.list_(pa.float64())),
    ]
)
FLOATS = st.sampled_from([0.0, -0.0, 1.0, float("nan"), None])
ROW = st.fixed_dictionaries(
    {
        "n": st.sampled_from([0, 1, None]),
        "x": FLOATS,
        "t": st.sampled_from(["a", "b", None]),
        "l": st.none() | st.lists(FLOATS, max_size=1),
    }
)
ROWS = st.lists(ROW, max_size=12)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def difference(before: pa.Table, after: pa.Table) -> tuple[tuple[int, str], ...]:
    """Rows that only one side has, by the hashes of all: count and hash of each side."""
    with TemporaryDirectory() as folder:
        sets = RowSets(1, Path(folder))
        sets.write("removed", [before])
        sets.write("added", [after])
        return tuple((side.count, side.hex()) for side in sets.difference())


QUICK = {
    "as it is": None,
    "the same for every row": lambda rows, _: np.zeros(rows.num_rows, np.uint64),
    "of one column": lambda rows, _: np.array(
        [n or 7 for n in rows.column("n").to_pylist()], np.uint64
    ),
    "random": lambda rows, _: np.random.default_rng(1).integers(0, 3, rows.num_rows, np.uint64),
}


@pytest.mark.parametrize("quick", QUICK)
@settings(max_examples=50, deadline=None)
@given(before=ROWS, after=ROWS, shared=ROWS, order=st.randoms())
def test_the_difference_is_the_same(
    quick: str,
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
    shared: list[dict[str, Any]],
    order: Any,
) -> None:
    """As of hashing every row: for rows that repeat, moved, and hashes that collide or miss."""
    old, new = [*before, *shared], [*shared, *after]
    order.shuffle(new)
    with pytest.MonkeyPatch.context() as patch:
        if (chosen := QUICK[quick]) is not None:
            patch.setattr(_cancel, "_hashes", chosen)
        left = unpaired(table(old), table(new), pairing_columns(SCHEMA))
    assert difference(*left) == difference(table(old), table(new))
    assert len(old) - left[0].num_rows == len(new) - left[1].num_rows


def test_equal_rows_are_gone() -> None:
    """Copied rows cancel, in place and moved, each as often as it is on both sides."""
    rows = [{"n": n % 50, "x": float("nan"), "t": None, "l": [0.5]} for n in range(200)]
    before, after = table(rows), table([rows[199], *rows[:199]])
    assert [side.num_rows for side in unpaired(before, after, ["n", "x", "t"])] == [0, 0]
    more = pa.concat_tables([after, table(rows[:1])])
    left = unpaired(before, more, ["n", "x", "t"])
    assert [side.num_rows for side in left] == [0, 1]
    assert left[1].column("n").to_pylist() == [0]


def test_forged_candidates_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of one quick hash that differ anywhere, also in a column that is not hashed."""
    monkeypatch.setattr(_cancel, "_hashes", QUICK["the same for every row"])
    row = {"n": 1, "x": 1.0, "t": "a", "l": [1.0]}
    for name, value in (("n", 2), ("x", 1.5), ("t", "A"), ("l", [1.0, None]), ("t", None)):
        left = unpaired(table([row]), table([{**row, name: value}]), pairing_columns(SCHEMA))
        assert [side.num_rows for side in left] == [1, 1], name
