"""Statistics never hide a row: whatever a file holds, a filter on it still finds it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.tables.conftest import Lake, Ref

from lakecore.storage import open_store
from lakecore.tables import TableSettings
from lakecore.tables._keys import candidate_files, key_frame
from lakecore.tables._prune import files_that_may_match
from lakecore.tables._sql import Condition
from lakecore.tables._statistics import round_up_text, safe_bounds

SMALL_FILES = TableSettings(file_rows=3, row_group_rows=2)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=3).map(lambda t: t * 20) | st.sampled_from(
    [
        "",
        "\U0010ffff" * 40,
        "\ud7ff" * 33,
        "a" * 31,
        "a" * 32,
        "a" * 33,
        "a" * 32 + "b",
        "x" * 9_000,
    ]
)
EPOCH = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)
MOMENTS = st.datetimes()
VALUES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "text": (pa.string(), TEXTS),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "int8": (pa.int8(), st.integers(-128, 127)),
    "float64": (pa.float64(), st.floats(width=64)),
    "float32": (pa.float32(), st.floats(width=32)),
    "date": (pa.date32(), st.dates()),
    "zoned": (pa.timestamp("us", tz="UTC"), MOMENTS),
    "zoneless": (pa.timestamp("us"), MOMENTS),
    "decimal": (pa.decimal128(10, 3), st.decimals(-(10**6), 10**6, places=3)),
    "wide": (pa.decimal128(38, 2), st.decimals(-(10**30), 10**30, places=2)),
    "bool": (pa.bool_(), st.booleans()),
}


def _lake(values: list[Any], kind: pa.DataType, folder: Path) -> Lake:
    lake = Lake(open_store("memory://"), dataset=Ref(key=()), settings=SMALL_FILES)
    rows = pa.table({"v": pa.array(values, kind), "n": list(range(len(values)))})
    lake.append(rows)
    return lake


@pytest.mark.parametrize("name", VALUES)
def test_filters_find_every_row(name: str, tmp_path: Path) -> None:
    """Equality with each value, through DataFusion's own pruning, finds the rows that have it."""
    from datafusion import SessionContext, col, lit

    kind, strategy = VALUES[name]

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.none() | strategy, min_size=1, max_size=9))
    def check(values: list[Any]) -> None:
        lake = _lake(values, kind, tmp_path)
        table = lake.arrow()
        context = SessionContext()
        view = lake.tables.open(lake.dataset)
        assert view is not None
        context.register_table("t", view.delta)
        column = table.column("v").combine_chunks()
        for row, scalar in enumerate(column):
            if not scalar.is_valid or (pa.types.is_floating(kind) and np.isnan(scalar.as_py())):
                continue
            for found in (
                context.table("t").filter(col("v") == lit(scalar)),
                context.table("t").filter((col("v") >= lit(scalar)) & (col("v") <= lit(scalar))),
            ):
                numbers = found.select("n").to_arrow_table().column("n").to_pylist()
                assert table.column("n")[row].as_py() in numbers
        assert context.sql("select * from t where v is null").count() == column.null_count
        lake.store.close()

    check()


@pytest.mark.parametrize("name", ["text", "int64", "date", "zoned", "zoneless", "decimal", "wide"])
def test_own_pruning_keeps_every_file_with_a_hit(name: str, tmp_path: Path) -> None:
    """The files that a key or a condition is looked for in include all that have it."""
    kind, strategy = VALUES[name]

    @settings(max_examples=15, deadline=None)
    @given(st.lists(strategy, min_size=4, max_size=9), st.data())
    def check(values: list[Any], data: st.DataObject) -> None:
        lake = _lake(sorted(values), kind, tmp_path)
        state = lake.tables._states.current(lake.dataset)
        assert state is not None
        wanted = data.draw(st.sampled_from(values))
        rows = pa.table({"v": pa.array([wanted], kind)})
        files = {file.path for file in candidate_files(state, ("v",), key_frame(rows, ("v",)))}
        assert {path for path, held in _held(lake) if wanted in held} <= files
        if name in ("int64", "date"):
            text = f"v = {wanted}" if name == "int64" else f"v = date '{wanted.isoformat()}'"
            chosen = files_that_may_match(state, Condition(text, state.schema))
            assert {path for path, held in _held(lake) if wanted in held} <= {
                file.path for file in chosen
            }
        lake.store.close()

    check()


def _held(lake: Lake) -> list[tuple[str, list[Any]]]:
    import pyarrow.parquet as pq

    found = []
    for path in lake.files():
        local = lake.store.local_path(f"{lake.dataset.location}/{path}")
        values = pq.read_table(local).column("v").to_pylist()
        found.append(
            (path, [v.replace(tzinfo=None) if isinstance(v, datetime) else v for v in values])
        )
    return found


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("v = 5", 1),
        ("v < 3", 1),
        ("v between 3 and 6", 2),
        ("5 <= v", 3),
        ("v = 1 or v = 11", 2),
        ("v in (1, 2)", 1),
        ("v + 1 = 2", 4),
        ("v > 100", 0),
        ("v is not null", 4),
        ("n = 0 and (v = 0 or v = 11)", 1),
    ],
)
def test_conditions_are_pruned(where: str, expected: int, tmp_path: Path) -> None:
    """Of four files with three values each, only those whose bounds allow it are read."""
    lake = _lake(list(range(12)), pa.int64(), tmp_path)
    state = lake.tables._states.current(lake.dataset)
    assert state is not None
    assert len(files_that_may_match(state, Condition(where, state.schema))) == expected


def test_statistics_of_a_file(tmp_path: Path) -> None:
    """What a commit says about a file: safe bounds only."""
    lake = Lake(open_store(str(tmp_path)), dataset=Ref(key=()))
    lake.append(
        pa.table(
            {
                "text": ["b" * 40, "a", None],
                "nan": [1.0, float("nan"), 2.0],
                "infinite": [1.0, float("inf"), None],
                "zero": [0.0, 0.0, None],
                "at": pa.array([EPOCH - timedelta(microseconds=1)] * 3, pa.timestamp("us", "UTC")),
                "day": [date(1, 1, 1), date(9999, 12, 31), None],
                "exact": pa.array([Decimal("1.5"), Decimal("2"), None], pa.decimal128(5, 1)),
                "wide": pa.array([Decimal("1.5"), Decimal("2"), None], pa.decimal128(38, 1)),
                "list": [[1], [2], None],
                "flag": [True, False, None],
                "none": pa.array([None, None, None], pa.int64()),
            }
        )
    )
    stats = json.loads(lake.log(0)[-1]["add"]["stats"])
    assert stats["numRecords"] == 3
    assert stats["minValues"] == {
        "text": "a",
        "zero": -0.0,
        "at": "1969-12-31T23:59:59.999Z",
        "day": "0001-01-01",
        "exact": 1.5,
    }
    assert stats["maxValues"] == {
        "text": "b" * 31 + "c",
        "zero": 0.0,
        "at": "1970-01-01T00:00:00.000Z",
        "day": "9999-12-31",
        "exact": 2,
    }
    assert stats["nullCount"]["none"] == 3
    assert "list" not in stats["nullCount"]


@given(st.text(max_size=80))
def test_rounded_text_is_an_upper_bound(text: str) -> None:
    """In code point order, which is UTF-8's byte order; at most 32 characters."""
    bound = round_up_text(text)
    assert bound is None or (text <= bound and len(bound) <= 32)


@given(st.integers(-(2**60), 2**60), st.integers(0, 2**40))
def test_timestamp_bounds_are_not_narrower(low: int, width: int) -> None:
    """Milliseconds, rounded outwards; outside of the years 1 to 9999 there is no bound."""
    first, last = safe_bounds(low, low + width, pa.timestamp("us"))
    if first is None:
        return
    assert (datetime.fromisoformat(first) - EPOCH) // timedelta(microseconds=1) <= low
    assert (datetime.fromisoformat(last) - EPOCH) // timedelta(microseconds=1) >= low + width
