"""A patched data file has the rows that a file written whole has, and copies what it keeps."""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import Bug, CorruptData
from lakecore.journal import row_json
from lakecore.storage import Store, open_store
from lakecore.tables import TableSettings
from lakecore.tables import _thrift as thrift
from lakecore.tables._delta_log import AddFile
from lakecore.tables._footer import Footer, footer_bytes, footer_size
from lakecore.tables._patched import PatchedFile, layout_of
from lakecore.tables._write import FileWriter

SMALL = TableSettings(row_group_rows=10)
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("text", pa.string()),
        ("real", pa.float64()),
        ("flag", pa.bool_()),
        ("price", pa.decimal128(12, 2)),
        ("day", pa.date32()),
        ("seen", pa.timestamp("us", tz="UTC")),
        ("raw", pa.binary()),
        ("tags", pa.list_(pa.string())),
        ("at", pa.struct([("x", pa.float64()), ("y", pa.int32())])),
        ("pairs", pa.map_(pa.string(), pa.int64())),
    ]
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "id": st.integers(-(2**63), 2**63 - 1),
    "text": st.text(max_size=8),
    "real": st.floats(),
    "flag": st.booleans(),
    "price": st.decimals(Decimal("-1e9"), Decimal("1e9"), places=2),
    "day": st.dates(date(1, 1, 1), date(9999, 12, 31)),
    "seen": st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
    "raw": st.binary(max_size=8),
    "tags": st.lists(st.none() | st.text(max_size=3), max_size=3),
    "at": st.fixed_dictionaries({"x": st.none() | st.floats(), "y": st.integers(0, 9)}),
    "pairs": st.lists(st.tuples(st.text(max_size=2), st.integers(0, 9)), max_size=2),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def write(store: Store, rows: pa.Table, settings: TableSettings = SMALL) -> AddFile:
    """A data file of ours in folder ``t``."""
    writer = FileWriter(store, "t", rows.schema, settings, keys=["id"])
    writer.write(rows)
    added = writer.finish()
    assert added is not None
    return added


def numbers(count: int) -> pa.Table:
    """Rows without nulls."""
    rows = range(count)
    return pa.table(
        {"id": list(rows), "text": [f"t{n % 7}" for n in rows], "real": [n / 2 for n in rows]}
    )


def patched(
    store: Store, added: AddFile, rows: pa.Table, settings: TableSettings = SMALL, **options: Any
) -> PatchedFile:
    layout = layout_of(store, f"t/{added.path}", rows.schema, settings)
    assert layout is not None
    return PatchedFile(
        store, "t", f"t/{added.path}", layout, rows.schema, settings, keys=["id"], **options
    )


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_columns_of_any_groups(data: st.DataObject) -> None:
    """Rows, statistics and layout are those of a file that was written whole."""
    store = open_store("memory://")
    count = data.draw(st.integers(1, 35))
    rows = pa.table(
        [
            pa.array(
                data.draw(st.lists(st.none() | VALUES[field.name], min_size=count, max_size=count)),
                field.type,
            )
            for field in SCHEMA
        ],
        schema=SCHEMA,
    )
    added = write(store, rows)
    expected = rows
    writer = patched(store, added, rows, unbounded=["real"])
    for group in range(-(-count // SMALL.row_group_rows)):
        names = data.draw(st.lists(st.sampled_from(SCHEMA.names), unique=True, max_size=4))
        start = group * SMALL.row_group_rows
        size = min(SMALL.row_group_rows, count - start)
        # What replaces it: the same cells the other way round.
        new = rows.slice(start, size).select(names)
        new = new.take(pa.array(range(size - 1, -1, -1), pa.int64()))
        for name in names:
            at, column = SCHEMA.get_field_index(name), expected.column(name)
            whole = [*column.slice(0, start).chunks, *new.column(name).chunks]
            whole += column.slice(start + size).chunks
            expected = expected.set_column(
                at, SCHEMA.field(name), pa.chunked_array(whole, column.type)
            )
        if names:
            writer.replace([group], new)
        else:
            writer.keep([group])
    made = writer.finish()
    data = store.get(f"t/{made.path}")
    table = pq.read_table(io.BytesIO(data))
    assert table.schema.equals(SCHEMA)
    assert row_json(table).to_pylist() == row_json(expected).to_pylist()
    assert (made.size_bytes, made.rows) == (len(data), count)
    assert made.sha256 == hashlib.sha256(data).hexdigest()
    whole = write(store, expected)
    ours, theirs = json.loads(made.stats), json.loads(whole.stats)
    for side in ("minValues", "maxValues"):
        # What is not known of the part that was copied is not claimed.
        assert ours[side].pop("real", None) in (None, theirs[side].pop("real", None))
    assert ours == theirs
    # It can be patched again, and has the row groups that it had.
    layout = layout_of(store, f"t/{made.path}", SCHEMA, SMALL)
    other = layout_of(store, f"t/{whole.path}", SCHEMA, SMALL)
    assert layout is not None
    assert other is not None
    assert [group.rows for group in layout.groups] == [group.rows for group in other.groups]


def test_what_is_kept_is_copied_byte_by_byte(store: Store) -> None:
    """The bytes of each column that is not replaced are in the new file."""
    rows = numbers(25)
    added = write(store, rows)
    before = layout_of(store, f"t/{added.path}", rows.schema, SMALL)
    assert before is not None
    writer = patched(store, added, rows)
    writer.keep([0])
    writer.replace([1], pa.table({"real": [0.25] * 10}))
    writer.keep([2])
    made = writer.finish()
    after = layout_of(store, f"t/{made.path}", rows.schema, SMALL)
    assert after is not None
    old, new = store.get(f"t/{added.path}"), store.get(f"t/{made.path}")
    for number, (theirs, ours) in enumerate(zip(before.groups, after.groups, strict=True)):
        for was, now in zip(theirs.chunks, ours.chunks, strict=True):
            same = (
                old[was.start : was.start + was.size_bytes]
                == new[now.start : now.start + now.size_bytes]
            )
            assert same is not (number == 1 and was.path == (b"real",))


def test_bounds_of_a_column_that_may_hold_nan(store: Store) -> None:
    """What was copied of it may still hold one; what was replaced whole is looked at."""
    rows = pa.table({"id": [1, 2], "real": [1.0, float("nan")]})
    added = write(store, rows, TableSettings(row_group_rows=1))
    for groups, bounded in (([0], False), ([0, 1], True)):
        writer = patched(store, added, rows, TableSettings(row_group_rows=1), unbounded=["real"])
        for group in (0, 1):
            if group in groups:
                writer.replace([group], pa.table({"real": [5.0]}))
            else:
                writer.keep([group])
        stats = json.loads(writer.finish().stats)
        assert ("real" in stats["minValues"]) is bounded
        assert "id" in stats["minValues"]


def test_files_that_are_not_patched(store: Store) -> None:
    """Other columns, other types, another writer's, damaged ones: they are rewritten whole."""
    rows = numbers(5)
    added = write(store, rows)
    path = f"t/{added.path}"
    assert layout_of(store, path, rows.schema, SMALL) is not None
    wider = rows.schema.append(pa.field("more", pa.int64()))
    for schema in (wider, rows.schema.remove(1), rows.schema.set(0, pa.field("id", pa.int32()))):
        assert layout_of(store, path, schema, SMALL) is None
    options: tuple[dict[str, Any], ...] = (
        {"store_schema": True},
        {"write_page_index": True},
        {"version": "1.0"},
        {"sorting_columns": [pq.SortingColumn(0)]},
    )
    for number, option in enumerate(options):
        sink = io.BytesIO()
        pq.write_table(rows, sink, **{"store_schema": False, **option})
        store.create(f"t/other-{number}", sink.getvalue())
        assert layout_of(store, f"t/other-{number}", rows.schema, SMALL) is None, option
    data = store.get(path)
    size = footer_size(data)
    damaged = {
        "cut": data[:-20],
        "empty": b"",
        "footer": data[:-size] + bytes(size - 8) + data[-8:],
        "longer": data[:-8] + (1 << 30).to_bytes(4, "little") + b"PAR1",
    }
    for name, content in damaged.items():
        store.create(f"t/{name}", content)
        assert layout_of(store, f"t/{name}", rows.schema, SMALL) is None, name


def test_a_footer_longer_than_the_first_look(store: Store) -> None:
    """Its rest is fetched."""
    rows = pa.table({f"c{n}": [n, n + 1, n + 2] for n in range(300)})
    added = write(store, rows, TableSettings(row_group_rows=1))
    layout = layout_of(store, f"t/{added.path}", rows.schema, TableSettings(row_group_rows=1))
    assert layout is not None
    assert footer_size(store.get(f"t/{added.path}")) > 64 * 1024
    assert [group.rows for group in layout.groups] == [1, 1, 1]


def test_a_source_that_is_cut_off_leaves_nothing(store: Store) -> None:
    """What cannot be copied is an error, and no new file."""
    rows = numbers(25)
    added = write(store, rows)
    writer = patched(store, added, rows)
    path = Path(store.url.removeprefix("file://")) / "t" / added.path
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(CorruptData, match="cut off"):
        writer.keep([0, 1, 2])
    writer.abort()
    assert [found.path for found in store.list_objects("t/")] == [f"t/{added.path}"]


def test_rows_that_do_not_fit_are_a_bug(store: Store) -> None:
    """More or fewer rows than the groups have, and columns that are not there."""
    rows = numbers(25)
    added = write(store, rows)
    for groups, columns in (
        ([0], pa.table({"real": [1.0] * 9})),
        ([0], pa.table({"real": [1.0] * 11})),
        ([0], pa.table({"other": [1.0] * 10})),
    ):
        writer = patched(store, added, rows)
        with pytest.raises(Bug):
            writer.replace(groups, columns)
        writer.abort()


LEAVES = st.one_of(
    st.tuples(st.sampled_from([thrift.I16, thrift.I32, thrift.I64]), st.integers(-(2**62), 2**62)),
    st.tuples(st.just(thrift.BINARY), st.binary(max_size=200)),
    st.tuples(st.just(thrift.DOUBLE), st.binary(min_size=8, max_size=8)),
    st.tuples(st.just(thrift.BYTE), st.integers(0, 255)),
)


def fields(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Structs whose fields are of `inner`, or lists and maps of integers and texts."""
    lists = st.lists(st.integers(-5, 2**40), max_size=20)
    pairs = st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=3)), max_size=3)
    kinds = thrift.I32 << 4 | thrift.BINARY
    return st.dictionaries(
        st.integers(1, 40),
        inner
        | lists.map(lambda values: (thrift.LIST, (thrift.I64, values)))
        | pairs.map(lambda p: (thrift.MAP, (kinds if p else 0, p)))
        | st.just((thrift.TRUE, True))
        | st.just((thrift.FALSE, False)),
        max_size=6,
    )


STRUCTS = st.recursive(
    fields(LEAVES), lambda inner: fields(LEAVES | inner.map(lambda s: (thrift.STRUCT, s)))
)


@given(STRUCTS)
def test_structs_survive(struct: Any) -> None:
    """Whatever is written is read again, also fields that nobody knows."""
    assert thrift.read_struct(thrift.write_struct(struct)) == struct


@given(st.binary(max_size=60))
def test_any_bytes_are_a_struct_or_an_error(data: bytes) -> None:
    """No other exception, whatever a damaged file holds."""
    with suppress(CorruptData):
        Footer.parse(data)


def test_a_footer_of_the_library_survives(store: Store) -> None:
    """Read and written again, the footer has the same bytes."""
    data = store.get(f"t/{write(store, numbers(35)).path}")
    footer = footer_bytes(data)
    assert footer is not None
    assert thrift.write_struct(thrift.read_struct(footer)) == footer
    parsed = Footer.parse(footer)
    groups = [(group.rows, [(c, c.start) for c in group.chunks]) for group in parsed.groups]
    assert thrift.read_struct(parsed.with_groups(groups)) == thrift.read_struct(footer)
