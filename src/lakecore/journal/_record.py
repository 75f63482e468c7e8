"""Direct events: taken, checked, completed, and handed to whoever makes them durable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lakecore.base import Clock, uuid7
from lakecore.journal._events.event import Event, _row_of, events_to_arrow, validate_batch
from lakecore.journal._events.rules import check_row, to_microseconds
from lakecore.journal._hot.batch import ROWS, encode_row, encode_table

if TYPE_CHECKING:
    import pyarrow as pa


class Recorder(ABC):
    """The calls that record events; a subclass says how a batch of them becomes durable."""

    _clock: Clock

    @abstractmethod
    def _append(self, encoding: int, count: int, data: bytes) -> None:
        """Return when a batch, as `_hot.batch` encodes it, is durable."""

    def record(self, event: Event | Mapping[str, object]) -> str:
        """Record one event; durable on return. Returns its id.

        Missing fields get their defaults, the id a UUIDv7, the timestamp the clock's time.

        Raises:
            InvalidInput: it cannot be an event.
            Unavailable: no room within the bound; the event was not recorded.
        """
        # Checked as a row, without the Event: half of what a durable append costs besides
        # the disk would go into making one and replacing its id and time.
        values = check_row(_row_of(event, 0), 0)
        event_id: str = values["event_id"] or uuid7(self._clock)
        moment = values["timestamp"]
        values["event_id"] = event_id
        values["timestamp"] = self._clock.now_us() if moment is None else to_microseconds(moment)
        self._append(ROWS, 1, encode_row(values))
        return event_id

    def record_many(self, events: Iterable[Event | Mapping[str, object]]) -> list[str]:
        """Record events, all or none; durable on return. Returns their ids."""
        table = events_to_arrow(events, now_us=self._clock.now_us(), id_prefix=uuid7(self._clock))
        self._append_table(table)
        return [str(event_id) for event_id in table.column("event_id").to_pylist()]

    def record_batch(self, events: pa.Table | pa.RecordBatch) -> int:
        """Record a batch of events, all or none; durable on return. Returns their number."""
        table = validate_batch(events, now_us=self._clock.now_us(), id_prefix=uuid7(self._clock))
        self._append_table(table)
        return int(table.num_rows)

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

    def _append_table(self, table: pa.Table) -> None:
        if table.num_rows:
            encoding, data = encode_table(table)
            self._append(encoding, table.num_rows, data)
