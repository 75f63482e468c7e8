"""The columns of `system.events` and `system.spans`."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from lakecore.records import RecordKind

EVENTS: Final = "events"
SPANS: Final = "spans"
SHARE: Final = 0.5
"""A flood of events fills half of the spool at most: usage and steps still get in."""

_TIME: Final = pa.timestamp("us", "UTC")


def event_kind(retention_days: float | None) -> RecordKind:
    """What is kept of an event."""
    schema = pa.schema(
        [
            ("time", _TIME),
            ("id", pa.string()),
            ("source", pa.string()),
            ("kind", pa.string()),
            ("level", pa.string()),
            ("message", pa.string()),
            ("trace_id", pa.string()),
            ("span_id", pa.string()),
            ("duration_ms", pa.float64()),
            ("data", pa.string()),
            ("is_cut", pa.bool_()),
            ("skew_ms", pa.int64()),
            ("principal", pa.string()),
            ("received", _TIME),
        ]
    )
    about = "Events that programs told the observer of, by source and kind."
    return RecordKind(
        EVENTS, schema, about, retention_days, entity_type="observed_event", share=SHARE
    )


def span_kind(retention_days: float | None) -> RecordKind:
    """What is kept of a span of a trace."""
    schema = pa.schema(
        [
            ("time", _TIME),
            ("duration_ms", pa.float64()),
            ("trace_id", pa.string()),
            ("span_id", pa.string()),
            ("parent_id", pa.string()),
            ("name", pa.string()),
            ("source", pa.string()),
            ("type", pa.string()),
            ("kind", pa.string()),
            ("status", pa.string()),
            ("status_message", pa.string()),
            ("model", pa.string()),
            ("provider", pa.string()),
            ("prompt_tokens", pa.int64()),
            ("completion_tokens", pa.int64()),
            ("total_tokens", pa.int64()),
            ("cost_usd", pa.float64()),
            ("input", pa.string()),
            ("output", pa.string()),
            ("session_id", pa.string()),
            ("user_id", pa.string()),
            ("service", pa.string()),
            ("scope", pa.string()),
            ("attributes", pa.string()),
            ("events", pa.string()),
            ("links", pa.string()),
            ("resource", pa.string()),
            ("is_cut", pa.bool_()),
            ("skew_ms", pa.int64()),
            ("principal", pa.string()),
            ("received", _TIME),
        ]
    )
    about = "Spans of traces that programs sent by OTLP: what ran, for how long, with which model."
    return RecordKind(SPANS, schema, about, retention_days, entity_type="span", share=SHARE)
