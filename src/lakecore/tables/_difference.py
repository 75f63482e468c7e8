"""Which rows and columns differ between two sets of a table's files, in bounded memory.

Files that both have are not read. The rows of the others meet by key, without a key by
their whole content; where they are many, they are first spilled to disk, split by a hash
of what they meet by, and one part at a time is compared.

A column that one side lacks is null there, and its coming or going is no change of a row.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pat

from lakecore.base.limits import MIB
from lakecore.journal import changed, json_text, row_json
from lakecore.storage import Store
from lakecore.tables._places import file_path
from lakecore.tables._read import FileReader
from lakecore.tables._schema import MAX_DECIMAL_DIGITS, cast_column
from lakecore.tables._state import DataFile
from lakecore.tables._types import TableSettings

if TYPE_CHECKING:
    import polars as pl

    Rows = np.ndarray[Any, np.dtype[np.intp]]

_ARROW_TO_PARQUET: Final = 6
"""How many times its file's size a table of ours is in memory, roughly."""
_MAX_PARTS: Final = 128
_MAX_PART_BYTES: Final = 128 * MIB


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: files, and the schema that they are read with."""

    schema: pa.Schema
    files: Sequence[DataFile]


@dataclass(frozen=True, slots=True)
class RowChanges:
    """Rows that differ. `before` and `after` are the same rows, keyed, old and new.

    `deleted` has the columns of both sides: new ones are there, null, before rows go.
    """

    deleted: pa.Table
    inserted: pa.Table
    before: pa.Table
    after: pa.Table


def differing(old: Side, new: Side) -> tuple[Side, Side]:
    """Each side without the files that both have."""
    both = {file.path for file in old.files} & {file.path for file in new.files}
    return (
        Side(old.schema, [file for file in old.files if file.path not in both]),
        Side(new.schema, [file for file in new.files if file.path not in both]),
    )


def row_changes(
    store: Store,
    location: str,
    key: Sequence[str],
    sides: tuple[Side, Side],
    settings: TableSettings,
) -> Iterator[RowChanges]:
    """The rows that differ between two sides, part by part."""
    count = _part_count(sides, settings)
    with ExitStack() as stack:
        if count == 1:
            tables = [_whole(_chunks(store, location, side, settings), side) for side in sides]
            yield from _compare(tables[0], tables[1], key)
            return
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="lakecore-rows-", dir=settings.temp_dir)
        )
        meeting = _Meeting(sides, key)
        for position, side in enumerate(sides):
            chunks = _chunks(store, location, side, settings)
            _spill(chunks, meeting, count, Path(folder), position)
        for part in range(count):
            tables = [
                _whole(_spilled(Path(folder) / f"{position}-{part}"), side)
                for position, side in enumerate(sides)
            ]
            yield from _compare(tables[0], tables[1], key)


def changed_cells(old: pa.ChunkedArray, new: pa.ChunkedArray) -> pa.BooleanArray:
    """Row by row: is the new value another one? Values of two types are compared as the wider."""
    kind = common_type(old.type, new.type)
    if kind is None:
        return changed(json_text(old), json_text(new))
    field = pa.field("", kind)
    return changed(cast_column(old, field), cast_column(new, field))


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that holds the values of both without loss; None when there is none.

    >>> common_type(pa.int8(), pa.int32()), common_type(pa.string(), pa.int8())
    (DataType(int32), None)
    """
    if one == other:
        return one
    for is_kind in (pat.is_signed_integer, pat.is_floating):
        if is_kind(one) and is_kind(other):
            return max(one, other, key=lambda kind: int(kind.bit_width))
    if pat.is_decimal(one) and pat.is_decimal(other):
        scale = max(one.scale, other.scale)
        digits = max(one.precision - one.scale, other.precision - other.scale)
        return (
            pa.decimal128(digits + scale, scale) if digits + scale <= MAX_DECIMAL_DIGITS else None
        )
    for date, moment in ((one, other), (other, one)):
        if pat.is_date(date) and pat.is_timestamp(moment):
            return moment
    return None


def _part_count(sides: tuple[Side, Side], settings: TableSettings) -> int:
    size_bytes = sum(file.size_bytes for side in sides for file in side.files)
    part_bytes = min(_MAX_PART_BYTES, settings.input_bytes)
    return max(1, min(_MAX_PARTS, -(-size_bytes * _ARROW_TO_PARQUET // part_bytes)))


def _chunks(store: Store, location: str, side: Side, settings: TableSettings) -> Iterator[pa.Table]:
    for file in side.files:
        path = file_path(location, file.path)
        with FileReader(store, path, side.schema, settings) as reader:
            yield from reader.chunks()


def _whole(tables: Iterator[pa.Table], side: Side) -> pa.Table:
    return pa.concat_tables([side.schema.empty_table(), *tables])


class _Meeting:
    """What rows of the two sides meet by: key columns, or all that both have."""

    def __init__(self, sides: tuple[Side, Side], key: Sequence[str]) -> None:
        names = key or [name for name in sides[0].schema.names if name in sides[1].schema.names]
        self._kinds: dict[str, pa.DataType | None] = {}
        for name in names:
            kind = common_type(*(side.schema.field(name).type for side in sides))
            self._kinds[name] = None if kind is not None and pat.is_nested(kind) else kind

    def frame(self, rows: pa.Table) -> pl.DataFrame:
        """A column for each, as text where the types are nested or have nothing in common."""
        import polars as pl

        columns = {}
        for position, (name, kind) in enumerate(self._kinds.items()):
            column = rows.column(name)
            text_or_value = json_text(column) if kind is None else _plain(column, kind)
            columns[f"k{position}"] = pl.Series(text_or_value)
        return pl.DataFrame(columns)


def _plain(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """The column as `kind`, with one zero: 0.0 and -0.0 are no difference."""
    column = cast_column(column, pa.field("", kind))
    return pc.add(column, pa.scalar(0.0, kind)) if pat.is_floating(kind) else column


def _spill(
    chunks: Iterator[pa.Table], meeting: _Meeting, count: int, folder: Path, position: int
) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with ExitStack() as stack:
        writers: dict[int, Any] = {}
        for chunk in chunks:
            frame = meeting.frame(chunk)
            hashes = frame.hash_rows(seed=0).to_numpy() if frame.width else np.zeros(0, np.uint64)
            parts = (hashes % np.uint64(count)).astype(np.intp)
            for part in np.unique(parts).tolist():
                if part not in writers:
                    sink = pa.OSFile(str(folder / f"{position}-{part}"), "wb")
                    stack.enter_context(sink)
                    writers[part] = stack.enter_context(
                        pa.ipc.new_stream(sink, chunk.schema, options=options)
                    )
                writers[part].write_table(chunk.filter(pa.array(parts == part)))


def _spilled(path: Path) -> Iterator[pa.Table]:
    if not path.exists():
        return
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_stream(source) as reader:
        yield reader.read_all()
    path.unlink()


def _compare(old: pa.Table, new: pa.Table, key: Sequence[str]) -> Iterator[RowChanges]:
    if not old.num_rows and not new.num_rows:
        return
    if key:
        found = _compare_keyed(old, new, key)
    else:
        gone, come = _multiset_difference(old, new)
        gone_rows = _with_columns(old.take(gone), new.schema)
        found = RowChanges(gone_rows, new.take(come), old.slice(0, 0), new.slice(0, 0))
    if any(part.num_rows for part in (found.deleted, found.inserted, found.before)):
        yield found


def _compare_keyed(old: pa.Table, new: pa.Table, key: Sequence[str]) -> RowChanges:
    import polars as pl

    meeting = _Meeting((Side(old.schema, ()), Side(new.schema, ())), key)
    before, after = (meeting.frame(rows).with_row_index("row") for rows in (old, new))
    names = [name for name in before.columns if name != "row"]
    # Keys that are no keys, as another program may have left them, are compared as rows.
    double = pl.concat([_double(before, names), _double(after, names)]).unique()
    olds, news = before, after
    if double.height:
        olds = before.join(double, on=names, how="anti", nulls_equal=True)
        news = after.join(double, on=names, how="anti", nulls_equal=True)
    both = olds.join(news, on=names, how="inner", suffix="_new", nulls_equal=True).sort("row")
    gone = olds.join(news, on=names, how="anti", nulls_equal=True)["row"].sort()
    come = news.join(olds, on=names, how="anti", nulls_equal=True)["row"].sort()
    deleted, inserted = old.take(gone.to_arrow()), new.take(come.to_arrow())
    if double.height:
        some_old = old.take(_among(before, double, names))
        some_new = new.take(_among(after, double, names))
        less, more = _multiset_difference(some_old, some_new)
        deleted = pa.concat_tables([deleted, some_old.take(less)])
        inserted = pa.concat_tables([inserted, some_new.take(more)])
    positions = both["row"].to_arrow(), both["row_new"].to_arrow()
    mask = _differ(old, new, positions)
    return RowChanges(
        _with_columns(deleted, new.schema),
        inserted,
        old.take(positions[0].filter(mask)),
        new.take(positions[1].filter(mask)),
    )


def _double(keys: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    return keys.select(names).filter(keys.select(names).is_duplicated()).unique()


def _among(keys: pl.DataFrame, wanted: pl.DataFrame, names: list[str]) -> pa.Array:
    return keys.join(wanted, on=names, how="semi", nulls_equal=True)["row"].to_arrow()


def _differ(old: pa.Table, new: pa.Table, positions: tuple[pa.Array, pa.Array]) -> pa.Array:
    """Which pairs of rows differ in any column of the new side."""
    found = np.zeros(len(positions[0]), dtype=np.bool_)
    if not len(found):
        return pa.array(found)
    for field in new.schema:
        before = side_column(old, field).take(positions[0])
        after = new.column(field.name).take(positions[1])
        found |= np.asarray(changed_cells(before, after), dtype=np.bool_)
    return pa.array(found)


def _with_columns(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows that go, with the columns that come: a new column is null in all that was there."""
    for field in schema:
        if rows.schema.get_field_index(field.name) < 0:
            rows = rows.append_column(field, side_column(rows, field))
    return rows


def side_column(rows: pa.Table, field: pa.Field) -> pa.ChunkedArray:
    """A column of `rows`, nulls where they lack it."""
    if rows.schema.get_field_index(field.name) < 0:
        return pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
    return rows.column(field.name)


def _multiset_difference(old: pa.Table, new: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Positions of the rows that only one side has, counting how often each occurs."""
    import polars as pl

    frames = []
    for rows, other in ((old, new), (new, old)):
        text = pl.Series("text", _row_texts(rows, new.schema, other.schema))
        occurrence = pl.int_range(pl.len()).over("text").alias("n")
        frames.append(pl.DataFrame([text]).with_row_index("row").with_columns(occurrence))
    on = ["text", "n"]
    gone = frames[0].join(frames[1], on=on, how="anti")["row"].sort()
    come = frames[1].join(frames[0], on=on, how="anti")["row"].sort()
    return gone.to_arrow(), come.to_arrow()


def _row_texts(rows: pa.Table, columns: pa.Schema, other: pa.Schema) -> pa.ChunkedArray:
    """Those columns of each row as one text: equal rows have equal texts on both sides."""
    texts = {}
    for field in columns:
        column = side_column(rows, field)
        index = other.get_field_index(field.name)
        kind = common_type(column.type, other.field(index).type if index >= 0 else column.type)
        texts[field.name] = json_text(column) if kind is None else _plain(column, kind)
    return row_json(pa.table(texts))
