"""The gateway on loopback, driven by wrk: recording, SQL, tails, and what a key costs.

The server is a process of its own, with keys; client and server share the machine. Without wrk
(https://github.com/wg/wrk) what needs it is reported absent.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

import lakecore
from benchmarks.pairs import Result, compare, line
from lakecore.auth import authorize

SECONDS = int(os.environ.get("LAKECORE_BENCH_SECONDS", "5"))
CONNECTIONS = 64
PAIRS = 3
TAILS = 1_000
ROWS = 1_000_000
NDJSON_EVENTS, ARROW_EVENTS = 10_000, 65_536
SCRIPT = Path(__file__).parent / "post.lua"
ARROW = "application/vnd.apache.arrow.stream"


@dataclass
class Server:
    """A gateway in a process of its own."""

    url: str
    pid: int
    key: str

    def memory_bytes(self, what: str = "VmRSS") -> int:
        """Its resident memory, or with ``VmHWM`` the most that it ever had."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(
            int(row.split()[1]) << 10 for row in status.splitlines() if row.startswith(f"{what}:")
        )

    def forget_peak(self) -> None:
        """Have ``VmHWM`` begin anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


@contextmanager
def serving(place: Path, key: str, *options: str) -> Iterator[Server]:
    """A server for some time."""
    environ = {**os.environ, "LAKECORE_AUTH__ENABLED": "true", "LAKECORE_GATEWAY__RATE_PER_S": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gateway_server", str(place), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environ,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield Server(process.stdout.readline().strip(), process.pid, key)
        finally:
            process.stdin.close()
            process.wait(600)  # millions of events may have to be sealed


def wrk(server: Server, body: Path, kind: str, *, connections: int) -> dict[str, Any]:
    """POST a body for some seconds."""
    command = [
        *("wrk", "--latency", "-t", str(min(2, connections)), "-c", str(connections)),
        *("-d", f"{SECONDS}s", "--timeout", "20s", "-s", str(SCRIPT)),
        *(f"{server.url}/journal/events", "--", str(body), kind, server.key),
    ]
    began_s = cpu_s(server.pid)
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    found["cpu_s"] = cpu_s(server.pid) - began_s
    if found["bad"]:
        raise RuntimeError(f"requests failed: {found}")
    return found


def run(folder: Path) -> list[Result]:
    """All of it."""
    with tempfile.TemporaryDirectory() as temp:
        place, bodies = Path(temp) / "lake", Path(temp) / "bodies"
        bodies.mkdir()
        with lakecore.open(place, actor="bench") as lake:
            key = lake.keys.create("loader", scopes=["read:*", "write:*"]).text
            numbers = pa.array(range(ROWS), pa.int64())
            rows = pa.table({"id": numbers, "square": pa.compute.multiply(numbers, numbers)})
            texts = pa.array([f"row {number % 977}" for number in range(ROWS)])
            lake.create("numbers")
            lake.insert("numbers", rows.append_column("text", texts))
        results = [] if shutil.which("wrk") is None else recording(place, bodies, key)
        if not results:
            print("wrk is absent: recording over HTTP is not measured", flush=True)
        return [*results, *reading(place, key), *tails(place, key), auth(place)]


def recording(place: Path, bodies: Path, key: str) -> list[Result]:
    """Events, one a request and many a request."""
    event = {"entity_type": "plane", "entity_id": "N10156", "action": "inspect", "field": "seats"}
    event |= {"new_value": "55", "dataset": "planes"}
    single, lines, stream = (bodies / name for name in ("one", "lines", "arrow"))
    single.write_text(json.dumps(event))
    lines.write_text("".join(json.dumps(event) + "\n" for _ in range(NDJSON_EVENTS)))
    table = pa.table({name: [value] * ARROW_EVENTS for name, value in event.items()})
    with pa.OSFile(str(stream), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with serving(place, key) as server, serving(bodies / "dry", key, "--dry") as dry:
        with lakecore.open(bodies / "dry", actor="bench") as lake:
            dry.key = lake.keys.create("loader", scopes=["write:*"]).text
        for one in (server, dry):
            wrk(one, single, "application/json", connections=CONNECTIONS)
        pairs = [
            tuple(
                wrk(s, single, "application/json", connections=CONNECTIONS) for s in (server, dry)
            )
            for _ in range(PAIRS)
        ]
        costs = [tuple(run["seconds"] / run["requests"] for run in pair) for pair in pairs]
        ratios = [ours / peer for ours, peer in costs]
        p99_s = statistics.median(ours["p99_s"] for ours, _ in pairs)
        cpu = [
            statistics.median(run[at]["cpu_s"] / run[at]["requests"] for run in pairs)
            for at in (0, 1)
        ]
        results = [
            Result(
                f"durable POST of one event, {CONNECTIONS} connections",
                statistics.median(ours for ours, _ in costs),
                statistics.median(peer for _, peer in costs),
                statistics.median(ratios),
                round(1 / 0.7, 2),
                PAIRS,
                "the same, not writing",
                f"{1 / statistics.median(ours for ours, _ in costs):,.0f} a second; of processor "
                f"{cpu[0] * 1e6:.0f} µs each, {cpu[1] * 1e6:.0f} µs without writing",
                {"ratio_min": min(ratios), "ratio_max": max(ratios)},
            ),
            Result("its 99th percentile", p99_s, None, None, 0.05, PAIRS),
        ]
        for name, body, kind, count, goal in (
            ("NDJSON", lines, "application/x-ndjson", NDJSON_EVENTS, 200_000),
            ("Arrow", stream, ARROW, ARROW_EVENTS, 500_000),
        ):
            runs = [wrk(server, body, kind, connections=4) for _ in range(PAIRS)]
            per_s = statistics.median(run["requests"] * count / run["seconds"] for run in runs)
            cpu_each_s = statistics.median(r["cpu_s"] / (r["requests"] * count) for r in runs)
            note = f"{per_s:,.0f} events a second, {count:,} a request, 4 connections; "
            note += f"{cpu_each_s * 1e6:.2f} µs of processor each"
            per_goal_s = goal / per_s
            results.append(
                Result(f"{goal:,} events as {name}", per_goal_s, None, None, 1.0, PAIRS, "", note)
            )
    for result in results:
        print(line(result), flush=True)
    return results


def reading(place: Path, key: str) -> list[Result]:
    """A million rows as Arrow, over HTTP and in process."""
    query = "select * from numbers"
    with serving(place, key) as server, lakecore.open(place, actor="bench") as lake:

        def over_http(sql: str = query) -> int:
            address = urlsplit(server.url)
            connection = http.client.HTTPConnection(address.hostname or "", address.port)
            headers = {"Content-Type": "application/json", "Accept": ARROW, "X-API-Key": key}
            connection.request("POST", "/query/sql", json.dumps({"sql": sql}), headers)
            answer = connection.getresponse()
            count = 0
            with pa.ipc.open_stream(answer) as reader:
                for batch in reader:
                    count += batch.num_rows
            connection.close()
            return count

        def in_process() -> int:
            return sum(batch.num_rows for batch in lake.sql(query))

        def prepared(way: Callable[[], int]) -> Callable[[], Callable[[], object]]:
            return lambda: lambda: way()

        compared = compare(
            f"SQL: {ROWS:,} rows as Arrow over HTTP",
            prepared(over_http),
            prepared(in_process),
            peer_name="in process",
            reach=1.25,
            runs=9,
        )
        over_http()
        peaks = []
        for factor in (1, 4):
            server.forget_peak()
            before = server.memory_bytes()
            union = " union all ".join([query] * factor)
            assert over_http(union) == factor * ROWS
            peaks.append(server.memory_bytes("VmHWM") - before)
        grown = Result(
            "memory of four times as many rows, against one",
            max(peaks[1], 1) / 1e6,
            max(peaks[0], 1) / 1e6,
            None,
            None,
            1,
            "MB above rest",
            f"{peaks[0] / 1e6:.0f} MB, {peaks[1] / 1e6:.0f} MB",
        )
        print(line(grown), flush=True)
    return [compared, grown]


def tails(place: Path, key: str) -> list[Result]:
    """A thousand clients that follow a journal in which nothing happens."""
    with serving(place, key) as server:
        address = urlsplit(server.url)
        request = f"GET /journal/tail HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n".encode()

        def follow() -> socket.socket:
            follower = socket.create_connection((address.hostname, address.port), 30)
            follower.sendall(request)
            assert follower.recv(500).startswith(b"HTTP/1.1 200")
            return follower

        # What the first one loads, at its first look behind the answer, is not what a tail costs.
        first = server.memory_bytes()
        alone = follow()
        time.sleep(3)
        alone.close()
        before = server.memory_bytes()
        followers = [follow() for _ in range(TAILS)]
        time.sleep(3)
        took = server.memory_bytes() - before
        began = cpu_s(server.pid)
        time.sleep(5)
        busy = (cpu_s(server.pid) - began) / 5
        for follower in followers:
            follower.close()
    loaded = f"the first one: {(before - first) / 1e6:.0f} MB"
    note = f"{took / 1e6:.0f} MB; {busy:.1%} of a processor; {loaded}"
    result = Result(f"{TAILS:,} idle tails, of 100 MB", took / 1e8, None, None, 1.0, 1, "", note)
    print(line(result), flush=True)
    return [result]


def cpu_s(pid: int) -> float:
    """Seconds of processors that a process has had."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def auth(place: Path) -> Result:
    """Who is it, and may they: what a request with a key costs beside one without."""
    with lakecore.open(place, actor="bench") as lake:
        keys = lake._parts.keys
        text = lake.keys.create("timed", scopes=["read:planes", "write:planes", "read:*"]).text
        keys.authenticate(text)

        def ask() -> None:
            principal = keys.at_once(text)
            if principal is None:  # once in two seconds the store is asked
                principal = keys.authenticate(text)
            authorize(principal, "write", "planes")

        seconds = min(timeit.repeat(ask, number=2_000, repeat=7, timer=time.process_time)) / 2_000
    result = Result(
        "a key told apart and its right checked", seconds, None, None, 50e-6, 7, "",
        f"{seconds * 1e6:.1f} µs of processor",
    )  # fmt: skip
    print(line(result), flush=True)
    return result
