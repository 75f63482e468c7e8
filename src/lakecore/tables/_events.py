"""Events of a change, as Arrow: whole columns at a time, never a row."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakecore.tables._gate import DIFF_COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt

    from lakecore.journal import Author
    from lakecore.tables._review import Review
    from lakecore.tables._types import DatasetRef, IngestNote

    Owners = npt.NDArray[np.intp]


SCHEMA: Final = "schema"
"""The `entity_type` of events about columns; the entity is the dataset, the field the column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Events of one shape: a column each for what differs, a value for what does not.

    `old` and `new` are JSON text, null where the side does not exist; `contexts` is JSON
    object text, one for each event, where the author's own does not do. `owners`: which of
    the commit's mutations each event belongs to, by position; None when it has but one.

    Not `journaled`: part of the exact change, but no events, as rows of an unkeyed dataset
    are. `summary`: an event that is no part of it, because it sums up others.
    """

    action: str
    entity_ids: pa.ChunkedArray | pa.Array
    field: str = "*"
    old: pa.ChunkedArray | pa.Array | None = None
    new: pa.ChunkedArray | pa.Array | None = None
    entity_type: str | None = None
    contexts: pa.ChunkedArray | pa.Array | None = None
    owners: Owners | None = None
    journaled: bool = True
    summary: bool = False

    def __len__(self) -> int:
        return len(self.entity_ids)

    def value_bytes(self) -> npt.NDArray[np.int64]:
        """How long old and new value are together, for each event."""
        sizes = np.zeros(len(self), np.int64)
        for side in (self.old, self.new):
            if side is not None:
                sizes += np.asarray(pc.fill_null(pc.binary_length(side), 0))
        return sizes

    def exact(self, entity_type: str) -> pa.Table:
        """As a sink gets it; `entity_type` where the change has none of its own."""
        constant = {
            "entity_type": self.entity_type or entity_type,
            "field": self.field,
            "action": self.action,
        }
        columns = {"entity_id": self.entity_ids, "old_value": self.old, "new_value": self.new}
        arrays = []
        for name in DIFF_COLUMNS:
            values = columns.get(name)
            if values is not None:
                arrays.append(_as_text(values))
            else:
                text = pa.scalar(constant.get(name), pa.string())
                arrays.append(pa.repeat(text, len(self)))
        return pa.table(arrays, names=list(DIFF_COLUMNS))


@dataclass(frozen=True, slots=True)
class Owner:
    """One of the mutations in a commit: who made it, its id, and what its judge is shown."""

    author: Author
    mutation_id: str
    review: Review


def owners_of(owners: Owners | None) -> list[int]:
    """The mutations, by position, that these events or rows belong to; None: the first's."""
    return [0] if owners is None else np.unique(owners).tolist()


class Numbering:
    """Gives the events of each mutation of a commit their ordinals, each from 0."""

    def __init__(self, owners: int) -> None:
        self.counts: Owners = np.zeros(owners, dtype=np.intp)

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    def take(self, change: Change) -> Owners:
        """The ordinals of the next events."""
        owners, count = change.owners, len(change)
        if owners is None:
            first = self.counts[0]
            self.counts[0] += count
            return np.arange(first, first + count)
        order = np.argsort(owners, kind="stable")
        counts = np.bincount(owners, minlength=len(self.counts))
        starts = np.cumsum(counts) - counts
        numbers = np.empty(count, dtype=np.intp)
        numbers[order] = np.arange(count) + np.repeat(self.counts - starts, counts)
        self.counts += counts
        return numbers


class Shares:
    """How many rows each mutation of a commit inserted, updated and left alone."""

    def __init__(self, owners: int) -> None:
        self._size = owners
        self._counts: dict[str, Owners] = {}

    def count(self, what: str, owners: Owners) -> None:
        """One more for each of `owners`."""
        known = self._counts.get(what, 0)
        self._counts[what] = known + np.bincount(owners, minlength=self._size)

    def of(self, what: str, owner: int) -> int:
        counts = self._counts.get(what)
        return 0 if counts is None else int(counts[owner])


_MAX_REPEATED: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTemplate:
    """What every event of one attempt has in common."""

    dataset: DatasetRef
    owners: Sequence[Owner]
    version: int
    timestamp_us: int
    _repeated: dict[tuple[str, object], pa.Array] = field(default_factory=dict, repr=False)
    """Columns of one value, at the longest length that was asked for: parts of them serve."""

    @property
    def entity_type(self) -> str:
        """Of the dataset's rows."""
        return self.dataset.entity_type or self.dataset.name

    def build(self, change: Change, ordinals: Owners) -> tuple[pa.Table, frozenset[str]]:
        """The events of `change` in the staged schema; the columns of one value."""
        from lakecore.journal import staged_schema

        count = len(change)
        schema = staged_schema()
        author = self.owners[0].author
        constant = {
            "timestamp": self.timestamp_us,
            "entity_type": change.entity_type or self.entity_type,
            "field": change.field,
            "action": change.action,
            "actor": author.actor,
            "source": author.source,
            "workspace_id": author.workspace_id,
            "dataset": self.dataset.name,
            "dataset_id": self.dataset.dataset_id,
            "version": self.version,
            "mutation_id": self.owners[0].mutation_id,
            "old_value": None,
            "new_value": None,
        }
        columns: dict[str, Any] = {"entity_id": change.entity_ids}
        if change.owners is not None:
            columns |= self._owned(change.owners)
        elif change.contexts is None:
            constant["context"] = author.context_text()
        if change.contexts is not None:
            columns["context"] = change.contexts
        columns["event_id"] = pc.binary_join_element_wise(
            columns.get("mutation_id", self.owners[0].mutation_id),
            pa.array(ordinals).cast(pa.string()),
            ":",
        )
        sides = {"old_value": change.old, "new_value": change.new}
        columns |= {name: values for name, values in sides.items() if values is not None}
        arrays = []
        for item in schema:
            if item.name in columns:
                arrays.append(_as_text(columns[item.name]))
            else:
                arrays.append(self._constant(item, constant[item.name], count))
        return pa.table(arrays, schema=schema), frozenset(constant) - frozenset(columns)

    def _constant(self, item: pa.Field, value: object, count: int) -> pa.Array:
        known = self._repeated.get((item.name, value))
        if known is None or len(known) < count:
            if len(self._repeated) >= _MAX_REPEATED:
                self._repeated.clear()
            known = pa.repeat(pa.scalar(value, item.type), count)
            self._repeated[item.name, value] = known
        return known.slice(0, count)

    def moved(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Events of another template as those of this one's version and time."""
        for name, value in (("version", self.version), ("timestamp", self.timestamp_us)):
            item = batch.schema.field(name)
            column = pa.repeat(pa.scalar(value, item.type), batch.num_rows)
            batch = batch.set_column(batch.schema.get_field_index(name), item, column)
        return batch

    def _owned(self, owners: Owners) -> dict[str, pa.Array]:
        """The columns that differ between the mutations of a commit."""
        index = pa.array(owners)
        of_each = {
            "actor": [owner.author.actor for owner in self.owners],
            "source": [owner.author.source for owner in self.owners],
            "workspace_id": [owner.author.workspace_id for owner in self.owners],
            "mutation_id": [owner.mutation_id for owner in self.owners],
            "context": [owner.author.context_text() for owner in self.owners],
        }
        return {name: texts(*values).take(index) for name, values in of_each.items()}


def _as_text(values: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    if isinstance(values, pa.ChunkedArray) and values.num_chunks != 1:
        # In pieces of one length, events would be hashed and staged in as many.
        values = values.combine_chunks()
    return values if values.type == pa.string() else values.cast(pa.string())


def with_commit(event: pa.RecordBatch, members: Mapping[str, str]) -> pa.Table:
    """One event with member ``commit`` in its context."""
    context = json.loads(event.column("context")[0].as_py())
    context["commit"] = dict(members)
    text = json.dumps(context, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    table = pa.Table.from_batches([event])
    index = table.schema.get_field_index("context")
    return table.set_column(index, table.schema.field(index), texts(text))


def texts(*values: str | None) -> pa.Array:
    """A few values as a text column."""
    return pa.array(values, pa.string())


def rekeyed_contexts(author: Author, old_ids: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The author's context with `rekeyed_from`, the entity's former id, for every row."""
    from lakecore.journal import json_text

    mark = uuid.uuid4().hex
    before, after = author.context_text({"rekeyed_from": mark}).split(f'"{mark}"')
    if not isinstance(old_ids, pa.ChunkedArray):
        old_ids = pa.chunked_array([old_ids])
    return pc.binary_join_element_wise(before, _as_text(json_text(old_ids)), after, "")


def schema_change(dataset: DatasetRef, name: str, delta_type: str) -> Change:
    """A column that the table gains: the entity is the dataset, the field is the column."""
    return Change(
        action="add_column",
        entity_type=SCHEMA,
        entity_ids=texts(dataset.name),
        field=name,
        new=texts(delta_type),
    )


def batch_change(
    author: Author,
    *,
    action: str,
    count: int,
    note: IngestNote | None,
    details: dict[str, object],
) -> Change:
    """One event for many rows: `details` (counts, multiset hashes) go into its context."""
    extra: dict[str, object] = dict(details)
    new = None
    if note is not None:
        action = "ingest"
        new = texts(json.dumps(f"{count} rows from {note.file_name}", ensure_ascii=False))
        extra |= {
            "file": note.file_name,
            "file_sha256": note.sha256,
            "file_bytes": note.size_bytes,
        }
    return Change(
        action=action,
        entity_ids=texts(f"batch:{count}"),
        new=new,
        contexts=texts(author.context_text(extra)),
        summary=True,
    )
