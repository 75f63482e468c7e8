"""Access records and figures: bounded, without paths, never waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from lakecore.auth import Principal
from lakecore.gateway import AccessRecord, Figure, GatewaySettings, Watchers, create_app
from lakecore.gateway._access import AccessQueue
from lakecore.gateway._metrics import BUCKETS_S


class Kept:
    """An access log that keeps what it gets; it may be made to wait, or to fail."""

    def __init__(self) -> None:
        self.records: list[AccessRecord] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.fails = False

    def write(self, records: Sequence[AccessRecord]) -> None:
        self.may_go.wait(30)
        if self.fails:
            raise OSError("canary")
        self.records += records


def record(**given: Any) -> AccessRecord:
    """A record."""
    fields: dict[str, Any] = {
        "at_us": 1,
        "request_id": "r",
        "method": "GET",
        "route": "/ready",
        "status": 200,
        "duration_ms": 1.0,
        "request_bytes": 0,
        "response_bytes": 2,
    }
    return AccessRecord(**{**fields, **given})


def served(kept: Kept, figures: Sequence[Figure] = ()) -> TestClient:
    """A gateway without a lake: what is not found needs none."""
    app = create_app(
        lambda principal: None,
        GatewaySettings(),
        None,
        local=Principal.local("ada"),
        watchers=Watchers(access=kept, figures=lambda: figures),
    )
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The exposition, parsed."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_record_has_the_template_and_no_path() -> None:
    """Nor query, headers or body; what is counted is counted."""
    kept = Kept()
    with served(kept) as client:
        secret = "lc_canary"
        headers = {"authorization": f"Bearer {secret}", "x-request-id": "mine"}
        client.get("/health", params={"key": secret}, headers=headers)
        client.post(f"/nowhere/{secret}", content=secret)
        client.request(f"X{secret}", "/health")
    ready, nowhere, strange = kept.records
    assert secret not in repr(kept.records)
    assert (ready.route, ready.status, ready.request_id) == ("/health", 200, "mine")
    assert (ready.response_bytes, ready.principal) == (15, None)
    assert (nowhere.route, nowhere.status, nowhere.method) == (None, 404, "POST")
    assert (strange.method, strange.status) == ("other", 405)
    assert all(one.duration_ms > 0 and one.at_us > 10**15 for one in kept.records)


def test_a_full_queue_drops_and_counts() -> None:
    """Nobody waits for an access log that takes its time."""
    kept = Kept()
    kept.may_go.clear()
    queue = AccessQueue(kept, max_waiting=50)
    began_s = time.monotonic()
    for number in range(2_000):
        queue.put(record(status=number))
    assert time.monotonic() - began_s < 2
    kept.may_go.set()
    queue.close()
    assert len(kept.records) + queue.dropped == 2_000
    assert 0 < len(kept.records) <= 1_100
    assert [one.status for one in kept.records] == sorted(one.status for one in kept.records)


def test_an_access_log_that_fails_costs_its_records(caplog: pytest.LogCaptureFixture) -> None:
    """And nothing else; later ones are written again."""
    kept = Kept()
    kept.fails = True
    queue = AccessQueue(kept)
    queue.put(record())
    while not queue.dropped:
        time.sleep(0.01)
    kept.fails = False
    queue.put(record(status=201))
    queue.close()
    assert [one.status for one in kept.records] == [201]
    assert "1 records of the access log were lost" in caplog.text


def test_what_is_asked_is_counted() -> None:
    """Requests, durations, bytes, and what the lake says of itself, as Prometheus parses them."""
    figures = [
        Figure("lake_things", "Things.", 7, "gauge", {"kind": 'odd "one"\\\n'}),
        Figure("lake_things", "Things.", 8, "gauge", {"kind": "other"}),
        Figure("lake_done", "Done.", 3, "counter"),
    ]
    with served(Kept(), figures) as client:
        for _ in range(3):
            client.get("/health")
        client.get("/nothing")
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    health = {"method": "GET", "route": "/health"}
    assert value("lakecore_requests_total", **health, status="200") == 3
    assert value("lakecore_requests_total", method="GET", route="none", status="404") == 1
    assert value("lakecore_request_duration_seconds_count", **health) == 3
    buckets = [
        value("lakecore_request_duration_seconds_bucket", **health, le=le)
        for le in [*(repr(float(bound)) for bound in BUCKETS_S), "+Inf"]
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 3
    assert value("lakecore_requests_in_flight") == 1
    assert value("lakecore_lake_things", kind='odd "one"\\\n') == 7
    assert value("lakecore_lake_done_total") == 3
    assert value("process_cpu_seconds_total") > 0


@settings(max_examples=3, deadline=None)
@given(st.lists(st.text(st.characters(codec="ascii", min_codepoint=33)), min_size=50, max_size=80))
def test_no_path_becomes_a_label(paths: list[str]) -> None:
    """However many are asked for: templates, and one word for all others."""
    kept = Kept()
    with served(kept) as client:
        for path in paths:
            clean = "".join(c for c in path if c.isalnum())
            client.get(f"/{clean}/canary{clean}")
            client.get(f"/journal/history/canary/{clean}canary")
            client.request(f"M{clean}"[:20], "/catalog/datasets/canary")
        text = client.get("/metrics").text
    assert "canary" not in text
    routes = {
        dict(labels)["route"] for name, labels in samples(text) if name == "lakecore_requests_total"
    }
    assert routes <= {
        "none",
        "/journal/history/{entity_type}/{entity_id:path}",
        "/catalog/datasets/{dataset}",
    }


def test_registries_are_not_shared() -> None:
    """Two gateways of one process count for themselves; nothing global is touched."""
    from prometheus_client import REGISTRY

    before = {metric.name for metric in REGISTRY.collect()}
    with served(Kept()) as one, served(Kept()) as two:
        one.get("/health")
        assert "lakecore_requests_total{" in one.get("/metrics").text
        first = {name for name, _ in samples(two.get("/metrics").text)}
        assert "lakecore_requests_total" not in first
    assert {metric.name for metric in REGISTRY.collect()} == before
