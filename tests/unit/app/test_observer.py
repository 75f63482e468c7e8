"""The observer of a lake: its settings, and what a principal may see of it."""

from __future__ import annotations

import json
from pathlib import Path

import lakecore
from lakecore.observer._otlp import JSON

DAY_US = 86_400_000_000


def trace(trace_id: int, text: str = "") -> bytes:
    """An OTLP request of one span, as JSON."""
    span = {
        "traceId": f"{trace_id:032x}",
        "spanId": f"{1:016x}",
        "name": "n",
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000000000000001",
        "attributes": [{"key": "gen_ai.prompt", "value": {"stringValue": text}}],
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def test_its_settings_count(tmp_path: Path) -> None:
    """Sampling, lengths and retentions are those of [observer]."""
    config = tmp_path / "lakecore.toml"
    config.write_text(
        "[observer]\ntrace_sample_rate = 0.5\nmax_text = 10\n"
        "events_retention_days = 2\nspans_retention_days = 36600\n"
    )
    with lakecore.open(tmp_path / "lake", actor="ada", config=config) as lake:
        kept = lake.observer.accept_traces(trace(1, "password=hunter2 and more"), JSON)
        left = lake.observer.accept_traces(trace((1 << 56) - 1), JSON)
        assert (kept.accepted, left.accepted, left.sampled_out) == (1, 0, 1)
        (span,) = lake.sql("select input, is_cut from system.spans").to_pylist()
        assert span == {"input": "password=*…", "is_cut": True}
        now_us = lake._parts.clock.now_us()
        for days in (1, 3):
            lake.observe("s", "k", time=(now_us - days * DAY_US) / 1e6, days=days)
        lake._parts.records.flush()
        expired = [step.dataset for step in lake.maintain().steps if step.action == "expire"]
        assert expired == ["system.events"]
        (event,) = lake.observer.events()["items"]
        assert event["data"] == {"days": 1}


def test_the_same_span_again(tmp_path: Path) -> None:
    """An exporter that sends a request again, because its answer was lost, changes nothing."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        first = lake.observer.accept_traces(trace(7), JSON)
        again = lake.observer.accept_traces(trace(7), JSON)
        assert (first.accepted, again.accepted, again.duplicates) == (1, 0, 1)
        assert lake.observer.trace(f"{7:032x}")["spans"] == 1
        assert lake.observer.stats(since=0)["by_source"] == {"otel": 1}
