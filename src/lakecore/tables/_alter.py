"""Columns added, renamed, dropped and widened: one commit, and events about columns only.

No column mapping: names in the files are the names of the columns, so that every engine
reads them. Adding is a change of the log alone; all else rewrites the files, one to one,
so that a later column of the same name never shows what a dropped one held.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import types as pat

from lakecore.base import InvalidInput
from lakecore.tables._attempt import Attempt
from lakecore.tables._columns import (
    AddColumn,
    ColumnChange,
    DropColumn,
    RenameColumn,
    WidenColumn,
    parse_type,
)
from lakecore.tables._events import Change
from lakecore.tables._places import file_path
from lakecore.tables._read import FileReader
from lakecore.tables._row_events import column_event
from lakecore.tables._schema import (
    cast_column,
    check_names,
    delta_type_text,
    nearest,
    storable_type,
)
from lakecore.tables._types import DatasetRef
from lakecore.tables._write import FileWriter


@dataclass(slots=True)
class _Column:
    """A column as it becomes; `source` is its name in the files, None for a new one."""

    field: pa.Field
    source: str | None


class AlterColumns:
    """The changes in their order; each sees what those before it made."""

    name = "ALTER"
    removes = True

    def __init__(self, changes: Sequence[ColumnChange]) -> None:
        if not changes:
            raise InvalidInput("no columns to change", expected="at least one change")
        self._changes = list(changes)

    def parameters(self) -> dict[str, str]:
        return {"columns": ", ".join(map(repr, self._changes))[:1_000]}

    def discard(self) -> None:
        """Attempts own everything."""

    def plan(self, attempt: Attempt) -> None:
        dataset = attempt.dataset
        columns = [_Column(field, field.name) for field in attempt.schema]
        key = list(dataset.key)
        for change in self._changes:
            _apply(attempt, change, columns, key)
        check_names([column.field.name for column in columns])
        schema = pa.schema([column.field for column in columns])
        # A column that went, and one of its name that came, are no column that stayed.
        stays = all(column.source == column.field.name for column in columns)
        if stays and schema.equals(attempt.base.schema):
            return
        old, attempt.schema = attempt.base.schema, schema
        attempt.schema_changed = True
        kept = [column for column in columns if column.source is not None]
        only_new = [column.field for column in kept] == list(old)
        if not only_new:
            _rewrite(attempt, columns, key)


def _apply(attempt: Attempt, change: ColumnChange, columns: list[_Column], key: list[str]) -> None:
    dataset = attempt.dataset
    names = [column.field.name for column in columns]
    if isinstance(change, AddColumn):
        check_names([*names, change.name])
        kind = storable_type(parse_type(change.type), where=f"column {change.name!r}")
        field = pa.field(change.name, kind)
        columns.append(_Column(field, None))
        text = delta_type_text(field)
        attempt.emit(column_event(dataset, "add_column", change.name, None, text))
        return
    if change.name not in names:
        raise InvalidInput("no such column", found=change.name, hint=nearest(change.name, names))
    position = names.index(change.name)
    column = columns[position]
    if isinstance(change, DropColumn):
        _drop(attempt, columns, position, key)
    elif isinstance(change, RenameColumn):
        if change.new_name == change.name:
            return
        others = [*names[:position], *names[position + 1 :]]
        check_names([*others, change.new_name])
        column.field = column.field.with_name(change.new_name)
        key[:] = [change.new_name if name == change.name else name for name in key]
        attempt.emit(_renamed(dataset, change))
    else:
        _widen(attempt, column, change, is_key=change.name in key)


def _renamed(dataset: DatasetRef, change: RenameColumn) -> Change:
    sides = (json.dumps(name, ensure_ascii=False) for name in (change.name, change.new_name))
    return column_event(dataset, "rename_column", change.name, *sides)


def _drop(attempt: Attempt, columns: list[_Column], position: int, key: list[str]) -> None:
    field = columns[position].field
    if field.name in key:
        raise InvalidInput(
            "a key column cannot be dropped",
            found=field.name,
            where=attempt.dataset.name,
            hint="the rows would have no names any more; make another dataset without it",
        )
    if len(columns) == 1:
        raise InvalidInput("the last column cannot be dropped", found=field.name)
    del columns[position]
    text = delta_type_text(field)
    attempt.emit(column_event(attempt.dataset, "drop_column", field.name, text, None))


def _widen(attempt: Attempt, column: _Column, change: WidenColumn, *, is_key: bool) -> None:
    old, new = column.field.type, storable_type(parse_type(change.type))
    if old == new:
        return
    if not widens(old, new):
        raise InvalidInput(
            "this type does not hold every value of the column",
            expected=f"a wider type than {old}",
            found=change.type,
            where=f"column {change.name!r}",
            hint="integers and floats widen, decimals gain digits, a date becomes a timestamp",
        )
    if is_key and not keeps_text(old, new):
        raise InvalidInput(
            "a key of this type cannot be widened: its text in the journal would change",
            found=f"{old} to {new}",
            where=f"column {change.name!r}",
        )
    before = delta_type_text(column.field)
    column.field = column.field.with_type(new)
    after = delta_type_text(column.field)
    attempt.emit(column_event(attempt.dataset, "widen_column", change.name, before, after))


def widens(old: pa.DataType, new: pa.DataType) -> bool:
    """Whether every value of `old` is a value of `new`.

    >>> widens(pa.int8(), pa.int64()), widens(pa.decimal128(9, 2), pa.decimal128(9, 3))
    (True, False)
    """
    for is_kind in (pat.is_signed_integer, pat.is_floating):
        if is_kind(old) and is_kind(new):
            return bool(new.bit_width > old.bit_width)
    if pat.is_decimal(old) and pat.is_decimal(new):
        whole = new.precision - new.scale >= old.precision - old.scale
        return bool(whole and new.scale >= old.scale)
    return bool(pat.is_date(old) and pat.is_timestamp(new))


def keeps_text(old: pa.DataType, new: pa.DataType) -> bool:
    """Whether values have the same JSON text in both types: a key's text is its name."""
    if pat.is_decimal(old) and pat.is_decimal(new):
        return bool(old.scale == new.scale)
    return bool(pat.is_signed_integer(old) and pat.is_signed_integer(new))


def _rewrite(attempt: Attempt, columns: Sequence[_Column], key: Sequence[str]) -> None:
    """Every file anew, with the new names and types, a chunk at a time."""
    base, location = attempt.base, attempt.dataset.location
    for file in base.files:
        attempt.remove(file)
        if attempt.dry_run:
            continue
        writer = FileWriter(attempt.store, location, attempt.schema, attempt.settings, keys=key)
        path = file_path(location, file.path)
        try:
            with FileReader(attempt.store, path, base.schema, attempt.settings) as reader:
                for chunk in reader.chunks():
                    writer.write(_as_altered(chunk, columns, attempt.schema))
            added = writer.finish()
        except BaseException as error:
            writer.abort(error)
            raise
        if added is not None:
            attempt.add(added)


def _as_altered(chunk: pa.Table, columns: Sequence[_Column], schema: pa.Schema) -> pa.Table:
    arrays = []
    for column in columns:
        if column.source is None:
            arrays.append(pa.chunked_array([pa.nulls(chunk.num_rows, column.field.type)]))
        else:
            arrays.append(cast_column(chunk.column(column.source), column.field))
    return pa.table(arrays, schema=schema)
