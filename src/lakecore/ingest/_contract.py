"""What a file may do to a dataset's columns.

============  =====================================  ================================
contract      columns that one side lacks            values of another type
============  =====================================  ================================
evolve        new ones are added, missing ones null  quarantined while rare, else the
                                                     file is refused
freeze        refused before anything is written     refused before anything is written
quarantine    rows with a value in a new column are  quarantined
              quarantined, missing ones null
============  =====================================  ================================

'Rare' is at most 10 rows, or at most 1 % of them. A value fits when the cast to the
dataset's type keeps it exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput
from lakecore.ingest._reject import Reject
from lakecore.ingest._storable import storable_type

if TYPE_CHECKING:
    import pyarrow as pa

RARE_ROWS: Final = 10
RARE_SHARE: Final = 0.01
_EXAMPLES: Final = 3
_FROZEN_HINT: Final = "Change the file, or alter the dataset's contract."

RejectRow = Callable[[int, "pa.RecordBatch", int, str, str], None]
"""Told of a row that does not fit: its number in the file, batch, index, column, reason."""


class Fitter:
    """Batches of a file in the types of its dataset; a new dataset takes them as they are."""

    def __init__(
        self, schema: pa.Schema, target: pa.Schema | None, contract: str, where: str
    ) -> None:
        import pyarrow as pa

        self._where = where
        self._contract = contract
        self._rows = 0
        self._misfits: dict[str, int] = {}
        known = {} if target is None else {name.casefold(): name for name in target.names}
        fields, self.new_columns = [], []
        for field in schema:
            name = known.get(field.name.casefold())
            if target is None or name is None:
                self.new_columns.append(field.name)
                fields.append(field)
            else:
                fields.append(target.field(name).with_nullable(True))
        self._fields = fields
        self._extra: set[int] = set()
        if target is not None:
            if contract == "freeze":
                self._check_frozen(schema, target)
            if contract == "quarantine":
                self._extra = {schema.get_field_index(name) for name in self.new_columns}
        self._changed = [old.type != new.type for old, new in zip(schema, fields, strict=True)]
        kept = [field for index, field in enumerate(fields) if index not in self._extra]
        self.schema = pa.schema(kept)

    def _check_frozen(self, schema: pa.Schema, target: pa.Schema) -> None:
        names = {field.name for field in self._fields}
        differences = [f"{name}: new column" for name in self.new_columns]
        differences += [f"{name}: missing" for name in target.names if name not in names]
        differences += [
            f"{new.name}: {old.type} instead of {new.type}"
            for old, new in zip(schema, self._fields, strict=True)
            if storable_type(old.type, old.name) != storable_type(new.type, new.name)
        ]
        if differences:
            raise InvalidInput(
                "the file differs from a frozen dataset",
                expected="the same columns and types",
                found="; ".join(differences[:10]),
                where=self._where,
                hint=_FROZEN_HINT,
            )

    def fit(self, batches: Iterator[pa.RecordBatch], reject: RejectRow) -> Iterator[pa.RecordBatch]:
        """The rows that fit; the others are told to `reject`."""
        for batch in batches:
            yield self._fit(batch, reject)
        self._check_rare(final=True)

    def _fit(self, batch: pa.RecordBatch, reject: RejectRow) -> pa.RecordBatch:
        import pyarrow as pa

        bad: dict[int, str] = {}
        columns: list[pa.Array] = []
        for index, (array, field) in enumerate(zip(batch.columns, self._fields, strict=True)):
            if index in self._extra:
                for row in _valid_rows(array):
                    bad.setdefault(row, f"{field.name}: the dataset has no such column")
                continue
            if not self._changed[index]:
                columns.append(array)
                continue
            cast, misfits = cast_rows(array, field.type)
            columns.append(cast)
            if misfits:
                self._misfits[field.name] = self._misfits.get(field.name, 0) + len(misfits)
            for row in misfits:
                bad.setdefault(row, f"{field.name}: {array[row].as_py()!r} is no {field.type}")
        for row in sorted(bad):
            reject(self._rows + row + 1, batch, row, bad[row].partition(":")[0], bad[row])
        self._rows += batch.num_rows
        self._check_rare(final=False)
        result = pa.record_batch(columns, schema=self.schema)
        return without(result, list(bad))

    def _check_rare(self, *, final: bool) -> None:
        if self._contract == "quarantine":
            return
        for name, count in self._misfits.items():
            at_least = RARE_ROWS if final else 1_000
            if count > at_least and count > RARE_SHARE * self._rows:
                raise InvalidInput(
                    "the column's values do not have the dataset's type",
                    expected=next(field.type for field in self._fields if field.name == name),
                    found=f"{count} of {self._rows} values do not fit",
                    where=f"{self._where}, column {name}",
                    hint="Convert the column, or name another dataset.",
                )


def check_frozen_values(rejects: Iterable[Reject], where: str) -> None:
    """Refuse a file of which a value has not its column's type: a frozen dataset takes no part.

    Text is read as the dataset's types, so such values are known when all of it is read.
    Lines that are no records at all say nothing about the columns, and do not count.
    """
    misfits = islice((reject for reject in rejects if reject.column), _EXAMPLES)
    found = "; ".join(f"line {reject.line}: {reject.reason}" for reject in misfits)
    if found:
        raise InvalidInput(
            "the file differs from a frozen dataset",
            expected="values of the columns' types",
            found=found,
            where=where,
            hint=_FROZEN_HINT,
        )


def without(batch: pa.RecordBatch, rows: list[int]) -> pa.RecordBatch:
    """`batch` without some of its rows."""
    import numpy as np
    import pyarrow as pa

    if not rows:
        return batch
    keep = np.ones(batch.num_rows, dtype=bool)
    keep[rows] = False
    return batch.filter(pa.array(keep))


def cast_rows(array: pa.Array, target: pa.DataType) -> tuple[pa.Array, list[int]]:
    """`array` as `target`, null where a value would change, and the rows where that is."""
    import pyarrow as pa

    try:
        return array.cast(target), []
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if len(array) == 1:
            return pa.nulls(1, target), [0] if array[0].is_valid else []
    middle = len(array) // 2
    left, left_bad = cast_rows(array.slice(0, middle), target)
    right, right_bad = cast_rows(array.slice(middle), target)
    return pa.concat_arrays([left, right]), left_bad + [middle + row for row in right_bad]


def _valid_rows(array: pa.Array) -> list[int]:
    import numpy as np

    rows: list[int] = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False)).tolist()
    return rows


def row_text(batch: pa.RecordBatch, row: int) -> str:
    """One row as a JSON object."""
    import msgspec

    values: dict[str, Any] = {
        name: column[row].as_py()
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    return msgspec.json.encode(values, enc_hook=str).decode()
