"""OTLP as rows: both encodings alike, GenAI's names and Langfuse's, and what is odd."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lakecore.base import InvalidInput
from lakecore.observer._genai import call_of
from lakecore.observer._otlp import JSON, PROTOBUF, Spans, is_kept, read_request, span_rows

NOW_US = 1_700_000_000_000_000


def request(*spans: dict[str, Any], service: str = "planner") -> ExportTraceServiceRequest:
    """A message with these spans."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    _set(resource.resource.attributes, {"service.name": service})
    scope = resource.scope_spans.add()
    scope.scope.name = "tests"
    for given in spans:
        span = scope.spans.add()
        span.trace_id = given.get("trace_id", b"\x01" * 16)
        span.span_id = given.get("span_id", b"\x02" * 8)
        span.parent_span_id = given.get("parent_id", b"")
        span.name = given.get("name", "n")
        span.start_time_unix_nano = given.get("start_us", NOW_US) * 1_000
        span.end_time_unix_nano = given.get("end_us", NOW_US + 1_500) * 1_000
        _set(span.attributes, given.get("attributes", {}))
    return message


def _set(pairs: Any, members: dict[str, Any]) -> None:
    for name, value in members.items():
        pair = pairs.add()
        pair.key = name
        if isinstance(value, int):
            pair.value.int_value = value
        else:
            pair.value.string_value = value


def rows(message: ExportTraceServiceRequest, **options: Any) -> Spans:
    given = {"principal": "ada", "now_us": NOW_US, "sample_rate": 1.0, "max_text": 1_000}
    return span_rows(message, **{**given, **options})


def as_json(message: ExportTraceServiceRequest) -> bytes:
    """OTLP's JSON: ids in hexadecimal."""
    document = MessageToDict(message)
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            told_spans = message.resource_spans[0].scope_spans[0].spans
            for span, told in zip(scope["spans"], told_spans, strict=True):
                span["traceId"] = told.trace_id.hex()
                span["spanId"] = told.span_id.hex()
                if told.parent_span_id:
                    span["parentSpanId"] = told.parent_span_id.hex()
    return json.dumps(document).encode()


def test_both_encodings_are_the_same() -> None:
    """Protobuf and JSON of one message give the same rows."""
    message = request(
        {"attributes": {"gen_ai.request.model": "m", "n": 7}, "parent_id": b"\x03" * 8},
        {"span_id": b"\x04" * 8},
    )
    binary = rows(read_request(message.SerializeToString(), PROTOBUF))
    text = rows(read_request(as_json(message), JSON))
    assert binary.rows == text.rows
    assert len(binary.rows) == 2
    first = binary.rows[0]
    assert (first["trace_id"], first["parent_id"]) == ("01" * 16, "03" * 8)
    assert (first["model"], first["duration_ms"], first["source"]) == ("m", 1.5, "planner")


def test_unknown_members_are_left_alone() -> None:
    """A newer protocol has more."""
    document = json.loads(as_json(request({})))
    document["resourceSpans"][0]["newer"] = {"than": "us"}
    assert len(rows(read_request(json.dumps(document).encode(), JSON)).rows) == 1


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"trace_id": b""}, "trace id"),
        ({"trace_id": bytes(16)}, "trace id"),
        ({"span_id": b"\x01" * 7}, "span id"),
        ({"span_id": bytes(8)}, "span id"),
        ({"parent_id": b"\x01"}, "parent"),
    ],
)
def test_what_is_no_span(given: dict[str, Any], reason: str) -> None:
    """It is counted and named; the others are kept."""
    found = rows(request(given, {"span_id": b"\x05" * 8}))
    assert (len(found.rows), found.rejected) == (1, 1)
    assert reason in found.reason


def test_odd_values() -> None:
    """Enumerations that are not known, an end before the start, ids all zero as no parent."""
    message = request({"start_us": NOW_US, "end_us": NOW_US - 5, "parent_id": bytes(8)})
    span = message.resource_spans[0].scope_spans[0].spans[0]
    document = json.loads(as_json(message))
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0] |= {"kind": 99, "status": {"code": 9}}
    (row,) = rows(read_request(json.dumps(document).encode(), JSON)).rows
    assert (row["kind"], row["status"], row["duration_ms"]) == ("unspecified", "unset", 0)
    assert row["parent_id"] is None
    span.end_time_unix_nano = span.start_time_unix_nano = (1 << 64) - 1
    (row,) = rows(message).rows
    assert row["time"] <= NOW_US


def test_a_clock_that_is_ahead_moves_the_whole_request() -> None:
    """Spans keep their distances."""
    day_us = 86_400_000_000
    early = {"start_us": NOW_US + day_us, "end_us": NOW_US + day_us + 10}
    late = {"start_us": NOW_US + day_us + 20, "end_us": NOW_US + day_us + 30, "span_id": b"9" * 8}
    first, second = rows(request(early, late)).rows
    assert (first["time"], second["time"]) == (NOW_US - 30, NOW_US - 10)
    assert first["skew_ms"] == day_us // 1_000


def test_sampling_keeps_whole_traces() -> None:
    """By the trace's id alone: the same on every machine, about the part that was asked for."""
    chance = random.Random(7)
    ids = [chance.randbytes(16) for _ in range(4_000)]
    kept = [one for one in ids if is_kept(one, 0.25)]
    assert 0.22 < len(kept) / len(ids) < 0.28
    assert all(is_kept(one, 0.5) for one in kept)
    spans = [{"trace_id": one, "span_id": os.urandom(8)} for one in ids[:100] for _ in range(2)]
    found = rows(request(*spans), sample_rate=0.25)
    by_trace = {row["trace_id"] for row in found.rows}
    assert len(found.rows) == 2 * len(by_trace)
    assert found.left_out == 200 - len(found.rows)
    assert by_trace == {one.hex() for one in ids[:100] if is_kept(one, 0.25)}


def test_text_is_cut_and_secrets_are_blotted() -> None:
    """Inputs up to their bound, attributes up to theirs."""
    attributes = {
        "gen_ai.input.messages": "password=hunter2 " + "x" * 5_000,
        "huge": "y" * 1_000_000,
        "authorization": "z",
    }
    (row,) = rows(request({"attributes": attributes})).rows
    assert row["is_cut"]
    assert len(row["input"]) <= 1_001
    assert row["input"].startswith("password=*** ")
    kept = json.loads(row["attributes"])
    assert (kept["authorization"], len(kept["huge"])) == ("***", 4_097)
    assert "gen_ai.input.messages" not in kept


def test_who_sent_it() -> None:
    """Langfuse's SDK by its scope, others by their service, else otel."""
    assert rows(request({}, service="unknown_service:python")).rows[0]["source"] == "otel"
    message = request({}, service="planner")
    message.resource_spans[0].scope_spans[0].scope.name = "langfuse-sdk"
    (row,) = rows(message).rows
    assert (row["source"], row["service"]) == ("langfuse", "planner")


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_noise(kind: str) -> None:
    """Whatever the bytes, it is OTLP or `InvalidInput`; cut and changed messages, too."""
    chance = random.Random(11)
    message = request({"attributes": {"a": "b"}})
    good = message.SerializeToString() if kind == PROTOBUF else as_json(message)
    for _ in range(300):
        data = bytearray(good[: chance.randrange(len(good) + 1)])
        for _ in range(chance.randrange(4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            found = read_request(bytes(data), kind)
        except InvalidInput:
            continue
        assert isinstance(rows(found), Spans)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, {"type": "span", "model": None, "total_tokens": None}),
        (
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.arguments": "{}"},
            {"type": "tool", "input": "{}"},
        ),
        ({"gen_ai.operation.name": "embeddings"}, {"type": "embedding"}),
        (
            {"gen_ai.request.model": "a", "gen_ai.response.model": "b", "gen_ai.system": "openai"},
            {"type": "generation", "model": "b", "provider": "openai"},
        ),
        (
            {"gen_ai.usage.prompt_tokens": 3, "gen_ai.usage.completion_tokens": "4"},
            {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        ),
        (
            {"langfuse.observation.usage_details": '{"input": 1, "output": 2, "total": 9}'},
            {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 9},
        ),
        ({"langfuse.observation.usage_details": "no json"}, {"prompt_tokens": None}),
        ({"langfuse.observation.cost_details": '{"input": 0.5, "output": 1}'}, {"cost_usd": 1.5}),
        ({"langfuse.observation.cost_details": '{"total": 2}'}, {"cost_usd": 2}),
        ({"gen_ai.usage.input_tokens": -5}, {"prompt_tokens": None}),
        ({"gen_ai.usage.input_tokens": "nan"}, {"prompt_tokens": None}),
        ({"gen_ai.usage.cost": "inf"}, {"cost_usd": None}),
        ({"gen_ai.conversation.id": "c", "user.id": 7}, {"session_id": "c", "user_id": "7"}),
        ({"langfuse.observation.type": "not a type!"}, {"type": "span"}),
    ],
)
def test_conventions(attributes: dict[str, Any], expected: dict[str, Any]) -> None:
    """What is told by GenAI's names, old and new, and by Langfuse's."""
    call = call_of(attributes)
    assert {name: getattr(call, name) for name in expected} == expected


def test_content_in_events() -> None:
    """Older instrumentation tells inputs and outputs as events of the span."""
    events = [
        ("gen_ai.content.prompt", {"gen_ai.prompt": "hi"}),
        ("gen_ai.content.completion", {"gen_ai.completion": "bye"}),
    ]
    call = call_of({"gen_ai.request.model": "m"}, events)
    assert (call.input, call.output) == ("hi", "bye")
