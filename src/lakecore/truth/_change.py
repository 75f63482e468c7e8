"""The contexts of changes: what rules may look at, and how rows become contexts.

==============  ===========================================================================
member          what it is
==============  ===========================================================================
`task_class`    the class of the task, as `evaluate` was asked
`op`            insert, upsert, update, delete, replace, restore, revert, schema
`dataset`       its name
`entity_type`   what a row is
`principal`     who asks: name, kind, roles, trust, and what else is known of them
`size`          of the whole change: rows, fields, bytes, fraction of the dataset's rows
`before`        the row as it is; null where there is none
`after`         the row as it would be; null where it is deleted
`changed`       names of the columns that differ
==============  ===========================================================================

The first six are one change's: `ChangeContext.shared`. The last three are each row's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base import InvalidInput
from lakecore.truth._tier import KINDS

MEMBERS: Final = (
    *("task_class", "op", "dataset", "entity_type", "principal", "size"),
    *("before", "after", "changed"),
)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks for a change."""

    name: str
    kind: str = KINDS[0]
    """One of `KINDS`."""

    roles: Sequence[str] = ()
    trust: float | None = None
    """0 to 1; None where nothing is known."""

    more: Mapping[str, Any] = field(default_factory=dict)
    """Anything else that rules may look at, JSON."""

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.more,
            "name": self.name,
            "kind": self.kind,
            "roles": list(self.roles),
            "trust": self.trust,
        }


@dataclass(frozen=True, slots=True)
class Size:
    """How much a change changes."""

    rows: int
    fields: int
    bytes: int
    fraction: float
    """Changed rows over the rows that the dataset had; 1.0 where it had none."""


@dataclass(frozen=True, slots=True)
class ChangeContext:
    """What all rows of one change share.

    >>> change = ChangeContext("update", "update", "planes", "plane", Principal("ada"),
    ...     Size(rows=1, fields=1, bytes=8, fraction=0.1))
    >>> change.row({"seats": 5}, {"seats": 6}, ["seats"])["after"]
    {'seats': 6}
    """

    task_class: str
    op: str
    dataset: str
    entity_type: str
    principal: Principal
    size: Size

    def shared(self) -> dict[str, Any]:
        """The members that are the same for all rows."""
        return {
            "task_class": self.task_class,
            "op": self.op,
            "dataset": self.dataset,
            "entity_type": self.entity_type,
            "principal": self.principal.to_dict(),
            "size": asdict(self.size),
        }

    def row(
        self,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        changed: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The context of one row."""
        return {**self.shared(), "before": before, "after": after, "changed": list(changed)}


def change_rows(
    before: pa.Table | None,
    after: pa.Table | None,
    *,
    existed: pa.BooleanArray | None = None,
    changed: pa.Array | pa.ChunkedArray | None = None,
) -> pa.Table:
    """The contexts of a change's rows, for `RuleSet.evaluate_rows`; columns are not copied.

    Args:
        before: the rows as they are; None for an insert.
        after: the rows as they would be, in the same order; None for a delete.
        existed: which rows there are before, where only some are (an upsert).
        changed: for each row the names of the columns that differ.

    Raises:
        InvalidInput: there is neither side, or the sides have different numbers of rows.
    """
    sides = {"before": before, "after": after}
    lengths = {name: table.num_rows for name, table in sides.items() if table is not None}
    if changed is not None:
        lengths["changed"] = len(changed)
    if existed is not None:
        lengths["existed"] = len(existed)
    if not lengths or len(set(lengths.values())) > 1:
        raise InvalidInput(
            "a change's rows do not match", expected="as many of each", found=lengths
        )
    (length,) = set(lengths.values())
    columns: dict[str, Any] = {}
    for name, table in sides.items():
        if table is None:
            columns[name] = pa.nulls(length)
        else:
            columns[name] = _structs(table, existed if name == "before" else None)
    if changed is not None:
        columns["changed"] = changed
    return pa.table(columns)


def _structs(table: pa.Table, present: pa.BooleanArray | None) -> pa.ChunkedArray:
    arrays, start = [], 0
    for batch in table.to_batches():
        mask = None
        if present is not None:
            mask = pc.invert(present.slice(start, batch.num_rows))
        start += batch.num_rows
        columns, fields = batch.columns, list(batch.schema)
        if not columns:  # a struct of no columns would have no rows
            columns, fields = [pa.nulls(batch.num_rows)], [pa.field("", pa.null())]
        rows = pa.StructArray.from_arrays(columns, fields=fields, mask=mask)
        if not batch.num_columns:
            there = rows.buffers()[:1]
            rows = pa.Array.from_buffers(pa.struct([]), len(rows), there, offset=rows.offset)
        arrays.append(rows)
    return pa.chunked_array(arrays, type=pa.struct(list(table.schema)))
