"""Direct events: taken, checked, completed, and handed to whoever makes them durable."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lakecore.base import Clock, uuid7
from lakecore.journal._events.event import NULLABLE, Event, events_to_arrow, validate_batch
from lakecore.journal._events.row import checked_row
from lakecore.journal._hot.batch import (
    FEW_EVENTS,
    ROWS,
    encode_row,
    encode_table,
    join_rows,
)
from lakecore.journal._hot.group import Entry, GroupCommit
from lakecore.journal._hot.keys import key_of, keys_of
from lakecore.journal._log.once import IsGiven

if TYPE_CHECKING:
    import pyarrow as pa


class Recorder(ABC):
    """The calls that record events; a subclass says how a batch of them becomes durable.

    An event id that the caller supplies makes its append idempotent for a number of days
    (`JournalSettings.idempotency_days`): the same id again, with the same content in the
    fields that are given now, is acknowledged and not recorded again; with other content it
    is refused, and nothing of the call is recorded. JSON text is compared as text. An
    `Event` gives all its fields but a timestamp that is None, a mapping those it has.
    """

    _clock: Clock

    @abstractmethod
    def _append(self, entry: Entry, is_given: IsGiven) -> None:
        """Return when a batch is durable."""

    @abstractmethod
    async def _append_async(self, entry: Entry, is_given: IsGiven) -> None:
        """As `_append`, without blocking the event loop."""

    @abstractmethod
    def _group(self, entry: Entry) -> GroupCommit | None:
        """What an entry may join at once; None when something has to be looked up before."""

    def record(self, event: Event | Mapping[str, object]) -> str:
        """Record one event; durable on return. Returns its id.

        Missing fields get their defaults, the id a UUIDv7, the timestamp the clock's time.

        Raises:
            InvalidInput: it cannot be an event, or its id has other content.
            Unavailable: no room within the bound; the event was not recorded.
        """
        event_id, entry = self._entry_of(event)
        self._append(entry, _is_given_in([event]))
        return event_id

    async def record_async(self, event: Event | Mapping[str, object]) -> str:
        """As `record`, for tasks of an event loop: they share commits, with threads too.

        A task that is cancelled may have recorded its event, as one that is interrupted
        before an answer reaches it; what others recorded is not touched.
        """
        event_id, entry = self._entry_of(event)
        # One frame above the future, not four: a task that is woken goes through all of them.
        group = self._group(entry)
        done = group.join(entry) if group is not None else None
        if group is None or done is None:
            await self._append_async(entry, _is_given_in([event]))
            return event_id
        try:
            await done
        except asyncio.CancelledError:
            group.leave(entry)
            raise
        if entry.error is not None:
            raise entry.error
        return event_id

    def record_many(self, events: Iterable[Event | Mapping[str, object]]) -> list[str]:
        """Record events, all or none; durable on return. Returns their ids."""
        rows = list(events)
        ids, entry = self._entry_of_many(rows)
        if entry is not None:
            self._append(entry, _is_given_in(rows))
        return ids

    async def record_many_async(self, events: Iterable[Event | Mapping[str, object]]) -> list[str]:
        """As `record_many`, for tasks of an event loop; see `record_async`."""
        rows = list(events)
        ids, entry = self._entry_of_many(rows)
        if entry is not None:
            await self._append_async(entry, _is_given_in(rows))
        return ids

    def record_batch(self, events: pa.Table | pa.RecordBatch) -> int:
        """Record a batch of events, all or none; durable on return. Returns their number."""
        table = validate_batch(events, now_us=self._clock.now_us(), id_prefix=uuid7(self._clock))
        if table.num_rows:
            encoding, data = encode_table(table)
            keys = b""
            if "event_id" in events.schema.names:
                keys = _keys(_texts(events.column("event_id")))
            entry = Entry(encoding, table.num_rows, data, keys)
            self._append(entry, lambda row, name: _is_given_at(events, row, name))
        return int(table.num_rows)

    def _entry_of(self, event: Event | Mapping[str, object]) -> tuple[str, Entry]:
        row = checked_row(event)
        event_id = row.event_id or uuid7(self._clock)
        keys = key_of(row.event_id) if row.event_id else b""
        return event_id, Entry(ROWS, 1, encode_row(row, event_id, self._clock.now_us()), keys)

    def _entry_of_many(
        self, rows: list[Event | Mapping[str, object]]
    ) -> tuple[list[str], Entry | None]:
        if not rows:
            return [], None
        prefix, now_us = uuid7(self._clock), self._clock.now_us()
        if len(rows) <= FEW_EVENTS:
            few = [checked_row(event, position) for position, event in enumerate(rows)]
            ids = [row.event_id or f"{prefix}:{position}" for position, row in enumerate(few)]
            data = join_rows([encode_row(row, i, now_us) for row, i in zip(few, ids, strict=True)])
            return ids, Entry(ROWS, len(ids), data, _keys([row.event_id for row in few]))
        table = events_to_arrow(rows, now_us=now_us, id_prefix=prefix)
        ids = table.column("event_id").to_pylist()
        encoding, data = encode_table(table)
        keys = b"" if _all_start(table, prefix) else _keys([_supplied_of(row) for row in rows])
        return ids, Entry(encoding, len(rows), data, keys)

    def record_insert(
        self,
        entity_type: str,
        entity_id: str,
        actor: str,
        source: str = "api",
        workspace_id: str = "",
    ) -> str:
        """An entity was added."""
        return self.record(
            Event(
                entity_type=entity_type,
                entity_id=entity_id,
                action="insert",
                actor=actor,
                source=source,
                workspace_id=workspace_id,
            )
        )

    def record_update(
        self,
        entity_type: str,
        entity_id: str,
        field: str,
        old_value: object,
        new_value: object,
        actor: str,
        source: str = "api",
        workspace_id: str = "",
    ) -> str:
        """A field of an entity was changed; the values are encoded to JSON text."""
        from lakecore.journal._values.text import encode_value

        return self.record(
            Event(
                entity_type=entity_type,
                entity_id=entity_id,
                field=field,
                action="update",
                old_value=encode_value(old_value),
                new_value=encode_value(new_value),
                actor=actor,
                source=source,
                workspace_id=workspace_id,
            )
        )

    def record_delete(
        self,
        entity_type: str,
        entity_id: str,
        actor: str,
        source: str = "api",
        workspace_id: str = "",
    ) -> str:
        """An entity was removed."""
        return self.record(
            Event(
                entity_type=entity_type,
                entity_id=entity_id,
                action="delete",
                actor=actor,
                source=source,
                workspace_id=workspace_id,
            )
        )

    def record_ingest(self, entity_type: str, count: int, actor: str, source_file: str) -> str:
        """A file brought `count` rows."""
        from lakecore.journal._values.text import encode_value

        return self.record(
            Event(
                entity_type=entity_type,
                entity_id=f"batch:{count}",
                action="ingest",
                new_value=encode_value(f"{count} rows from {source_file}"),
                actor=actor,
                source="ingest",
            )
        )


def _all_start(events: pa.Table, prefix: str) -> bool:
    """Whether all ids have a prefix that was made for this call: none is a caller's."""
    import pyarrow.compute as pc

    return bool(pc.all(pc.starts_with(events.column("event_id"), prefix)).as_py())


def _supplied_of(event: Event | Mapping[str, object]) -> object:
    return event.event_id if isinstance(event, Event) else event.get("event_id")


def _keys(event_ids: Sequence[Any]) -> bytes:
    return keys_of(event_ids) if any(event_ids) else b""


def _texts(column: pa.ChunkedArray | pa.Array) -> list[str | None]:
    return list(column.to_pylist()) if column.null_count < len(column) else []


def _is_given_in(rows: Sequence[Event | Mapping[str, object]]) -> IsGiven:
    def is_given(row: int, name: str) -> bool:
        event = rows[row]
        if isinstance(event, Event):
            return name != "timestamp" or event.timestamp is not None
        return name in event and (name in NULLABLE or event[name] is not None)

    return is_given


def _is_given_at(events: pa.Table | pa.RecordBatch, row: int, name: str) -> bool:
    if name not in events.schema.names:
        return False
    return name in NULLABLE or bool(events.column(name)[row].is_valid)
