"""OTLP's traces as rows of `system.spans`: protobuf and JSON, whatever they hold. No I/O.

The message is OpenTelemetry's own, read by its own library; its JSON form has ids in
hexadecimal, which are put as protobuf's JSON has bytes before it is read.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lakecore.base import InvalidInput
from lakecore.base.limits import KIB
from lakecore.observer._clean import Cleaner, clean_text
from lakecore.observer._event import MAX_AHEAD_US
from lakecore.observer._genai import LANGFUSE, TAKEN, call_of

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

MAX_EVENTS: Final = 128
MAX_LINKS: Final = 128
MAX_SPANS: Final = 50_000
"""Of one request."""

_MAX_NAME: Final = 1 * KIB
_MAX_DEPTH: Final = 32
_KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUS: Final = ("unset", "ok", "error")
_MAX_US: Final = 253_402_300_799_999_999


@dataclass(slots=True)
class Spans:
    """The spans of one request as rows; how many were no spans, and why the first was none."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: int = 0
    reason: str = ""
    left_out: int = 0
    """By sampling."""


def read_request(data: bytes, kind: str) -> ExportTraceServiceRequest:
    """The message of a request's body.

    Args:
        kind: its media type, `PROTOBUF` or `JSON`.

    Raises:
        InvalidInput: it is none.
    """
    from google.protobuf.json_format import (  # type: ignore[import-untyped]  # it has no types
        ParseDict,
        ParseError,
    )
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # likewise
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    message = ExportTraceServiceRequest()
    try:
        if kind == PROTOBUF:
            message.ParseFromString(data)
        else:
            document = msgspec.json.decode(data)
            if not isinstance(document, dict):
                raise InvalidInput("not OTLP", expected="an object", found=type(document).__name__)
            _encode_ids(document)
            ParseDict(document, message, ignore_unknown_fields=True, max_recursion_depth=_MAX_DEPTH)
    except (DecodeError, ParseError, msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput("not OTLP", found=str(error)[:200]) from None
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidInput("not OTLP", found=repr(error)[:200]) from None
    return message


def span_rows(
    message: ExportTraceServiceRequest,
    *,
    principal: str,
    now_us: int,
    sample_rate: float,
    max_text: int,
) -> Spans:
    """The spans of a message.

    Args:
        sample_rate: part of the traces that are kept; which, is decided by their ids, so that a
            trace is kept whole or not at all, on every machine.
        max_text: characters of an input and an output.
    """
    found = Spans()
    ahead_us = _ahead_us(message, now_us)
    for resource, scope, span in _spans(message):
        reason = _check(span)
        if not reason and len(found.rows) >= MAX_SPANS:
            reason = f"more than {MAX_SPANS} spans in a request"
        if reason:
            found.rejected += 1
            found.reason = found.reason or reason
            continue
        if not is_kept(span.trace_id, sample_rate):
            found.left_out += 1
            continue
        row = _row(resource, scope, span, ahead_us=ahead_us, max_text=max_text)
        found.rows.append({**row, "principal": principal, "received": now_us})
    return found


def is_kept(trace_id: bytes, rate: float) -> bool:
    """Whether a trace is kept, by the last 56 bits of its id, as OpenTelemetry samples.

    >>> is_kept(bytes(16), 0.0), is_kept(bytes(16), 0.001), is_kept(b"\\xff" * 16, 0.999)
    (False, True, False)
    """
    return rate >= 1 or int.from_bytes(trace_id[-7:], "big") < rate * (1 << 56)


def _spans(
    message: ExportTraceServiceRequest,
) -> Iterator[tuple[dict[str, Any], tuple[str, str], Span]]:
    for resource_spans in message.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope = (scope_spans.scope.name, scope_spans.scope.version)
            for span in scope_spans.spans:
                yield resource, scope, span


def _check(span: Span) -> str:
    """Why this is no span; "" when it is one."""
    if len(span.trace_id) != 16 or not any(span.trace_id):
        return "a trace id is 16 bytes, not all zero"
    if len(span.span_id) != 8 or not any(span.span_id):
        return "a span id is 8 bytes, not all zero"
    if len(span.parent_span_id) not in (0, 8):
        return "a parent's span id is 8 bytes, or none"
    return ""


def _ahead_us(message: ExportTraceServiceRequest, now_us: int) -> int:
    """By how much the sender's clock is ahead, as far as that is more than clocks are."""
    latest_ns = max((span.end_time_unix_nano for _, _, span in _spans(message)), default=0)
    ahead_us = min(latest_ns // 1_000, _MAX_US) - now_us
    return ahead_us if ahead_us > MAX_AHEAD_US else 0


def _row(
    resource: Mapping[str, Any],
    scope: tuple[str, str],
    span: Span,
    *,
    ahead_us: int,
    max_text: int,
) -> dict[str, Any]:
    cleaner = Cleaner()
    attributes = _attributes(span.attributes)
    events = [(event.name, _attributes(event.attributes)) for event in span.events[:MAX_EVENTS]]
    call = call_of(attributes, events)
    start_us = max(0, min(span.start_time_unix_nano // 1_000, _MAX_US) - ahead_us)
    end_us = max(start_us, min(span.end_time_unix_nano // 1_000, _MAX_US) - ahead_us)
    service = cleaner.text(resource.get("service.name") or "", _MAX_NAME)
    others = {name: value for name, value in attributes.items() if name not in TAKEN}
    status = span.status.code if 0 <= span.status.code < len(_STATUS) else 0
    level = str(attributes.get("langfuse.observation.level", "")).lower()

    def short(text: str | None) -> str | None:
        return None if not text else cleaner.text(text, _MAX_NAME)

    return {
        "time": start_us,
        "duration_ms": (end_us - start_us) / 1_000,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex() if any(span.parent_span_id) else None,
        "name": cleaner.text(span.name, _MAX_NAME),
        "source": source_of(service, scope[0]),
        "type": call.type,
        "kind": _KINDS[span.kind] if 0 <= span.kind < len(_KINDS) else _KINDS[0],
        "status": "error" if level == "error" else _STATUS[status],
        "status_message": short(
            span.status.message or attributes.get("langfuse.observation.status_message")
        ),
        "model": short(call.model),
        "provider": short(call.provider),
        "prompt_tokens": call.prompt_tokens,
        "completion_tokens": call.completion_tokens,
        "total_tokens": call.total_tokens,
        "cost_usd": call.cost_usd,
        "input": None if call.input is None else cleaner.text(call.input, max_text),
        "output": None if call.output is None else cleaner.text(call.output, max_text),
        "session_id": short(call.session_id),
        "user_id": short(call.user_id),
        "service": service or None,
        "scope": short(" ".join(part for part in scope if part)),
        "attributes": cleaner.json(others),
        "events": _events_json(cleaner, span),
        "links": _links_json(cleaner, span),
        "resource": cleaner.json(resource),
        "is_cut": cleaner.is_cut or len(span.events) > MAX_EVENTS or len(span.links) > MAX_LINKS,
        "skew_ms": ahead_us // 1_000 or None,
    }


def source_of(service: str, scope: str) -> str:
    """Who sent a span, for the figures: Langfuse's SDK, a service by its name, or ``otel``."""
    if scope.startswith(LANGFUSE):
        return LANGFUSE
    if not service or service.startswith("unknown_service"):
        return "otel"
    return clean_text(service, 64)[0]


def _events_json(cleaner: Cleaner, span: Span) -> str | None:
    found = [
        {
            "name": cleaner.text(event.name, _MAX_NAME),
            "offset_ms": (event.time_unix_nano - span.start_time_unix_nano) / 1_000_000,
            "attributes": cleaner.members(_attributes(event.attributes)),
        }
        for event in span.events[:MAX_EVENTS]
    ]
    return cleaner.encode(found) if found else None


def _links_json(cleaner: Cleaner, span: Span) -> str | None:
    found = [
        {
            "trace_id": link.trace_id[:16].hex(),
            "span_id": link.span_id[:8].hex(),
            "attributes": cleaner.members(_attributes(link.attributes)),
        }
        for link in span.links[:MAX_LINKS]
    ]
    return cleaner.encode(found) if found else None


def _attributes(pairs: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pair: KeyValue
    for pair in pairs:
        found[pair.key] = _value(pair.value)
    return found


def _value(value: AnyValue, depth: int = 0) -> Any:
    kind = value.WhichOneof("value")
    if kind is None or depth > _MAX_DEPTH:
        return None
    if kind == "array_value":
        return [_value(one, depth + 1) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value, depth + 1) for pair in value.kvlist_value.values}
    return getattr(value, kind)


_IDS: Final = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")


def _encode_ids(document: dict[str, Any]) -> None:
    """Ids in hexadecimal as base64, in place; what is no such id is left to be refused."""
    for resource_spans in _list(document, "resourceSpans", "resource_spans"):
        for scope_spans in _list(resource_spans, "scopeSpans", "scope_spans"):
            for span in _list(scope_spans, "spans", "spans"):
                for holder in (span, *_list(span, "links", "links")):
                    for name in _IDS:
                        if isinstance(holder.get(name), str):
                            raw = bytes.fromhex(holder[name])
                            holder[name] = base64.b64encode(raw).decode()


def _list(holder: dict[str, Any], name: str, other: str) -> list[dict[str, Any]]:
    found = holder.get(name, holder.get(other)) or []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
