"""One version that another program made, journaled from the files that it removed and added.

Three ways, the next one where the one before does not do:

1. by key: exactly what changed, field by field;
2. as row sets: how many rows went and came, and their multiset hashes;
3. a gap: that there was a version, and why nothing else can be told.

Each ends with one event of the commit as a whole, which has the digest of the log entry:
without it nothing would show that the entry is rewritten later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from lakecore.base import AlreadyExists
from lakecore.base.limits import MIB
from lakecore.journal import MultisetHash, Target, foreign_commit_id
from lakecore.reconcile._cancel import pairing_columns, unpaired
from lakecore.reconcile._entry import Entry, FileAction, read_entry
from lakecore.reconcile._events import EventWriter, Piece, context_text, texts
from lakecore.reconcile._keyed import Counts, check_key_schema, keyed_pieces
from lakecore.reconcile._report import Kind, ReconciledVersion
from lakecore.reconcile._rows import DataFiles, Underivable, deletion_masks
from lakecore.reconcile._schema import TableSchema, protocol_event, schema_events
from lakecore.reconcile._sides import MAX_PARTS, Side, Sides
from lakecore.reconcile._unkeyed import RowSets, parts_for
from lakecore.tables import actions_sha256

if TYPE_CHECKING:
    from lakecore.catalog import Dataset
    from lakecore.journal import Journal
    from lakecore.reconcile._replay import Replay
    from lakecore.storage import Store

MEMORY_BYTES: Final = 256 * MIB
"""Decoded rows that are held at once; more are spilled."""
_MAX_WHY_CHARACTERS: Final = 500


@dataclass(slots=True)
class _Told:
    """What the closing event and the report say of a version."""

    kind: Kind = "unchanged"
    action: str = "reconcile"
    rows: int = 0
    details: dict[str, object] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignVersion:
    """A version to be journaled; `before` is the table's log replayed up to the one before."""

    dataset: Dataset
    version: int
    path: str
    data: bytes
    before: Replay
    modified_us: int


class VersionJournal:
    """Journals versions of other programs.

    Args:
        memory_bytes: how much of decoded rows is held at once.
        temp_dir: where the rest is spilled; the system's place when None.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        *,
        memory_bytes: int = MEMORY_BYTES,
        temp_dir: Path | None = None,
    ) -> None:
        self._store = store
        self._journal = journal
        self._memory_bytes = memory_bytes
        self._temp_dir = temp_dir

    def journal(self, version: ForeignVersion) -> ReconciledVersion:
        """Stage its events: from then on they are committed, because the version is there.

        Raises:
            CorruptData: the entry or a data file does not read: mend it and come again.
        """
        entry = read_entry(version.data, where=version.path)
        change = _Change(self._store, version, entry, self._memory_bytes)
        ways = [change.by_row_sets]
        if version.dataset.key:
            ways.insert(0, change.by_key)
        why = ""
        for way in ways:
            told = _Told(why=why)
            try:
                return self._stage(version, entry, told, partial(way, told))
            except Underivable as error:
                why = why or str(error)[:_MAX_WHY_CHARACTERS]
        told = _Told(kind="gap", action="gap", why=why)
        return self._stage(version, entry, told, change.schema_only)

    def adopt(self, version: ForeignVersion, live: Replay) -> ReconciledVersion:
        """Journal the first version of an adopted table: how many rows, and their hash.

        Args:
            live: the table at that version.
        """
        entry = read_entry(version.data, where=version.path)
        told = _Told(kind="adopt", action="adopt")

        def describe(_: Callable[[Piece], None]) -> None:
            rows = self.content(version.dataset.location, live)
            told.rows = rows.count
            told.details = {
                "adopted_version": version.version,
                "rows": rows.count,
                "rows_hash": rows.hex(),
                "files": len(live.files),
            }

        return self._stage(version, entry, told, describe)

    def content(self, location: str, live: Replay) -> MultisetHash:
        """The hash of all rows of a table."""
        found = MultisetHash()
        for rows in table_rows(self._store, location, live):
            found.add(rows)
        return found

    def _stage(
        self,
        version: ForeignVersion,
        entry: Entry,
        told: _Told,
        describe: Callable[[Callable[[Piece], None]], None],
    ) -> ReconciledVersion:
        dataset = version.dataset
        commit_id = foreign_commit_id(dataset.dataset_id, version.version)
        target = Target(
            path=version.path,
            kind="table",
            dataset=dataset.name,
            dataset_id=dataset.dataset_id,
            version=version.version,
        )
        result: dict[str, Any] = {
            "dataset": dataset.name,
            "version": version.version,
            "engine": entry.engine,
            "operation": entry.operation,
        }
        try:
            with self._journal.stage(target, commit_id=commit_id) as staging:
                writer = EventWriter(
                    staging,
                    dataset,
                    version=version.version,
                    actor=f"external:{entry.engine}",
                    timestamp_us=entry.time_us or version.modified_us,
                )
                with writer:
                    describe(writer.write)
                    writer.write(_closing(version, entry, told))
                staging.finish([])
        except AlreadyExists:
            # Another machine told the same version at the same time, from files that were
            # still there, say: what it staged counts.
            return ReconciledVersion(kind="journaled", **result)
        self._journal.committed(commit_id)
        return ReconciledVersion(
            kind=told.kind,
            inserted=told.counts.inserted,
            updated=told.counts.updated,
            deleted=told.counts.deleted,
            events=writer.count,
            why=told.why,
            contradiction=entry.claims_no_change and told.counts.any,
            **result,
        )


def _closing(version: ForeignVersion, entry: Entry, told: _Told) -> Piece:
    """The event of the commit as a whole, the last one."""
    commit: dict[str, object] = {
        "actions_sha256": actions_sha256(version.data, where=version.path),
        "foreign": True,
    }
    context: dict[str, object] = {"operation": entry.operation, "engine": entry.engine}
    context |= told.details
    if told.why:
        context["why"] = told.why
    if told.kind == "gap":
        commit["gap"] = told.why
    if entry.claims_no_change and told.counts.any:
        context["claims_no_change"] = True
    context["commit"] = commit
    return Piece(
        action=told.action, entity_ids=texts(f"batch:{told.rows}"), context=context_text(context)
    )


class _Change:
    """What one version changed."""

    def __init__(
        self, store: Store, version: ForeignVersion, entry: Entry, memory_bytes: int
    ) -> None:
        self._store = store
        self._version = version
        self._entry = entry
        self._memory_bytes = memory_bytes
        metadata = version.before.metadata or {}
        self._old = TableSchema(metadata)
        self._new = TableSchema(entry.metadata if entry.metadata is not None else metadata)
        # What is removed and added as it was has no other rows: tags or statistics changed.
        same = {file.key for file in entry.removes} & {file.key for file in entry.adds}
        removed = (version.before.with_partition(file) for file in entry.removes)
        self._files: dict[Side, list[FileAction]] = {
            "removed": [file for file in removed if file.key not in same],
            "added": [file for file in entry.adds if file.key not in same],
        }

    def by_key(self, told: _Told, write: Callable[[Piece], None]) -> None:
        """Field by field. Raises `Underivable`."""
        key = self._version.dataset.key
        self.schema_only(write)
        if not self._has_files:
            return
        check_key_schema(self._new.arrow, key)
        if self._files["removed"]:
            check_key_schema(self._old.arrow, key)
        size = sum(reader.measure(file)[1] for _, reader, file in self._all())
        parts = max(1, min(MAX_PARTS, -(-size // self._memory_bytes)))
        with TemporaryDirectory(prefix="lakecore-reconcile-") as folder:
            sides = Sides(key, parts, Path(folder))
            old = _aligned_schema(self._old.arrow, self._new.arrow, key)
            sides.write("removed", old, (_aligned(rows, old) for rows in self._rows("removed")))
            sides.write("added", self._new.arrow, self._rows("added"))
            for piece in keyed_pieces(sides, key, told.counts):
                write(piece)
        counts = told.counts
        told.rows = counts.inserted + counts.updated + counts.deleted
        told.kind = "changes" if counts.any else "unchanged"
        told.details = {
            "inserted": counts.inserted,
            "updated": counts.updated,
            "deleted": counts.deleted,
        }

    def by_row_sets(self, told: _Told, write: Callable[[Piece], None]) -> None:
        """Counts and hashes of the rows that went and came. Raises `Underivable`."""
        self.schema_only(write)
        if not self._has_files:
            return
        rows = sum(reader.measure(file)[0] for _, reader, file in self._all())
        with TemporaryDirectory(prefix="lakecore-reconcile-") as folder:
            sets = RowSets(parts_for(rows, self._memory_bytes, MAX_PARTS), Path(folder))
            for side, rest in self._unpaired(Path(folder)):
                sets.write(side, rest)
            removed, added = sets.difference()
        told.counts = Counts(inserted=added.count, deleted=removed.count)
        told.rows = removed.count + added.count
        told.details = {"rows_added": added.count, "rows_removed": removed.count}
        if added.count:
            told.details["added"] = added.hex()
        if removed.count:
            told.details["removed"] = removed.hex()
        if told.rows:
            told.kind = "batch" if told.why else "changes"
            told.action = _row_set_action(removed.count, added.count)

    def _unpaired(self, folder: Path) -> Iterator[tuple[Side, Iterable[pa.Table]]]:
        """The rows of each side, without most of those that are on both."""
        schema = self._new.arrow
        columns = pairing_columns(schema)
        if not (columns and all(self._files.values()) and self._old.arrow.equals(schema)):
            yield from ((side, self._rows(side)) for side in self._files)
            return
        size = sum(reader.measure(file)[1] for _, reader, file in self._all())
        sides = Sides(columns, max(1, min(MAX_PARTS, -(-size // self._memory_bytes))), folder)
        for side in self._files:
            sides.write(side, schema, self._rows(side))
        for part in range(sides.parts):
            removed, added = unpaired(
                sides.read("removed", part), sides.read("added", part), columns
            )
            yield from (("removed", [removed]), ("added", [added]))

    def schema_only(self, write: Callable[[Piece], None]) -> None:
        """The events of columns, properties and the protocol."""
        entry, before = self._entry, self._version.before
        found = list(protocol_event(before.protocol, entry.protocol))
        if entry.metadata is not None:
            found += schema_events(self._old, self._new)
        for event in found:
            write(
                Piece(
                    action=event.action,
                    entity_type="schema",
                    entity_ids=texts(self._version.dataset.name),
                    field=event.field,
                    old=None if event.old is None else texts(event.old),
                    new=None if event.new is None else texts(event.new),
                )
            )

    @property
    def _has_files(self) -> bool:
        return any(self._files.values())

    def _all(self) -> Iterator[tuple[Side, DataFiles, FileAction]]:
        for side, files in self._files.items():
            reader = self._reader(side)
            for file in files:
                yield side, reader, file

    def _rows(self, side: Side) -> Iterator[pa.Table]:
        reader = self._reader(side)
        for file in self._files[side]:
            yield from reader.rows(file)

    def _reader(self, side: Side) -> DataFiles:
        version = self._version
        schema = self._old if side == "removed" else self._new
        at = version.version - 1 if side == "removed" else version.version
        return _reader(self._store, version.dataset.location, schema, self._files[side], at)


def _reader(
    store: Store, location: str, schema: TableSchema, files: Iterable[FileAction], version: int
) -> DataFiles:
    if schema.maps_nested:
        raise Underivable("columns inside of columns have other names in the files")
    masks = None
    if any(file.vector for file in files):
        masks = deletion_masks(store, location, version)
    return DataFiles(store, location, schema, masks)


def table_rows(
    store: Store, location: str, live: Replay, columns: tuple[str, ...] | None = None
) -> Iterator[pa.Table]:
    """All rows of a table, or some columns of them, some rows at a time.

    Raises:
        Underivable, CorruptData: see `DataFiles.rows`.
    """
    reader = _reader(store, location, TableSchema(live.metadata or {}), live, live.version)
    for file in live:
        yield from reader.rows(file, columns)


def _row_set_action(removed: int, added: int) -> str:
    if not removed:
        return "insert"
    return "replace" if added else "delete"


def _aligned_schema(old: pa.Schema, new: pa.Schema, key: tuple[str, ...]) -> pa.Schema:
    """`old` with the key columns of the types that they have now."""
    return pa.schema([new.field(item.name) if item.name in key else item for item in old])


def _aligned(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    if rows.schema.equals(schema):
        return rows
    try:
        return rows.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise Underivable("the key column is of another type than before") from error
