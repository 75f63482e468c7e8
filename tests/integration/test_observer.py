"""Programs report to a real gateway: OpenTelemetry's exporter and Langfuse's SDK as they come."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from tests.gateways import Served, good, serving, slug

SENDER = ("write:system.events", "write:system.spans")
ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "0"))
READER = ("read:system.events", "read:system.spans")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway that asks for keys."""
    with serving(tmp_path_factory.mktemp("observer")) as served:
        yield served


def tracer(served: Served, service: str, key: str, **options: Any) -> TracerProvider:
    """OpenTelemetry's SDK, given a URL and a key."""
    exporter = OTLPSpanExporter(
        endpoint=f"{served.url}/v1/traces", headers={"Authorization": f"Bearer {key}"}, **options
    )
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def report_trip(provider: TracerProvider, name: str = "trip") -> str:
    """A trace with a model's call and an error; its id."""
    found = provider.get_tracer("tests")
    with found.start_as_current_span(name, attributes={"session.id": "s-1"}) as root:
        with found.start_as_current_span("chat gpt-x", kind=trace.SpanKind.CLIENT) as call:
            call.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-x",
                    "gen_ai.usage.input_tokens": 12,
                    "gen_ai.usage.output_tokens": 5,
                    "gen_ai.input.messages": json.dumps([{"role": "user", "content": "hello"}]),
                    "gen_ai.output.messages": "bye",
                    "api_key": "hunter2hunter2",
                    "headers": ["Authorization: Bearer 0123456789abcdef0123"],
                }
            )
        with pytest.raises(RuntimeError), found.start_as_current_span("broken"):
            raise RuntimeError("no seats")
        trace_id = f"{root.get_span_context().trace_id:032x}"
    assert provider.force_flush()
    return trace_id


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_the_opentelemetry_sdk(served: Served, compression: Compression) -> None:
    """Spans with GenAI's names: in the figures, and a readable trace without secrets."""
    service = f"planner-{compression.value}"
    provider = tracer(served, service, served.key(service, *SENDER), compression=compression)
    trace_id = report_trip(provider)
    provider.shutdown()
    reader = served.as_("reader", *READER)
    stats = good(reader.get("/stats"))
    assert stats["by_source"][service] == 3
    kinds = {pair["kind"]: pair for pair in stats["by_kind"] if pair["source"] == service}
    assert kinds["generation"]["prompt_tokens"] == 12
    assert kinds["generation"]["count"] == 1
    (listed,) = good(reader.get("/traces", params={"source": service}))["items"]
    assert listed["trace_id"] == trace_id
    assert (listed["name"], listed["spans"], listed["errors"]) == ("trip", 3, 1)
    assert (listed["models"], listed["total_tokens"]) == (["gpt-x"], 17)
    assert listed["session_id"] == "s-1"
    found = good(reader.get(f"/traces/{trace_id}"))
    (root,) = found["roots"]
    call, broken = root["children"]
    assert (call["type"], call["model"], call["provider"]) == ("generation", "gpt-x", "openai")
    assert (json.loads(call["input"])[0]["content"], call["output"]) == ("hello", "bye")
    assert call["attributes"]["api_key"] == "***"
    assert call["attributes"]["headers"] == ["Authorization: Bearer ***"]
    assert broken["status"] == "error"
    assert broken["events"][0]["attributes"]["exception.message"] == "no seats"
    text = reader.get(f"/traces/{trace_id}").text
    assert "hunter2" not in text
    assert "0123456789abcdef" not in text


BY_ENVIRONMENT = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
with provider.get_tracer("tests").start_as_current_span("step"):
    pass
provider.shutdown()
"""


def test_opentelemetry_by_its_environment(served: Served) -> None:
    """A program that knows nothing of Lakecore, and two variables."""
    names = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": served.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{served.key('env', *SENDER)}",
        "OTEL_SERVICE_NAME": "by-environment",
    }
    subprocess.run(
        [sys.executable, "-c", BY_ENVIRONMENT], env={**os.environ, **names}, check=True, timeout=120
    )
    assert good(served.client.get("/stats"))["by_source"]["by-environment"] == 1


LANGFUSE = """
from langfuse import Langfuse, observe

langfuse = Langfuse()
assert langfuse.auth_check()

@observe()
def inner(number):
    return {"twice": 2 * number}

with langfuse.start_as_current_observation(name="trip", as_type="span", input={"q": "hi"}) as span:
    inner(3)
    with langfuse.start_as_current_observation(
        name="ask", as_type="generation", model="gpt-x", input=[{"role": "user", "content": "hi"}]
    ) as call:
        call.update(output="bye", usage_details={"input": 3, "output": 5, "total": 8},
                    cost_details={"input": 0.1, "output": 0.2}, metadata={"password": "hunter2!"})
    span.update(output="done")
    span.score(name="good", value=1.0, comment="it was")
print(langfuse.get_trace_url and span.trace_id)
langfuse.flush()
langfuse.shutdown()
"""


def test_the_langfuse_sdk(served: Served) -> None:
    """Nothing but a URL and keys: its check passes; spans, scores, tokens and cost are there."""
    key = served.key("langfuse-app", *SENDER)
    names = {
        "LANGFUSE_BASE_URL": served.url,
        "LANGFUSE_PUBLIC_KEY": "pk-lf-anything",
        "LANGFUSE_SECRET_KEY": key,
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LANGFUSE],
        env={**os.environ, **names},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""
    trace_id = done.stdout.strip()
    stats = good(served.client.get("/stats"))
    assert stats["by_source"]["langfuse"] == 4
    kinds = {pair["kind"]: pair for pair in stats["by_kind"] if pair["source"] == "langfuse"}
    assert {kind: pair["count"] for kind, pair in kinds.items()} == {
        "span": 2,
        "generation": 1,
        "score": 1,
    }
    found = good(served.client.get(f"/traces/{trace_id}"))
    (root,) = found["roots"]
    assert (root["name"], json.loads(root["input"]), root["output"]) == (
        "trip",
        {"q": "hi"},
        "done",
    )
    inner, ask = root["children"]
    assert inner["name"] == "inner"
    assert (ask["model"], ask["prompt_tokens"], ask["completion_tokens"]) == ("gpt-x", 3, 5)
    assert ask["cost_usd"] == pytest.approx(0.3)
    assert ask["attributes"]["langfuse.observation.metadata.password"] == "***"
    (score,) = good(served.client.get("/events", params={"kind": "score"}))["items"]
    assert (score["trace_id"], score["data"]["name"]) == (trace_id, "good")
    assert score["principal"] == "langfuse-app"


def test_basic_is_for_langfuse_alone(served: Served) -> None:
    """Elsewhere a key as a password opens nothing; a wrong one opens nothing anywhere."""
    key = served.key("basic", "write:*", "read:*")
    plain = served.with_headers()
    assert plain.get("/api/public/projects", auth=("pk", key)).status_code == 200
    assert plain.get("/stats", auth=("pk", key)).status_code == 401
    assert plain.post("/v1/traces", auth=("pk", key)).status_code == 401
    assert plain.get("/api/public/projects", auth=("pk", key[:-1])).status_code == 401
    wrong = {"Authorization": "Basic ???"}
    assert plain.get("/api/public/projects", headers=wrong).status_code == 401
    assert plain.get("/api/public/projects").status_code == 401


def test_events(served: Served) -> None:
    """One, a list, NDJSON, gzip: durable when answered, in the figures at once, paged."""
    sender = served.as_("scrum", *SENDER)
    one = {"source": "scrum", "kind": "review", "message": "a file", "level": "warn", "score": 4}
    assert good(sender.post("/event", json=one), 202) == {"accepted": 1, "duplicates": 0}
    many = [{"source": "scrum", "kind": "step", "id": f"s{n}", "data": {"n": n}} for n in range(5)]
    assert good(sender.post("/event", json=many), 202)["accepted"] == 5
    assert good(sender.post("/event", json=many[:2]), 202) == {"accepted": 0, "duplicates": 2}
    lines = "\n".join(json.dumps({"source": "scrum", "kind": "line"}) for _ in range(3))
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    assert (
        good(sender.post("/event", content=gzip.compress(lines.encode()), headers=headers), 202)[
            "accepted"
        ]
        == 3
    )
    reader = served.as_("reader", *READER)
    stats = good(reader.get("/stats"))
    assert stats["by_source"]["scrum"] == 9
    assert stats["rates_per_s"]["scrum"] == pytest.approx(9 / stats["seconds"], rel=0.01)
    assert sum(b["count"] for b in stats["buckets"] if b["source"] == "scrum") == 9
    (found,) = good(reader.get("/events", params={"source": "scrum", "kind": "review"}))["items"]
    assert (found["level"], found["message"], found["data"]) == ("warning", "a file", {"score": 4})
    assert found["principal"] == "scrum"
    seen, cursor = [], None
    while True:
        asked = {"source": "scrum", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = good(reader.get("/events", params=asked))
        seen += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert len({event["id"] for event in seen}) == len(seen) == 9
    assert [event["time"] for event in seen] == sorted((e["time"] for e in seen), reverse=True)


def test_the_same_request_again(served: Served) -> None:
    """With an Idempotency-Key events without ids are kept once, too."""
    sender = served.as_("repeats", *SENDER)
    events = [{"source": "repeats"}, {"source": "repeats"}]
    headers = {"Idempotency-Key": "k-1"}
    assert good(sender.post("/event", json=events, headers=headers), 202)["accepted"] == 2
    assert good(sender.post("/event", json=events, headers=headers), 202)["duplicates"] == 2


def test_some_are_no_events(served: Served) -> None:
    """The good ones are kept, the others named; where none is good, the request is wrong."""
    sender = served.as_("mixed", *SENDER)
    mixed = [{"source": "mixed"}, {"kind": "no source"}, 7, {"source": "gateway"}]
    answer = good(sender.post("/event", json=mixed), 202)
    assert (answer["accepted"], answer["refused"]) == (1, 3)
    assert [error["row"] for error in answer["errors"]] == [1, 2, 3]
    assert slug(sender.post("/event", json=[{"kind": "x"}]), 422) == "invalid-input"


def test_deep_and_large_events(served: Served) -> None:
    """What is deep or large is cut and says so; what no parser takes is no JSON."""
    sender = served.as_("deep", *SENDER)
    headers = {"Content-Type": "application/json"}
    deep = b'{"source": "deep", "data": ' + b'{"a":' * 200 + b"1" + b"}" * 201
    assert good(sender.post("/event", content=deep, headers=headers), 202)["accepted"] == 1
    bottomless = b'{"source": "deep", "data": ' + b"[" * 500_000
    assert sender.post("/event", content=bottomless, headers=headers).status_code == 400
    large = {"source": "large", "data": {str(n): "x" * 5_000 for n in range(100)}}
    assert good(sender.post("/event", json=large), 202)["accepted"] == 1
    found = good(served.client.get("/events", params={"principal": "deep"}))["items"]
    assert [(event["source"], event["is_cut"]) for event in found] == [
        ("large", True),
        ("deep", True),
    ]
    assert len(json.dumps(found)) < 100_000


def test_who_may(served: Served) -> None:
    """Sending and reading are scopes over the datasets; what one may not read is not counted."""
    sender = served.as_("only-sends", *SENDER)
    reader = served.as_("only-events", "read:system.events")
    served.client.post("/event", json={"source": "counted"})
    assert slug(sender.get("/stats"), 403) == "refused"
    assert slug(sender.get("/events"), 403) == "refused"
    assert slug(reader.post("/event", json={"source": "x"}), 403) == "refused"
    assert slug(reader.get("/traces"), 403) == "refused"
    stats = good(reader.get("/stats"))
    assert stats["by_source"]["counted"] == 1
    assert stats["spans"] == 0
    other = served.as_("planes-only", "read:planes", "write:planes")
    assert slug(other.post("/event", json={"source": "x"}), 403) == "refused"
    assert slug(other.post("/v1/traces", content=b""), 415) == "unsupported-media-type"


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/x-protobuf", b"\xff\xff\xff", 400),
        ("application/x-protobuf", os.urandom(5_000), 400),
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'{"resourceSpans": [{"scopeSpans": 7}]}', 400),
        ("application/json", b'{"resourceSpans":' * 5_000, 400),
        ("application/json", b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400),
        ("text/plain", b"{}", 415),
        ("application/json", b"{}", 200),
        ("application/x-protobuf", b"", 200),
    ],
)
def test_malformed_otlp(served: Served, kind: str, body: bytes, status: int) -> None:
    """What is no OTLP is told so, and nothing breaks."""
    answer = served.client.post("/v1/traces", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text


def test_a_bomb(served: Served) -> None:
    """A small body that would grow beyond the bound is refused before it does."""
    bomb = gzip.compress(b" " * (64 << 20))
    for path in ("/event", "/v1/traces"):
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        assert slug(served.client.post(path, content=bomb, headers=headers), 413) == "too-large"
        broken = served.client.post(path, content=b"nothing", headers=headers)
        assert broken.status_code == 400
        long = served.client.post(
            path, content=b" " * (17 << 20), headers={"Content-Type": "application/json"}
        )
        assert slug(long, 413) == "too-large"
        half = gzip.compress(b"[]" * 1_000)[:-8]
        assert served.client.post(path, content=half, headers=headers).status_code == 400


def test_no_such_trace(served: Served) -> None:
    """404, and a cursor or a time that is none is told."""
    assert slug(served.client.get("/traces/" + "0" * 32), 404) == "not-found"
    assert slug(served.client.get("/events?cursor=%21"), 422) == "invalid-input"
    assert slug(served.client.get("/stats?since=yesterday"), 422) == "invalid-input"
    assert slug(served.client.get("/stats?since=2000-01-01T00:00:00Z&bucket_s=1"), 422)


def test_sql_sees_them(served: Served) -> None:
    """They are datasets of the lake like any other: queried, journaled in batches, verified."""
    served.client.post("/event", json=[{"source": "queried"} for _ in range(50)])
    sql = "select count(*) as n from system.events where source = 'queried'"
    assert served.lake.sql(sql).to_pylist() == [{"n": 50}]
    version = served.lake.describe("system.events")["version"]
    count = "select count(*) as n from system.journal where dataset = 'system.events'"
    assert served.lake.sql(count).to_pylist() == [{"n": version + 1}]
    assert served.lake.verify().status == "green"


def test_a_flood(tmp_path: Path) -> None:
    """More than the lake takes in: 429 with a wait, and what was acknowledged is all there."""
    with serving(tmp_path) as flooded:
        records = flooded.lake._parts.records
        object.__setattr__(records._settings, "max_bytes", 1 << 20)
        flusher = records._flusher
        held = threading.Event()
        flush = flusher.flush

        def hold(dataset: str | None, wait_s: float) -> int:
            held.wait(60)
            return flush(dataset, wait_s)

        flusher.flush = hold  # type: ignore[method-assign]  # the store is slow
        acknowledged = 0
        for _ in range(500):
            body = [{"source": "flood", "data": {"x": os.urandom(400).hex()}} for _ in range(20)]
            answer = flooded.client.post("/event", json=body)
            if answer.status_code == 429:
                assert int(answer.headers["retry-after"]) >= 1
                break
            acknowledged += good(answer, 202)["accepted"]
        else:
            pytest.fail("it never refuses")
        held.set()
        found = "select count(*) as n from system.events where source = 'flood'"
        assert flooded.lake.sql(found).to_pylist() == [{"n": acknowledged}]
        deadline = time.monotonic() + 20
        while flooded.client.post("/event", json={"source": "after"}).status_code != 202:
            assert time.monotonic() < deadline
            time.sleep(0.1)


KILLED = """
import sys
import lakecore
from lakecore.app import open_gateway

with lakecore.open(sys.argv[1], actor="ada", config=sys.argv[2]) as lake:
    gateway = open_gateway(lake)
    gateway.run(lambda: print(gateway.url, flush=True))
"""


def test_a_gateway_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL while events come: whatever was answered 202 is in the lake, once."""
    import lakecore

    config = tmp_path / "lakecore.toml"
    config.write_text("[gateway]\nport = 0\n[lake]\nrecords_interval_s = 0.2\n")
    arguments = [str(tmp_path / "lake"), str(config)]
    acknowledged: list[int] = []
    for turn in range(max(1, ROUNDS)):
        server = subprocess.Popen(
            [sys.executable, "-c", KILLED, *arguments], stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        killer = threading.Timer(0.5, server.kill)
        with httpx.Client(base_url=url, timeout=60) as client:
            try:
                for number in range(turn * 100_000, turn * 100_000 + 100_000):
                    event = {"source": "killed", "n": number}
                    if client.post("/event", json=event).status_code == 202:
                        acknowledged.append(number)
                    if number % 100_000 == 10:
                        killer.start()
            except httpx.TransportError:
                pass
        killer.join()
        server.wait(30)
        server.stdout.close()
    assert len(acknowledged) > 10
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        rows = lake.sql("select data from system.events").to_pylist()
        found = [json.loads(row["data"])["n"] for row in rows]
        assert len(found) == len(set(found))
        assert set(acknowledged) <= set(found)
        assert len(found) - len(acknowledged) <= max(1, ROUNDS)
        assert lake.verify().status == "green"


def test_in_python(tmp_path: Path) -> None:
    """The same without HTTP."""
    import lakecore

    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        lake.observe("nightly", "run", "loaded", rows=7)
        stats = lake.observer.stats()
        assert stats["by_source"] == {"nightly": 1}
        (event,) = lake.observer.events({"source": "nightly"})["items"]
        assert (event["data"], event["principal"]) == ({"rows": 7}, "ada")
        assert lake.observer.traces()["items"] == []


def test_a_client_that_does_not_wait(served: Served) -> None:
    """Fire and forget: the answer may be ignored."""
    with httpx.Client(base_url=served.url) as client:
        key = served.key("hasty", *SENDER)
        with client.stream(
            "POST", "/event", json={"source": "hasty"}, headers={"X-API-Key": key}
        ) as answer:
            assert answer.status_code == 202
    assert good(served.client.get("/stats"))["by_source"]["hasty"] == 1
