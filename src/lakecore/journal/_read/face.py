"""What the journal's face offers of reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from lakecore.journal._events.event import Event
from lakecore.journal._read.files import SealedFile, files_of
from lakecore.journal._read.filter import EventFilter
from lakecore.journal._read.pages import Page, blame, history, moment_us, page
from lakecore.journal._read.scan import Scanner, concat, scan_schema
from lakecore.journal._read.state import AsOf, EntityState, entity_state, seen_from
from lakecore.journal._read.tail import POLL_S, Tail, TailOptions

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc

    from lakecore.journal._log.footers import Footers
    from lakecore.storage import Store


class Readable:
    """The calls that read; each looks at one snapshot of hot, committed and sealed events."""

    _store: Store
    _footers: Footers
    _scanner: Scanner
    _origin: str
    _is_closed: bool

    def entity_history(
        self,
        entity_id: str,
        entity_type: str | None = None,
        *,
        dataset_id: str | None = None,
        field: str | None = None,
        workspace_id: str | None = "",
    ) -> list[Event]:
        """All events of an entity, in the order in which they happened.

        Args:
            workspace_id: ``""`` leaves out what workspaces did to a dataset and is not merged;
                a workspace's id asks for its events alone, None for everybody's.
        """
        wanted = EventFilter.of(
            entity_id=entity_id, entity_type=entity_type, dataset_id=dataset_id, field=field
        )
        return seen_from(history(self._scanner.snapshot(), wanted), workspace_id)

    def state(
        self,
        entity_id: str,
        entity_type: str | None = None,
        *,
        dataset_id: str | None = None,
        seq: int | None = None,
        version: int | None = None,
        time: datetime | str | int | None = None,
        workspace_id: str | None = "",
        dataset_names: Sequence[str] | None = None,
    ) -> EntityState | None:
        """An entity's fields at a `seq`, a version or a time, inclusive; see `_read.state`.

        Args:
            dataset_names: every name that the dataset has had: its columns' events are found
                by them; without, by a scan.
        """
        at = AsOf(seq=seq, version=version, time_us=moment_us(time, "time"))
        wanted = EventFilter.of(entity_id=entity_id, entity_type=entity_type, dataset_id=dataset_id)
        return entity_state(self._scanner.snapshot(), wanted, at, workspace_id, dataset_names)

    def blame(
        self, entity_id: str, entity_type: str | None = None, *, dataset_id: str | None = None
    ) -> dict[str, Event]:
        """The last event of each field of an entity; ``*`` is the entity as a whole."""
        return blame(self.entity_history(entity_id, entity_type, dataset_id=dataset_id))

    def recent(self, limit: int = 100) -> list[Event]:
        """The newest events, the newest first."""
        return self.query(limit=limit).items

    def query(
        self,
        *,
        entity_type: str | None = None,
        entity_id: str | None = None,
        field: str | None = None,
        action: str | None = None,
        actor: str | None = None,
        source: str | None = None,
        workspace_id: str | None = None,
        dataset: str | None = None,
        dataset_id: str | None = None,
        version: int | None = None,
        mutation_id: str | None = None,
        event_id: str | None = None,
        since: datetime | str | int | None = None,
        until: datetime | str | int | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        """A page of the events that match, the newest first.

        Args:
            since, until: at or after the one, before the other; an aware datetime, RFC 3339
                text, or microseconds since the epoch.
            cursor: the page before's `next`.
        """
        wanted = EventFilter.of(
            since_us=moment_us(since, "since"),
            until_us=moment_us(until, "until"),
            entity_type=entity_type,
            entity_id=entity_id,
            field=field,
            action=action,
            actor=actor,
            source=source,
            workspace_id=workspace_id,
            dataset=dataset,
            dataset_id=dataset_id,
            version=version,
            mutation_id=mutation_id,
            event_id=event_id,
        )
        return page(self._scanner.snapshot(), wanted, limit=limit, cursor=cursor)

    def changes(self, dataset_id: str, after: int, until: int) -> pa.RecordBatchReader:
        """What changed in a dataset behind one version up to another; see `_read.changes`."""
        from lakecore.journal._read.changes import changes

        return changes(self._scanner.snapshot(), dataset_id, after, until)

    def versions_of(self, mutation_id: str) -> list[tuple[str, int]]:
        """The versions that a mutation made, as (`dataset_id`, version), sorted."""
        from lakecore.journal._read.changes import versions_of

        return versions_of(self._scanner.snapshot(), mutation_id)

    def events_at(self, seqs: Sequence[int], *, from_rows: bool = False) -> dict[int, Event]:
        """The sealed events at these positions, through the line index, by `seq`.

        Args:
            from_rows: from the segments themselves: slower, and nothing derived is believed.
        """
        from lakecore.journal._read.at import events_at

        return events_at(self._scanner.snapshot(), seqs, from_rows=from_rows)

    def tail(
        self,
        cursor: str | None = None,
        *,
        from_seq: int = 0,
        follow: bool = False,
        timeout_s: float | None = None,
        poll_s: float = POLL_S,
        limit: int | None = None,
    ) -> Tail:
        """Sealed events in order, in batches that each have a `cursor` to go on from.

        Args:
            cursor: go on behind it, once it is proven that nothing before it was rewritten.
            from_seq: without a cursor, begin here; below 0, so many events before the end.
            follow: wait for further events, looking every `poll_s`, until `timeout_s` passed
                without one, `limit` events were given, or the tail or the journal is closed.
        """
        options = TailOptions(
            cursor=cursor,
            from_seq=from_seq,
            follow=follow,
            timeout_s=timeout_s,
            poll_s=poll_s,
            limit=limit,
        )
        return Tail(
            self._store,
            self._footers,
            options,
            origin=self._origin,
            is_closed=lambda: self._is_closed,
        )

    def scan(
        self,
        columns: list[str] | None = None,
        filter: pc.Expression | None = None,  # noqa: A002 - Arrow's own word for it
    ) -> pa.RecordBatchReader:
        """All events, sealed ones first, as a stream of record batches.

        Unsealed events have no `seq`.
        """
        import pyarrow as pa

        snapshot = self._scanner.snapshot()
        names = columns if columns is not None else scan_schema().names
        schema = pa.schema([scan_schema().field(name) for name in names])
        # A filter may look at columns that are not asked for.
        sealed = snapshot.sealed(columns=names if filter is None else None)

        def batches() -> Iterator[pa.RecordBatch]:
            for tables in (sealed, snapshot.unsealed()):
                for table in tables:
                    found = table if filter is None else table.filter(filter)
                    yield from found.select(names).to_batches()

        return pa.RecordBatchReader.from_batches(schema, batches())

    def parts(self) -> tuple[list[str], pa.Table]:
        """(paths of the segments, unsealed events): one moment, for an engine that scans Parquet.

        The segments have one column more than events have, ``leaf_check``. Compaction may put
        a stub without rows in a segment's place, `compact_grace_s` after it made the run that
        has them: whoever reads longer looks again whether the files are the same.
        """
        files, unsealed = self.files()
        return [file.path for file in files], unsealed

    def files(self) -> tuple[list[SealedFile], pa.Table]:
        """As `parts`, with what each file is known to have."""
        # What is swapped for stubs later has a run by now, or gets one and a time of grace.
        self._footers.look_for_runs()
        snapshot = self._scanner.snapshot()
        return files_of(snapshot), concat(snapshot.unsealed())
