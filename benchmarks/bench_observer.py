"""Events and spans into a running gateway, over HTTP, from a process of its own.

- 100,000 events in batches of 500 from four senders: acknowledged means durable. The clock
  stops when the last is acknowledged, and again when all are counted by SQL in the lake.
- A thousand spans a second, as OpenTelemetry's exporter sends them, for some time: the rate is
  held, and the gateway's memory does not grow.
- The same events, one durable transaction a batch, in SQLite alone: what the disk and Python ask
  for without HTTP, checks, columns, or a lake.
"""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.pairs import Prepare, Result, line

EVENTS = int(os.environ.get("LAKECORE_BENCH_OBSERVED", "100000"))
BATCH = 500
SENDERS = 4
SPANS_PER_S = 1_000
SPAN_BATCH = 500
SECONDS = int(os.environ.get("LAKECORE_BENCH_SECONDS", "30"))
RATE_GOAL = 20_000
_TIMEOUT_S = 60


def _serve(folder: str, said: Any) -> None:
    """The gateway, in a process of its own."""
    import lakecore
    from lakecore.app import open_gateway

    config = Path(folder) / "lakecore.toml"
    config.write_text("[auth]\nenabled = true\n[gateway]\nport = 0\n")
    with lakecore.open(Path(folder) / "lake", actor="bench", config=config) as lake:
        key = lake.keys.create("bench", scopes=["read:*", "write:*"]).text
        gateway = open_gateway(lake)
        gateway.run(lambda: said.put((gateway.url, key, os.getpid())))


@contextmanager
def _served() -> Iterator[tuple[httpx.Client, int]]:
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        said = context.Queue()
        process = context.Process(target=_serve, args=(folder, said))
        process.start()
        url, key, pid = said.get(timeout=_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {key}"}
        try:
            with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_S) as client:
                yield client, pid
        finally:
            process.terminate()
            process.join(_TIMEOUT_S)


def _events(first: int, count: int) -> bytes:
    return json.dumps(
        [
            {
                "source": f"service-{number % 7}",
                "kind": "step" if number % 3 else "request",
                "level": "info",
                "message": f"request {number} done",
                "duration_ms": number % 250,
                "data": {"path": f"/planes/N{number % 997}", "status": 200, "attempt": number % 3},
            }
            for number in range(first, first + count)
        ]
    ).encode()


def _spans(first: int, count: int) -> bytes:
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    pair = resource.resource.attributes.add()
    pair.key, pair.value.string_value = "service.name", "planner"
    scope = resource.scope_spans.add()
    scope.scope.name = "bench"
    now_ns = time.time_ns()
    for number in range(first, first + count):
        span = scope.spans.add()
        span.trace_id = (number // 10 + 1).to_bytes(16, "big")
        span.span_id = (number + 1).to_bytes(8, "big")
        span.name = "chat gpt-x"
        span.start_time_unix_nano, span.end_time_unix_nano = now_ns - 5_000_000, now_ns
        for name, value in (
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.request.model", "gpt-x"),
            ("gen_ai.input.messages", f"what about plane {number}? " * 20),
            ("gen_ai.output.messages", f"it has {number % 400} seats. " * 20),
        ):
            pair = span.attributes.add()
            pair.key, pair.value.string_value = name, value
        pair = span.attributes.add()
        pair.key, pair.value.int_value = "gen_ai.usage.input_tokens", number % 100
    return gzip.compress(message.SerializeToString(), 1)


def _resident_mib(pid: int) -> float:
    """Resident memory of a process and of its children: queries run in some."""
    pages = 0
    for one in [pid, *_children(pid)]:
        try:
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _children(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(one) for one in found]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _send(client: httpx.Client, bodies: list[bytes]) -> int:
    accepted = 0
    lock = threading.Lock()

    def one(body: bytes) -> None:
        nonlocal accepted
        headers = {"Content-Type": "application/json"}
        while True:
            answer = client.post("/event", content=body, headers=headers)
            if answer.status_code not in (429, 503):
                break
            time.sleep(float(answer.headers["retry-after"]))
        answer.raise_for_status()
        with lock:
            accepted += answer.json()["accepted"]

    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(one, bodies))
    return accepted


def _count(client: httpx.Client, table: str) -> int:
    sql = f"select count(*) as n from system.{table}"
    answer = client.post("/query/sql", json={"sql": sql})
    answer.raise_for_status()
    return int(answer.json()["items"][0]["n"])


def _sqlite(bodies: list[bytes]) -> Prepare:
    def prepare() -> Callable[[], object]:
        folder = tempfile.mkdtemp()
        database = sqlite3.connect(Path(folder) / "peer.sqlite")
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = full")
        database.execute("create table events (source, kind, level, message, duration_ms, data)")

        def run() -> None:
            for body in bodies:
                rows = [(*(e[n] for n in list(e)[:5]), str(e["data"])) for e in json.loads(body)]
                with database:
                    database.executemany("insert into events values (?, ?, ?, ?, ?, ?)", rows)

        return run

    return prepare


def _events_in(client: httpx.Client, pid: int) -> Iterator[Result]:
    bodies = [_events(first, BATCH) for first in range(0, EVENTS, BATCH)]
    warm = _send(client, bodies[:20])
    _count(client, "events")
    before_mib, cpu_s = _resident_mib(pid), _cpu_s(pid)
    began = time.perf_counter()
    accepted = _send(client, bodies[: len(bodies) // 2])
    half_mib = _resident_mib(pid)
    accepted += _send(client, bodies[len(bodies) // 2 :])
    acknowledged_s = time.perf_counter() - began
    after_mib = _resident_mib(pid)
    counted = _count(client, "events") - warm
    whole_s = time.perf_counter() - began
    cpu_s = _cpu_s(pid) - cpu_s
    if not accepted == counted == EVENTS:
        raise RuntimeError(f"lost: {EVENTS} sent, {accepted} accepted, {counted} in the lake")
    run = _sqlite(bodies)()
    began = time.perf_counter()
    run()
    peer_s = time.perf_counter() - began
    details = {
        "events_per_s": EVENTS / acknowledged_s,
        "events_per_s_in_the_lake": EVENTS / whole_s,
        "events_per_cpu_s_of_the_gateway": EVENTS / cpu_s,
        "resident_mib_before": before_mib,
        "resident_mib_half": half_mib,
        "resident_mib_after": after_mib,
        "lost": float(EVENTS - counted),
    }
    yield Result(
        name=f"{EVENTS:,} events, {BATCH} a request, acknowledged",
        ours_s=acknowledged_s,
        peer_s=peer_s,
        ratio=None,
        reach=EVENTS / RATE_GOAL,
        runs=1,
        peer="SQLite alone",
        note=f"goal: {RATE_GOAL:,} a second; none lost",
        details=details,
    )


def _spans_in(client: httpx.Client, pid: int) -> Iterator[Result]:
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    first, late_s, longest_s = 0, 0.0, 0.0
    resident: list[float] = []
    cpu_s, began = _cpu_s(pid), time.perf_counter()
    step_s = SPAN_BATCH / SPANS_PER_S
    for number in range(round(SECONDS / step_s)):
        body = _spans(first, SPAN_BATCH)
        due = began + number * step_s
        time.sleep(max(0.0, due - time.perf_counter()))
        sent = time.perf_counter()
        late_s = max(late_s, sent - due)
        client.post("/v1/traces", content=body, headers=headers).raise_for_status()
        longest_s = max(longest_s, time.perf_counter() - sent)
        first += SPAN_BATCH
        resident.append(_resident_mib(pid))
    seconds = max(time.perf_counter() - began, SECONDS)
    cpu_s = _cpu_s(pid) - cpu_s
    counted = _count(client, "spans")
    if counted != first:
        raise RuntimeError(f"lost: {first} sent, {counted} in the lake")
    half = len(resident) // 2
    yield Result(
        name=f"{SPANS_PER_S:,} spans a second for {SECONDS} s",
        ours_s=seconds,
        peer_s=None,
        ratio=None,
        reach=SECONDS * 1.05,
        runs=1,
        note="none lost; memory of the second half against the first",
        details={
            "spans_per_s": first / seconds,
            "latest_start_ms": late_s * 1_000,
            "longest_request_ms": longest_s * 1_000,
            "cpu_share_of_the_gateway": cpu_s / seconds,
            "resident_mib_first_half": max(resident[:half]),
            "resident_mib_second_half": max(resident[half:]),
        },
    )


def run(folder: Path) -> list[Result]:
    """Every figure of the observer."""
    results: list[Result] = []
    with _served() as (client, pid):
        for part in (_events_in, _spans_in):
            for result in part(client, pid):
                print(line(result), result.details, flush=True)
                results.append(result)
    return results
