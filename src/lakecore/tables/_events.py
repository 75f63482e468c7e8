"""Events of a change, as Arrow: whole columns at a time, never a row."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import numpy.typing as npt

    from lakecore.journal import Author
    from lakecore.tables._types import DatasetRef, IngestNote

    Owners = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Events of one shape: a column each for what differs, a value for what does not.

    `old` and `new` are JSON text, null where the side does not exist; `contexts` is JSON
    object text, one for each event, where the author's own does not do. `owners`: which of
    the commit's mutations each event belongs to, by position; None when it has but one.
    """

    action: str
    entity_ids: pa.ChunkedArray | pa.Array
    field: str = "*"
    old: pa.ChunkedArray | pa.Array | None = None
    new: pa.ChunkedArray | pa.Array | None = None
    entity_type: str | None = None
    contexts: pa.ChunkedArray | pa.Array | None = None
    owners: Owners | None = None

    def __len__(self) -> int:
        return len(self.entity_ids)


@dataclass(frozen=True, slots=True)
class Owner:
    """One of the mutations in a commit: who made it, and its id."""

    author: Author
    mutation_id: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTemplate:
    """What every event of one attempt has in common."""

    dataset: DatasetRef
    owners: Sequence[Owner]
    version: int
    timestamp_us: int

    def build(self, change: Change, ordinals: Owners) -> pa.Table:
        """The events of `change` in the staged schema, with these ordinals."""
        from lakecore.journal import staged_schema

        count = len(change)
        schema = staged_schema()
        author = self.owners[0].author
        constant = {
            "timestamp": self.timestamp_us,
            "entity_type": change.entity_type or self.dataset.entity_type or self.dataset.name,
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
        for field in schema:
            if field.name in columns:
                arrays.append(_as_text(columns[field.name]))
            else:
                arrays.append(pa.repeat(pa.scalar(constant[field.name], field.type), count))
        return pa.table(arrays, schema=schema)

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
    return values if values.type == pa.string() else values.cast(pa.string())


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
        entity_type="schema",
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
    )
