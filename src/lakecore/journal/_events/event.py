"""One event of the journal, its schema, and the ways into and out of Arrow.

- Whoever takes events takes an `Event` or a mapping with an event's field names.
- A field that is missing, or null where null has no meaning, gets its default.
- An event that is accepted has a leaf: every bound that the canonical form relies on is
  checked here (`rules`), for single events and whole batches alike.
- `seq` is given by the journal: events on their way in have none.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import repeat
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import Bug, InvalidInput, format_timestamp
from lakecore.journal._events import rules
from lakecore.journal._events.rules import (
    FIELDS,
    STAGED_FIELDS,
    from_microseconds,
    to_microseconds,
)

if TYPE_CHECKING:
    import pyarrow as pa

LEAF_VERSION: Final = 1
"""The canonical form that events are written with."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change, as the journal keeps it: who did what to which field of which entity.

    `old_value` and `new_value` are JSON text, or None where that side does not exist (an
    insert has no old value); the JSON text ``null`` is a value. `context` is the text of a
    JSON object. `field` is ``*`` for the whole entity. `timestamp` is aware, to the µs.
    """

    seq: int | None = None
    event_id: str = ""
    timestamp: datetime | None = None
    entity_type: str
    entity_id: str
    field: str = "*"
    action: str
    old_value: str | None = None
    new_value: str | None = None
    actor: str = ""
    source: str = "api"
    workspace_id: str = ""
    dataset: str = ""
    dataset_id: str = ""
    version: int | None = None
    mutation_id: str = ""
    context: str = "{}"
    leaf: int = LEAF_VERSION

    def to_dict(self) -> dict[str, object]:
        """The event as a JSON-ready dictionary, in field order; the timestamp is RFC 3339."""
        row: dict[str, object] = dict(zip(FIELDS, _values_of(self), strict=True))
        if self.timestamp is not None:
            row["timestamp"] = format_timestamp(to_microseconds(self.timestamp))
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who changes something, and why: given to every mutation."""

    actor: str
    source: str = "api"
    workspace_id: str = ""
    reason: str = ""
    context: Mapping[str, object] = field(default_factory=dict)

    def context_text(self, extra: Mapping[str, object] | None = None) -> str:
        """`context`, then `extra`, then the reason if there is one: as JSON object text."""
        merged = {**self.context, **(extra or {})}
        if self.reason:
            merged["reason"] = self.reason
        try:
            return json.dumps(
                merged,
                ensure_ascii=False,
                allow_nan=False,
                sort_keys=True,
                separators=(",", ":"),
            )
        except (TypeError, ValueError) as error:
            raise InvalidInput("context is not JSON", found=error) from error


_values_of = attrgetter(*FIELDS)
_KNOWN: Final = frozenset(FIELDS)
_FEW_ROWS: Final = 32
"""Up to here the row rules are faster than the column rules."""
_FEW_TUPLES: Final = 128
"""So few are alive at a time that the garbage collector does not look at them."""
NULLABLE: Final = frozenset({"old_value", "new_value", "version"})


@cache
def event_schema() -> pa.Schema:
    """The Arrow schema of sealed events: 18 columns, `seq` first, `leaf` last."""
    import pyarrow as pa

    types = {
        "seq": pa.int64(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "version": pa.int64(),
        "leaf": pa.int8(),
    }
    return pa.schema(
        pa.field(name, types.get(name, pa.string()), nullable=name in NULLABLE) for name in FIELDS
    )


@cache
def staged_schema() -> pa.Schema:
    """The Arrow schema of events before they are sealed: without `seq` and `leaf`."""
    import pyarrow as pa

    return pa.schema(event_schema().field(name) for name in STAGED_FIELDS)


def events_to_arrow(
    events: Iterable[Event | Mapping[str, object]],
    *,
    now_us: int | None = None,
    id_prefix: str | None = None,
) -> pa.Table:
    """Events as a checked table in the staged schema, in the order given.

    Args:
        now_us: the timestamp of events that have none; without it those are refused.
        id_prefix: events without an id get ``<prefix>:<row>``; without it the id stays ''.

    Raises:
        InvalidInput: one of them cannot be an event; `where` names row and field.
    """
    import pyarrow as pa

    from lakecore.journal._events import batch as event_batch

    given = events if isinstance(events, list) else list(events)
    if len(given) <= _FEW_ROWS:
        rows = [_row_of(event, row) for row, event in enumerate(given)]
        checked = [tuple(rules.check_row(values, row).values()) for row, values in enumerate(rows)]
        return event_batch.fill(
            _columns_of(checked),
            staged_schema(),
            count=len(rows),
            now_us=now_us,
            id_prefix=id_prefix,
        )
    constant: set[str] = set()
    try:
        columns = _columns_of_mappings(given, constant) or _columns_of(_rows_of(given), constant)
    except (pa.ArrowException, InvalidInput, TypeError, ValueError, OverflowError) as error:
        # The array builder does not say which cell it refused: the row rules do.
        for row, values in enumerate(_rows_of(given)):
            rules.check_row(values, row)
        raise Bug("events pass the rules but do not fit the schema", found=error) from error
    return event_batch.check_and_fill(
        columns,
        staged_schema(),
        count=len(given),
        now_us=now_us,
        id_prefix=id_prefix,
        constant=constant,
    )


def validate_batch(
    batch: pa.Table | pa.RecordBatch,
    *,
    now_us: int | None = None,
    id_prefix: str | None = None,
    json_is_known: bool = False,
    constant: Collection[str] = (),
) -> pa.Table:
    """A batch of events, checked and brought to the staged schema.

    Columns may come in any order, as string, large_string, string_view or dictionary;
    optional columns may be missing, and null cells of columns that cannot be null get the
    column's default. `seq` is dropped: the journal gives it. Arguments as `events_to_arrow`;
    with `json_is_known` the values' texts are of our own encoders and are not parsed,
    and of `constant` columns, which have one value, only the first row is checked.

    Raises:
        InvalidInput: a column or a cell is not an event's; `where` names row and field.
    """
    from lakecore.journal._events import batch as event_batch

    return event_batch.validate(
        batch,
        staged_schema(),
        now_us=now_us,
        id_prefix=id_prefix,
        json_is_known=json_is_known,
        constant=constant,
    )


def with_seq(staged: pa.Table, first_seq: int) -> pa.Table:
    """Staged events with their place in the journal: the schema of sealed events."""
    import numpy as np
    import pyarrow as pa

    count = staged.num_rows
    seq = pa.array(np.arange(first_seq, first_seq + count, dtype=np.int64))
    leaf = pa.array(np.full(count, LEAF_VERSION, dtype=np.int8))
    columns = [seq, *(staged.column(name) for name in STAGED_FIELDS), leaf]
    return pa.table(columns, schema=event_schema())


def arrow_to_events(table: pa.Table | pa.RecordBatch) -> list[Event]:
    """The rows of a table in the sealed or the staged schema as events."""
    import pyarrow as pa

    columns: dict[str, list[object]] = {}
    for name in FIELDS:
        if name not in table.schema.names:
            columns[name] = [LEAF_VERSION if name == "leaf" else None] * table.num_rows
        elif name == "timestamp":
            micros = table.column(name).cast(pa.int64()).to_pylist()
            columns[name] = [from_microseconds(at) for at in micros]
        else:
            columns[name] = table.column(name).to_pylist()
    names = list(columns)
    rows = zip(*columns.values(), strict=True)
    return [Event(**dict(zip(names, row, strict=True))) for row in rows]


def _row_of(event: Event | Mapping[str, object], row: int) -> tuple[object, ...]:
    if isinstance(event, Event):
        return _values_of(event)
    if not isinstance(event, Mapping):
        raise InvalidInput(
            "not an event",
            expected="an Event or a mapping",
            found=type(event).__name__,
            where=f"row {row}",
        )
    if not event.keys() <= _KNOWN:
        rules.check_names(event.keys(), FIELDS, where=f"row {row}")
    return tuple(map(event.get, FIELDS))


def _rows_of(events: list[Event | Mapping[str, object]]) -> list[tuple[object, ...]]:
    return [_row_of(event, row) for row, event in enumerate(events)]


def _columns_of_mappings(
    events: list[Any], constant: set[str]
) -> dict[str, pa.ChunkedArray] | None:
    """The columns of dictionaries; None for anything else. See `_column_of` for `constant`.

    (Measured: half the time of the way over rows.)
    """
    if set(map(type, events)) != {dict}:
        return None
    names = [name for name in FIELDS if name in events[0]]
    if 1 < len(names) == len(events[0]) and sum(map(len, events)) == len(names) * len(events):
        # As many names as the first one has: either the same ones, or one is missing.
        with suppress(KeyError):
            cells = _cells_of(events, names)
            return {
                name: _column_of(name, column, constant)
                for name, column in zip(names, cells, strict=True)
            }
    known: set[str] = set().union(*events)
    if not known <= _KNOWN:
        return None
    columns: dict[str, pa.ChunkedArray] = {}
    for name in FIELDS:
        if name in known:
            column = tuple([event.get(name) for event in events])
            columns[name] = _column_of(name, column, constant)
    return columns


def _cells_of(events: list[Any], names: list[str]) -> list[list[Any]]:
    """The cells of each of two names or more. `KeyError` where one is missing."""
    cells: list[list[Any]] = [[] for _ in names]
    values_of = itemgetter(*names)
    for start in range(0, len(events), _FEW_TUPLES):
        rows = map(values_of, events[start : start + _FEW_TUPLES])
        for column, some in zip(cells, zip(*rows, strict=True), strict=True):
            column.extend(some)
    return cells


def _columns_of(
    rows: list[tuple[object, ...]], constant: set[str] | None = None
) -> dict[str, pa.ChunkedArray]:
    cells = zip(*rows, strict=True) if rows else repeat((), len(FIELDS))
    return {
        name: _column_of(name, column, constant) for name, column in zip(FIELDS, cells, strict=True)
    }


def _column_of(
    name: str, cells: Sequence[Any], constant: set[str] | None = None
) -> pa.ChunkedArray:
    """One column; its name is added to `constant` if it has one text in all rows.

    Such a column is made and checked once: applications repeat most of what they record.
    """
    import pyarrow as pa

    if (
        constant is not None
        and len(cells) > _FEW_ROWS
        and type(cells[0]) is str
        and cells[0] == cells[-1]
    ):
        is_text = name != "timestamp" and name not in rules.INTEGERS
        if is_text and cells.count(cells[0]) == len(cells):
            constant.add(name)
            return pa.chunked_array([pa.repeat(cells[0], len(cells))])
    kinds = set(map(type, cells)) - {type(None)}
    target = pa.string()
    if name == "timestamp":
        target = pa.timestamp("us", tz="UTC")
        if kinds - {datetime} or None in {at.tzinfo for at in cells if at is not None}:
            cells = tuple(None if at is None else rules.timestamp_us(at, 0) for at in cells)
    elif name in rules.INTEGERS:
        target = pa.int64()
        if kinds - {int}:
            raise TypeError(name)
    elif kinds - {str}:
        # The builder would take bytes for text.
        raise TypeError(name)
    array = pa.array(cells, target)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
