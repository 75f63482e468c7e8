"""What a served lake tells of itself: logs, metrics, traces, readiness; and no secret in any."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.collectors import collecting
from tests.gateways import good, serving
from tests.receivers import Answer, receiving

import lakecore
from lakecore.base import Unavailable

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WORD = "canary"
"""In every secret of these tests: none of what is told may have it."""


def figures(text: str) -> dict[str, float]:
    """Figures without labels, by name."""
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }


@contextmanager
def up(folder: Path, **environ: str) -> Iterator[tuple[str, list[str]]]:
    """`lakecore up` with JSON logs: where it is, and the lines of its log so far."""
    given = {"LAKECORE_GATEWAY__LOG_FORMAT": "json", "LAKECORE_GATEWAY__LOG_LEVEL": "debug"}
    command = [sys.executable, "-c", "from lakecore.cli import main; main()"]
    lines: list[str] = []
    with subprocess.Popen(
        [*command, "--lake", str(folder / "lake"), "up", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **given, **environ},
        text=True,
    ) as process:
        assert process.stderr is not None
        lines.append(process.stderr.readline())
        reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()))
        reader.start()
        try:
            yield str(json.loads(lines[0])["message"]).rpartition(" at ")[2], lines
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
            reader.join(10)
        assert process.stdout is not None
        lines.append(process.stdout.read())


def test_no_secret_is_told(tmp_path: Path) -> None:
    """Keys, bodies, queries, paths, headers, the collector's key, signing secrets: many requests
    of every kind, and then everything that was written is looked through."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        lake.create("planes", key="tailnum")
        key = lake.keys.create("ada", scopes=["read:*", "write:*", "approve:*", "admin:*"])
    secret = key.text.split("_")[2]
    wrong = key.text[:20] + WORD + key.text[26:]
    with receiving() as receiver, collecting() as collector:
        receiver.answering = lambda n: Answer(500, body=WORD.encode())
        environ = {
            "LAKECORE_AUTH__ENABLED": "true",
            "LAKECORE_GATEWAY__OTLP_ENDPOINT": collector.url,
            "LAKECORE_GATEWAY__OTLP_HEADERS__X_API_KEY": WORD,
            "LAKECORE_WEBHOOKS__ALLOW_NETWORKS": "127.0.0.0/8",
            "LAKECORE_WEBHOOK_CRM": "whsec_" + (WORD * 8)[:43] + "=",
        }
        with up(tmp_path, **environ) as (url, lines):
            client = httpx.Client(base_url=url, timeout=30)
            right = {"Authorization": f"Bearer {key.text}"}
            bad = [
                {"Authorization": f"Bearer {wrong}"},
                {"Authorization": f"Basic {WORD}"},
                {"X-API-Key": wrong, "X-Request-Id": f"{WORD} id", "Cookie": WORD},
                {"Authorization": f"Bearer {WORD}", "traceparent": f"00-{WORD}"},
            ]
            for headers in [right, *bad]:
                client.get("/ready", headers=headers)
                client.get(f"/nowhere/{WORD}", params={"api_key": wrong}, headers=headers)
                client.get(f"/journal/events?actor={WORD}&cursor={WORD}", headers=headers)
                client.get(f"/journal/history/{WORD}/{WORD}", headers=headers)
                client.post(
                    "/query/sql", json={"sql": f"select '{WORD}' from {WORD}"}, headers=headers
                )
                client.post("/query/sql", content=f"{{{WORD}", headers=headers)
                client.post("/keys", json={"principal": WORD, "scopes": [WORD]}, headers=headers)
                rows = [{"tailnum": WORD, "note": key.text}]
                body = {"op": "insert", "rows": rows, "reason": WORD}
                client.post("/datasets/planes/mutations", json=body, headers=headers)
                files = {"file": (f"{WORD}.csv", f"id\n{WORD}\n{key.text}\n")}
                client.post("/ingest/file", files=files, data={"dataset": WORD}, headers=headers)
            hook = {"url": f"{receiver.url}/{WORD}?t={WORD}", "secret": "env:LAKECORE_WEBHOOK_CRM"}
            good(client.post("/webhooks", json=hook, headers=right), 201)
            made = good(client.post("/webhooks", json={"url": receiver.url}, headers=right), 201)
            signing = made["signing_secret"].removeprefix("whsec_")
            client.post("/journal/flush", headers=right)
            receiver.wait(1)
            text = client.get("/metrics", headers=right).text
            spans = collector.wait(lambda spans: len(spans) > 30)
            assert collector.headers[0]["x-api-key"] == WORD
        told = "".join(lines) + text + repr(spans)
    for canary in (WORD, secret, signing):
        assert canary not in told, [line for line in told.splitlines() if canary in line][:3]
    records = [json.loads(line) for line in lines if line.strip()]
    access = [one for one in records if one["logger"] == "lakecore.access"]
    assert len(access) >= 45
    assert {one["route"] for one in access} >= {"/query/sql", "/keys", None}
    assert {one["principal"] for one in access} == {"ada", None}
    assert [one for one in records if one["logger"] == "lakecore.webhooks._deliver"]


def test_one_trace_goes_through_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's trace: the request, the change, the query; a webhook carries one on."""
    monkeypatch.setenv("LAKECORE_WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8")
    with (
        collecting() as collector,
        receiving() as receiver,
        serving(tmp_path, otlp_endpoint=collector.url) as served,
    ):
        served.lake.webhooks.create(receiver.url, datasets=["planes"])
        headers = {"traceparent": PARENT}
        body = {"op": "update", "set": {"seats": 1}, "all": True, "reason": "canary"}
        good(served.client.post("/datasets/planes/mutations", json=body, headers=headers))
        asked = {"sql": "select count(*) from planes where tailnum <> 'canary'"}
        good(served.client.post("/query/sql", json=asked, headers=headers))
        good(served.client.post("/journal/flush"))
        message = receiver.wait(1)[0]
        request = collector.named("POST /datasets/{dataset}/mutations")
        change, query = collector.named("change"), collector.named("query.begin")
        asking, sealing = collector.named("POST /query/sql"), collector.named("journal.seal")
        webhook = collector.named("webhook")
    assert (request.trace_id, request.parent_id) == (PARENT[3:35], PARENT[36:52])
    assert (change.trace_id, change.parent_id) == (request.trace_id, request.span_id)
    assert change.attributes["dataset"] == "planes"
    assert (query.trace_id, query.parent_id) == (asking.trace_id, asking.span_id)
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["lakecore.principal"] == "ada"
    assert sealing.attributes["events"] > 0
    assert message.headers["traceparent"][3:35] == webhook.trace_id
    assert b"canary" not in b"".join(collector.bodies)


def test_the_lake_is_in_the_metrics(tmp_path: Path) -> None:
    """Journal, sealing, verification, tails, failures of keys; a key is needed."""
    with serving(tmp_path) as served:
        assert httpx.get(f"{served.url}/metrics").status_code == 401
        served.lake.journal.seal()
        first = figures(served.client.get("/metrics").text)
        assert first["lakecore_journal_up"] == 1
        assert first["lakecore_journal_events_total"] == served.lake.journal.tree_size()
        assert "lakecore_verify_age_seconds" not in first
        assert first["lakecore_tails"] == 0
        served.lake.verify()
        reader = served.as_("reader", "read:planes")
        assert reader.get("/keys").status_code == 403
        with served.client.stream("GET", "/journal/tail") as tail:
            lines = tail.iter_lines()
            next(lines)
            parts = served.lake._parts
            served.gateway.app.state.rooms.metrics._figures._looked_s = -1e9
            text = served.client.get("/metrics").text
            assert figures(text)["lakecore_tails"] == 1
        assert 0 <= figures(text)["lakecore_verify_age_seconds"] < 60
        assert 'lakecore_verify_status{is="green"} 1.0' in text
        assert 'lakecore_auth_failures_total{reason="unauthenticated"} 1.0' in text
        assert 'lakecore_auth_failures_total{reason="refused"} 1.0' in text
        assert "lakecore_webhooks_active 0.0" in text
        assert parts.settings.gateway.access_log


def test_metrics_without_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They answer, and say that the journal does not."""
    with serving(tmp_path) as served:

        def fail() -> Any:
            raise Unavailable("the store does not answer")

        monkeypatch.setattr(served.lake._parts.journal, "stats", fail)
        assert figures(served.client.get("/metrics").text)["lakecore_journal_up"] == 0


def test_health_needs_nothing_and_ready_needs_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is gone, a probe that breaks, one that hangs: 503 and which, health 200."""
    from lakecore.gateway import _health

    monkeypatch.setattr(_health, "PROBE_TIMEOUT_S", 0.5)
    with serving(tmp_path) as served:
        probes: Any = served.gateway.app.state.rooms.probes
        free = threading.Event()

        def unavailable() -> None:
            raise Unavailable("canary")

        def broken() -> None:
            raise RuntimeError("canary")

        for probe, said in (
            (unavailable, "unavailable"),
            (broken, "bug"),
            (lambda: free.wait(20), "timeout"),
        ):
            monkeypatch.setitem(probes, "store", probe)
            answer = served.client.get("/ready")
            assert (answer.status_code, answer.json()["store"]) == (503, said)
            assert answer.json()["journal"] == "ok"
            assert answer.headers["retry-after"]
            assert "canary" not in answer.text
            assert httpx.get(f"{served.url}/health").json() == {"status": "ok"}
        # Whoever asks meanwhile takes no further thread.
        workers = served.gateway.app.state.rooms.workers
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: served.client.get("/ready").status_code, range(8)))
        assert (answers, workers.count) == ([503] * 8, 1)
        free.set()


def test_the_access_log_goes_to_the_logger(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a gateway that a program runs itself; and nowhere where it wants none."""
    with caplog.at_level(logging.INFO, logger="lakecore.access"), serving(tmp_path) as served:
        served.client.get("/ready", headers={"X-Request-Id": "mine-1"})
    (record,) = [r for r in caplog.records if getattr(r, "request_id", "") == "mine-1"]
    assert (record.route, record.status, record.principal) == ("/ready", 200, "ada")  # type: ignore[attr-defined]  # extra
    caplog.clear()
    os.environ["LAKECORE_GATEWAY__ACCESS_LOG"] = "false"
    try:
        again = tmp_path / "again"
        again.mkdir()
        with caplog.at_level(logging.INFO, logger="lakecore.access"), serving(again) as served:
            served.client.get("/ready")
    finally:
        del os.environ["LAKECORE_GATEWAY__ACCESS_LOG"]
    assert [r for r in caplog.records if r.name == "lakecore.access"] == []
