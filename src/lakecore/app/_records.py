"""The lake's own records: which kinds there are, and what they are joined with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.records import Expiry, Recorder, RecordKind


def record_kinds(parts: Components) -> list[RecordKind]:
    """Every kind of record that this Lakecore writes; a package that records adds its own."""
    from lakecore.app._agents import agent_kinds
    from lakecore.app._models import usage_kind
    from lakecore.app._review import review_kinds
    from lakecore.observer import event_kind, span_kind

    observer = parts.settings.observer
    return [
        usage_kind(),
        *agent_kinds(),
        *review_kinds(),
        event_kind(observer.events_retention_days),
        span_kind(observer.spans_retention_days),
    ]


def make_recorder(parts: Components) -> Recorder:
    """The recorder of a lake, as its settings say."""
    from lakecore.records import Recorder, RecordSettings

    lake = parts.settings.lake
    return Recorder(
        parts.state_dir,
        parts.catalog,
        parts.tables,
        kinds=record_kinds(parts),
        settings=RecordSettings(
            interval_s=lake.records_interval_s, max_bytes=lake.records_max_bytes
        ),
        clock=parts.clock,
        on_flushed=parts.changed,
    )


def make_expiry(parts: Components) -> Expiry:
    """What upkeep asks about rows that are kept for a time only."""
    from lakecore.records import Expiry
    from lakecore.tables import Upkeep

    return Expiry(parts.tables, Upkeep(parts.tables), parts.clock, parts.records.find)
