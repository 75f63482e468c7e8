"""What a mutation's rows were and became, and how to bring them back in one table's files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakecore.base import InvalidInput
from lakecore.journal import changed, json_text
from lakecore.tables._conflicts import Conflicts
from lakecore.tables._decode import decode_column, decode_keys, decode_rows
from lakecore.tables._rewrite import NO_ROWS, Touch

if TYPE_CHECKING:
    import polars as pl

    Mask = np.ndarray[Any, np.dtype[np.bool_]]


class Inverse:
    """A row for each entity of a mutation, in the columns that the table has now.

    `old` and `new` hold the values, `has` says for which fields. `absent`: the mutation
    deleted the row, so its key has to be free. `fresh`: it inserted the row. `hopeless`:
    columns of the row are not there any more.
    """

    def __init__(
        self,
        whole: pl.DataFrame,
        cells: pl.DataFrame,
        schema: pa.Schema,
        key: tuple[str, ...],
        conflicts: Conflicts,
    ) -> None:
        entities = {name: row for row, name in enumerate(whole["entity_id"].to_list())}
        for name in cells["entity_id"].unique(maintain_order=True).to_list():
            if name in entities and entities[name] < whole.height:
                raise InvalidInput(
                    "this mutation changed a row in more than one way",
                    found=name,
                    hint="restore the version before it",
                )
            entities.setdefault(name, len(entities))
        self._conflicts = conflicts
        self._schema = schema
        self.ids = list(entities)
        self.count = len(entities)
        self.keys = decode_keys(self.ids, key, schema)
        before, after = whole["before"].to_list(), whole["after"].to_list()
        rest = [None] * (self.count - whole.height)
        self._is_whole = np.arange(self.count) < whole.height
        self.absent = _is_null([*after, *rest]) & self._is_whole
        self.fresh = _is_null([*before, *rest]) & self._is_whole
        self.hopeless = np.zeros(self.count, dtype=np.bool_)
        self.old, old_names = self._rows([*before, *rest])
        self.new, new_names = self._rows([*after, *rest])
        known = set(schema.names)
        for row in range(whole.height):
            lost = (old_names[row] | new_names[row]) - known
            if lost:
                self._lose(row, sorted(lost)[0])
        self.has = {name: self._is_whole.copy() for name in schema.names if name not in key}
        for name, part in cells.partition_by("field", as_dict=True).items():
            self._set_cells(str(name[0]), part, entities)

    def _rows(self, texts: list[str | None]) -> tuple[pa.Table, list[set[str]]]:
        """Whole rows; those that the columns' types cannot hold any more are given up."""
        try:
            return decode_rows(texts, self._schema)
        except InvalidInput:
            kept = list(texts)
            for row, text in enumerate(texts):
                try:
                    decode_rows([text], self._schema)
                except InvalidInput:
                    kept[row] = None
                    self.hopeless[row] = True
                    self._conflicts.add((self.ids[row], "*"), text, "columns of other types")
            return decode_rows(kept, self._schema)

    def _other_type(self, rows: list[int], name: str) -> None:
        for row in rows:
            self._conflicts.add((self.ids[row], name), "the column", "a column of another type")

    def _lose(self, row: int, name: str) -> None:
        self.hopeless[row] = True
        self._conflicts.add((self.ids[row], name), "the column", None)

    def _set_cells(self, name: str, part: Any, entities: dict[str, int]) -> None:
        rows = [entities[entity] for entity in part["entity_id"].to_list()]
        index = self._schema.get_field_index(name)
        if index < 0 or name not in self.has:
            for row in rows:
                self._conflicts.add((self.ids[row], name), "the column", None)
            return
        field = self._schema.field(index)
        order = np.arange(self.count)
        order[rows] = self.count + np.arange(len(rows))
        for side, texts in (("old", part["old"].to_list()), ("new", part["new"].to_list())):
            table = getattr(self, side)
            try:
                values = decode_column(texts, field.type)
            except InvalidInput:
                self._other_type(rows, name)
                return
            joined = pa.chunked_array([*table.column(index).chunks, values], type=field.type)
            setattr(self, side, table.set_column(index, field, joined.take(pa.array(order))))
        self.has[name][rows] = True

    def toucher(self, positions: Any, sources: Any) -> Callable[[pa.Table, int], Touch]:
        """What to do with each chunk of a file, whose rows at `positions` are the `sources`."""

        def touch(chunk: pa.Table, start: int) -> Touch:
            first, last = np.searchsorted(positions, (start, start + chunk.num_rows))
            if first == last:
                return Touch(NO_ROWS, None, NO_ROWS)
            return self._touch(chunk, positions[first:last] - start, sources[first:last])

        return touch

    def _touch(self, chunk: pa.Table, positions: Any, sources: Any) -> Touch:
        present = chunk.take(pa.array(positions))
        is_taken, fresh, whole = self.absent[sources], self.fresh[sources], self._is_whole[sources]
        usable = ~is_taken & ~self.hopeless[sources]
        for source in sources[is_taken & ~self.hopeless[sources]].tolist():
            self._conflicts.add((self.ids[source], "*"), None, "another row with this key")
        index = pa.array(sources)
        good: dict[str, Mask] = {}
        row_is_good = usable.copy()
        for name, has in self.has.items():
            expected, found = self.new.column(name).take(index), present.column(name)
            differs = np.asarray(changed(expected, found), dtype=np.bool_)
            bad = differs & has[sources] & usable
            self._report(name, sources, expected, found, bad)
            good[name] = has[sources] & usable & ~bad
            row_is_good &= ~bad
        columns = {}
        for name, mask in good.items():
            # A row that came, or was replaced, is undone as a whole or not at all.
            mask &= ~fresh & (~whole | row_is_good)
            columns[name] = _mixed(present.column(name), self.old.column(name).take(index), mask)
        removed = positions[fresh & row_is_good]
        stays = usable & ~fresh
        if not columns or not stays.any():
            return Touch(NO_ROWS, None, removed)
        fields = [field for field in self._schema if field.name in columns]
        values = pa.table([columns[field.name] for field in fields], schema=pa.schema(fields))
        return Touch(positions[stays], values.filter(pa.array(stays)), removed)

    def _report(self, name: str, sources: Any, expected: Any, found: Any, bad: Mask) -> None:
        if not bad.any():
            return
        where = pa.array(bad)
        sides = (json_text(side.filter(where)).to_pylist() for side in (expected, found))
        for source, old, new in zip(sources[bad].tolist(), *sides, strict=True):
            self._conflicts.add((self.ids[source], name), old, new)


def _is_null(texts: list[str | None]) -> Mask:
    return np.array([text is None for text in texts], dtype=np.bool_)


def _mixed(present: pa.ChunkedArray, other: pa.ChunkedArray, mask: Mask) -> pa.ChunkedArray:
    """`present`, but `other` where `mask` says so; of any type."""
    if not mask.any():
        return present
    index = np.arange(len(mask))
    index[mask] += len(mask)
    return pa.chunked_array([*present.chunks, *other.chunks], type=present.type).take(
        pa.array(index)
    )
