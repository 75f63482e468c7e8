"""What changed in a dataset between two versions, as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from lakecore.journal._read.filter import EventFilter
from lakecore.journal._read.scan import Snapshot, scan_schema

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS: Final = {
    "version": "version",
    "timestamp": "timestamp",
    "action": "action",
    "key": "entity_id",
    "field": "field",
    "old_value": "old_value",
    "new_value": "new_value",
    "actor": "actor",
    "source": "source",
    "mutation_id": "mutation_id",
    "seq": "seq",
}
"""The columns of changes, and the event's fields that they are."""

ROW_ACTIONS: Final = ("insert", "update", "delete", "replace", "gap")
"""Of events about rows. ``replace`` and ``gap`` are of versions that another program made and
that nobody can tell row by row: left out, it would look as if they had changed nothing. Not
here: columns, upkeep such as compaction, and events that sum others up."""


@dataclass(frozen=True, slots=True)
class VersionFilter(EventFilter):
    """Events that match `EventFilter`, of versions behind `after` up to and with `until`."""

    after: int = -1
    until: int = -1

    @property
    def columns(self) -> list[str]:
        """The columns that it looks at."""
        return [*self.equals, "version"]

    def may_match(self, row_group: Any) -> bool:
        """Whether a Parquet row group may have matches, by its statistics."""
        for index in range(row_group.num_columns):
            column = row_group.column(index)
            if column.path_in_schema != "version":
                continue
            known = column.statistics
            if known is None:
                continue
            if known.null_count == row_group.num_rows:
                return False
            if known.has_min_max and (known.max <= self.after or known.min > self.until):
                return False
        return EventFilter.may_match(self, row_group)

    def steps(self) -> list[EventFilter]:
        """The same, column by column; the versions are the quickest to read."""
        return [VersionFilter({}, after=self.after, until=self.until), *EventFilter.steps(self)]

    def mask(self, table: pa.Table) -> pa.Array | None:
        """True for the rows that match."""
        import pyarrow.compute as pc

        version = table.column("version")
        found = pc.and_(pc.greater(version, self.after), pc.less_equal(version, self.until))
        rest = EventFilter.mask(self, table)
        return pc.fill_null(found if rest is None else pc.and_(found, rest), False)


def changes(snapshot: Snapshot, dataset_id: str, after: int, until: int) -> pa.RecordBatchReader:
    """One row a changed row and field, sealed ones first; of `COLUMNS`. See `ROW_ACTIONS`.

    Row groups of other datasets and versions are passed over by their statistics; of the
    rest the other columns are read only where a row matches.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = VersionFilter({"dataset_id": dataset_id}, after=after, until=until)
    kept = list(COLUMNS.values())
    schema = pa.schema(
        scan_schema().field(kept_as).with_name(name) for name, kept_as in COLUMNS.items()
    )

    def batches() -> Iterator[pa.RecordBatch]:
        for table in chain(snapshot.sealed(wanted, columns=kept), snapshot.unsealed(wanted)):
            found = table.select(kept).rename_columns(list(COLUMNS)).cast(schema)
            of_rows = pc.is_in(found.column("action"), pa.array(ROW_ACTIONS))
            yield from found.filter(of_rows).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def versions_of(snapshot: Snapshot, mutation_id: str) -> list[tuple[str, int]]:
    """The versions that a mutation made, as (`dataset_id`, version), sorted."""
    import pyarrow as pa

    wanted = EventFilter.of(mutation_id=mutation_id)
    names = ["dataset_id", "version"]
    found: set[tuple[str, int]] = set()
    for table in chain(snapshot.sealed(wanted, columns=names), snapshot.unsealed(wanted)):
        pairs = table.select(names).cast(
            pa.schema([(names[0], pa.string()), (names[1], pa.int64())])
        )
        for row in pairs.group_by(names).aggregate([]).to_pylist():
            if row["dataset_id"] and row["version"] is not None:
                found.add((row["dataset_id"], row["version"]))
    return sorted(found)
