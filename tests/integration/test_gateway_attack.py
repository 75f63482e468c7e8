"""Whatever a stranger sends: an answer of the 400s, no way in, nothing left behind."""

from __future__ import annotations

import gc
import gzip
import io
import json
import os
import random
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gateways import PLANES, Served, arrow, good, serving, slug

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "0"))
EXAMPLES = max(25, ROUNDS)
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
EVENT = {"entity_type": "plane", "entity_id": "N1", "action": "inspect", "dataset": "planes"}
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake behind keys, with small bounds; wrong keys are not counted here."""
    from lakecore.auth import _attempts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_attempts, "MAX_FAILURES", 10**9)
        with serving(
            tmp_path_factory.mktemp("attack"),
            rate_per_s=0.0,
            max_body_bytes=4 << 20,
            max_upload_bytes=8 << 20,
            head_timeout_s=1.0,
            timeout_s=1.0,
            max_connections=200,
        ) as served:
            yield served


@pytest.fixture(autouse=True)
def _no_trace(served: Served) -> Iterator[None]:
    """The planes are as they were, and nothing was logged as a bug."""
    yield
    assert served.lake.sql("select * from planes order by tailnum").to_pylist() == PLANES


def address(served: Served) -> tuple[str, int]:
    """Where it listens."""
    host, _, port = served.url.removeprefix("http://").rpartition(":")
    return host, int(port)


def raw(served: Served, data: bytes, *, wait_s: float = 10) -> bytes:
    """What comes back for bytes, until the other side closes or is silent for long."""
    with socket.create_connection(address(served), 10) as connection:
        found = b""
        try:
            connection.sendall(data)
            connection.settimeout(wait_s)
            while part := connection.recv(65_536):
                found += part
        except (ConnectionError, TimeoutError):
            pass
        return found


def status_of(answer: bytes) -> int:
    """The status of a raw answer, 0 where there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


# -- heads, keys, paths -------------------------------------------------------------------


@FUZZ
@given(text=st.text(alphabet=st.characters(codec="latin-1"), max_size=300))
def test_whatever_is_presented_as_a_key(served: Served, text: str) -> None:
    """401, or 400 where it is no header."""
    for name in (b"Authorization: Bearer ", b"X-API-Key: ", b"Authorization: "):
        answer = raw(
            served,
            b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            + name
            + text.encode("latin-1")
            + b"\r\n\r\n",
        )
        assert status_of(answer) in (400, 401), answer[:200]


@FUZZ
@given(data=st.binary(max_size=400), at=st.sampled_from(["start", "target", "header", "body"]))
def test_whatever_is_sent_as_http(served: Served, data: bytes, at: str) -> None:
    """No 500, and the next request is answered."""
    parts = {
        "start": data,
        "target": b"GET /" + data + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        "header": b"GET /health HTTP/1.1\r\nHost: x\r\n" + data + b"\r\n\r\n",
        "body": b"POST /journal/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + data,
    }
    assert status_of(raw(served, parts[at], wait_s=0.05)) < 500


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX-Y: " + b"y" * 100_000 + b"\r\n\r\n", None),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X-Y: y\r\n" * 20_000 + b"\r\n", None),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", None),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX-Y: " + b"y" * 900_000, 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"PRI * HTTP/2.0\r\n\r\n", None),
        (b"POST /journal/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
         b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", None),
        (b"POST /journal/events HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /journal/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
         b"Content-Length: 2\r\n\r\nx", 400),
        (b"GET /health HTTP/1.1\r\n\r\n", 400),
    ],
)  # fmt: skip
def test_heads_that_are_none(served: Served, data: bytes, status: int | None) -> None:
    """Too long, not HTTP, smuggled: refused in words, never taken for two requests."""
    answer = raw(served, data, wait_s=2)
    assert answer.count(b"HTTP/1.1 ") == 1
    if status is None:
        assert 400 <= status_of(answer) < 500
    else:
        assert (status_of(answer), b"application/problem+json" in answer) == (status, True)


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "....//....//etc/passwd",
        "/etc/passwd",
        "%00",
        "planes%00.txt",
        "..\\..\\windows",
        "system.keys",
        "system.journal",
        "a" * 5_000,
        "%f0%28%8c%bc",
        "file:%2f%2f%2fetc%2fpasswd",
        "planes;drop table planes",
        "planes'--",
        "%0d%0aX-Injected:%20yes",
    ],
)
def test_names_that_lead_elsewhere(served: Served, name: str) -> None:
    """In every path with a hole: no file, no header, no 500."""
    client = served.client
    paths = [
        f"/catalog/datasets/{name}",
        f"/journal/tile/{name}",
        f"/journal/tile/entries/{name}",
        f"/journal/proof/{name}",
        f"/pending/{name}",
        f"/workspaces/{name}/diff",
        f"/journal/history/plane/{name}",
    ]
    for path in paths:
        answer = client.get(path)
        assert answer.status_code < 500, (path, answer.text)
        assert "root:" not in answer.text
        assert "x-injected" not in answer.headers
    for path, body in (
        (f"/datasets/{name}/mutations", {"op": "insert", "rows": [{"x": 1}]}),
        (f"/mutations/{name}/revert", {}),
        (f"/pending/{name}/approve", {}),
        (f"/workspaces/{name}/merge", {}),
        (f"/keys/{name}/rotate", {}),
        ("/workspaces", {"name": name}),
        ("/catalog/adopt", {"uri": name, "dataset": "stolen"}),
        ("/catalog/adopt", {"uri": "x", "dataset": name}),
    ):
        answer = client.post(path, json=body)
        # A plain name is a name, even a strange one.
        assert answer.status_code < 500, (path, answer.text)
        assert "root:" not in answer.text
    assert client.delete(f"/catalog/datasets/{name}").status_code in (400, 403, 404, 405, 422)


@pytest.mark.parametrize(
    "name",
    ["../../../tmp/evil.csv", "..\\..\\evil.csv", "/etc/cron.d/evil", "a" * 10_000, "\0.csv", ""],
)
def test_file_names_that_lead_elsewhere(served: Served, name: str) -> None:
    """A file's name is recorded by its last part, and opens nothing."""
    files = {"file": (name, b"id,name\n1,x\n")}
    dataset = f"cargo{abs(hash(name)) % 10_000}"
    answer = served.client.post("/ingest/file", files=files, data={"dataset": dataset})
    assert answer.status_code in (200, 400, 422), answer.text
    if answer.status_code == 200:
        assert "/" not in answer.json()["file"]
        assert "\\" not in answer.json()["file"]
        served.lake.drop(dataset)


# -- SQL that wants more than rows ---------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "select * from '/etc/passwd'",
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from parquet_metadata('/etc/passwd')",
        "select * from \"/etc/passwd\"",
        "create external table t stored as csv location '/etc/passwd'",
        "copy (select 1) to '/tmp/stolen.csv'",
        "copy planes to '/tmp/stolen.parquet' stored as parquet",
        "set datafusion.catalog.location = '/etc'",
        "set datafusion.runtime.memory_limit = '1G'",
        "reset datafusion.execution.batch_size",
        "create function f(int) returns int return $1",
        "create view v as select 1",
        "create schema s",
        "drop schema main",
        "alter table planes rename to x",
        "prepare p as select 1",
        "execute p",
        "deallocate p",
        "begin; commit",
        "load 'x'",
        "attach '/etc/passwd' as x",
        "install httpfs",
        "pragma version",
        "explain analyze insert into planes values ('X', 1)",
        "insert into planes select 'X', 1 from planes a, planes b where a.seats < b.seats",
        "select * from planes; delete from planes",
        "",
        ";",
        "--",
        "/*",
        "select " + "(" * 5_000 + "1" + ")" * 5_000,
        "select " + "1+" * 40_000 + "1",
        "select " + "not " * 20_000 + "true",
        "x" * 2_000_000,
        "select '\x00'",
        "select * from planes where tailnum = $nobody",
    ],
)  # fmt: skip
def test_sql_that_wants_more_than_rows(served: Served, sql: str) -> None:
    """No file is read or written, no setting changed; refused in words."""
    answer = served.client.post("/query/sql", json={"sql": sql, "timeout_s": 5}, timeout=60)
    assert answer.status_code < 500 or answer.status_code == 503, (sql[:80], answer.text[:300])
    assert "root:" not in answer.text
    assert not os.path.exists("/tmp/stolen.csv")
    assert not os.path.exists("/tmp/stolen.parquet")
    if answer.status_code == 200:
        assert len(answer.content) < 100


def test_a_function_that_makes_much_of_little_is_ended(served: Served) -> None:
    """2 GB in one step that nothing can interrupt: in a process of its own, which is killed."""
    asked = {"sql": "select length(repeat('x', 2000000000))", "timeout_s": 1.0}
    began_s = time.monotonic()
    answer = served.client.post("/query/sql", json=asked, timeout=60)
    assert answer.status_code in (200, 403, 503), answer.text
    assert time.monotonic() - began_s < 20


# -- bodies -------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
ROUTES = (
    "/journal/events",
    "/query/sql",
    "/datasets/planes/mutations",
    "/keys",
    "/workspaces",
    "/truth/evaluate",
    "/catalog/adopt",
    "/reconcile",
)
MEMBERS = st.dictionaries(
    st.sampled_from(
        [
            *(*EVENT, "context", "timestamp", "event_id", "sql", "params", "op", "rows", "set"),
            *("where", "keys", "principal", "scopes", "name", "uri", "task_class", "tier"),
            *("limit", "version"),
        ]
    ),
    JSON,
    max_size=6,
)


@FUZZ
@given(route=st.sampled_from(ROUTES), body=JSON | MEMBERS)
def test_whatever_json_says(served: Served, route: str, body: Any) -> None:
    """An answer in words; a 500 is a bug."""
    headers = {"Content-Type": "application/json"}
    answer = served.client.post(route, content=json.dumps(body), headers=headers)
    assert answer.status_code < 500, (route, body, answer.text)


@pytest.mark.parametrize("route", [*ROUTES, "/pending/x/approve", "/mutations/x/revert"])
@pytest.mark.parametrize("body", [b"[" * 500_000, b'{"a":' * 200_000, b'"' + b"\\" * 1_000_000])
def test_json_that_is_deep(served: Served, route: str, body: bytes) -> None:
    """400, whatever the route does with it."""
    headers = {"Content-Type": "application/json"}
    assert served.client.post(route, content=body, headers=headers).status_code == 400


def test_bodies_that_are_too_long(served: Served) -> None:
    """By what they say, by what they are, and by what they become."""
    big = b"x" * (5 << 20)
    headers = {"Content-Type": "application/json"}
    for content in (big, iter([big[: 1 << 20]] * 5)):
        try:
            answer = served.client.post("/journal/events", content=content, headers=headers)
        except (httpx.WriteError, httpx.ReadError):
            continue  # told and closed while it was still being sent
        assert slug(answer, 413) == "too-large"
    bomb = gzip.compress(bytes(64 << 20))
    answer = served.client.post(
        "/journal/events", content=bomb, headers={**headers, "Content-Encoding": "gzip"}
    )
    assert slug(answer, 413) == "too-large"
    nested = gzip.compress(gzip.compress(bytes(64 << 20)))
    answer = served.client.post(
        "/journal/events", content=nested, headers={**headers, "Content-Encoding": "gzip"}
    )
    assert answer.status_code in (400, 413)


def bombs() -> dict[str, bytes]:
    """Small files that become large ones."""
    zeros = b"id,name\n" + b"1," + bytes(64 << 20)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", zeros)
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", bytes(64 << 20))
    zstd: bytes = pa.Codec("zstd").compress(zeros, asbytes=True)
    return {
        "rows.csv.gz": gzip.compress(zeros),
        "rows.csv.zst": zstd,
        "rows.csv.zip": zipped.getvalue(),
        "rows.xlsx": book.getvalue(),
    }


def test_files_that_are_bombs(served: Served) -> None:
    """A file that becomes longer than an upload may be is refused; nothing is made of it."""
    for name, data in bombs().items():
        assert len(data) < 1 << 20
        answer = served.client.post(
            "/ingest/file", files={"file": (name, data)}, data={"dataset": "bomb", "key": "id"}
        )
        assert answer.status_code == 422, (name, answer.text)
        assert "too long" in answer.text, (name, answer.text)
    assert served.client.get("/catalog/datasets/bomb").status_code == 404


@FUZZ
@given(data=st.data())
def test_whatever_multipart_says(served: Served, data: st.DataObject) -> None:
    """Broken parts, strange names, missing ends: 400s."""
    whole = (
        b'--b\r\nContent-Disposition: form-data; name="dataset"\r\n\r\nfuzz\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n'
        b"Content-Type: text/csv\r\n\r\nid,name\n1,x\n\r\n--b--\r\n"
    )
    broken = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(broken) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "insert"]))
        if kind == "flip":
            broken[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del broken[at : at + data.draw(st.integers(1, 20))]
        else:
            broken[at:at] = data.draw(st.binary(max_size=20))
        if not broken:
            break
    boundary = data.draw(st.sampled_from(["b", "", "B", "b" * 300]))
    client = served.as_("nobody", "write:elsewhere") if not served.clients else served.clients[0]
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = client.post("/ingest/file", content=bytes(broken), headers=headers)
    assert answer.status_code < 500, answer.text


def events_arrow() -> bytes:
    """An Arrow stream of events that is good."""
    table = pa.table(
        {name: [value] * 5 for name, value in EVENT.items()} | {"context": ['{"run":1}'] * 5}
    )
    return arrow(table)


def test_arrow_with_flipped_bits(served: Served) -> None:
    """Every answer is in words, and the process lives; a batch that is taken is a batch."""
    whole = events_arrow()
    chance = random.Random(7)
    client = served.as_("flipper", "write:planes", "read:planes")
    headers = {"Content-Type": ARROW}
    for _ in range(max(100, ROUNDS)):
        broken = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 8])):
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.2:
            broken = broken[: chance.randrange(len(broken))]
        answer = client.post("/journal/events", content=bytes(broken), headers=headers)
        assert answer.status_code < 500, (bytes(broken).hex(), answer.text)
    assert good(client.post("/journal/events", content=whole, headers=headers), 201)["count"] == 5


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"entity_type": [1], "entity_id": ["x"], "action": ["y"]}),
        pa.table({"entity_type": [["x"]], "entity_id": ["x"], "action": ["y"]}),
        pa.table({"entity_type": [{"a": 1}], "entity_id": ["x"], "action": ["y"]}),
        pa.table({"entity_type": ["x"], "entity_id": ["x"], "action": ["y"], "actor": [{"a": 1}]}),
        pa.table({"entity_type": ["x"], "entity_id": ["x"], "action": ["y"], "context": [[1]]}),
        pa.table({"entity_type": ["x"], "entity_id": ["x"], "action": ["y"], "dataset": [b"\xff"]}),
        pa.table({"entity_type": ["x"], "entity_id": ["x"], "action": ["y"], "seq": [{"a": 1}]}),
        pa.table([["x"], ["x"], ["x"]], names=["entity_type", "entity_type", "entity_id"]),
        pa.table({}),
    ],
)
def test_arrow_of_other_shapes(served: Served, table: pa.Table) -> None:
    """Types and columns that events have not: 400 or 422."""
    answer = served.client.post(
        "/journal/events", content=arrow(table), headers={"Content-Type": ARROW}
    )
    assert answer.status_code in (400, 422), answer.text


# -- slow, many, gone ----------------------------------------------------------------------


def test_heads_that_do_not_come_end(served: Served) -> None:
    """A hundred clients that say a byte now and then: others are served, and all are let go."""
    slow = [socket.create_connection(address(served), 10) for _ in range(100)]
    try:
        began_s = time.monotonic()
        for connection in slow:
            connection.sendall(b"GET /health HTTP/1.1\r\n")
        while time.monotonic() - began_s < 0.6:
            for connection in slow:
                connection.sendall(b"X")
            time.sleep(0.1)
        assert served.client.get("/ready").status_code == 200
        answers = [connection.recv(200) for connection in slow]
        assert {status_of(answer) for answer in answers} == {408}
        assert time.monotonic() - began_s < 8
    finally:
        for connection in slow:
            connection.close()


def test_a_silent_connection_ends(served: Served) -> None:
    """Who says nothing at all, also behind an answer."""
    with socket.create_connection(address(served), 10) as connection:
        assert status_of(connection.recv(200)) == 408
    with socket.create_connection(address(served), 15) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /hea")
        found = b""
        while part := connection.recv(1_000):
            found += part
        assert found.startswith(b"HTTP/1.1 200")


def test_bodies_that_do_not_come_end(served: Served) -> None:
    """Half a body, then nothing: 408, and the connection closes."""
    key = served.key("halfway", "write:*")
    head = f"POST /journal/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    with socket.create_connection(address(served), 10) as connection:
        connection.sendall(head.encode())
        assert status_of(connection.recv(1_000)) == 408


def test_more_connections_than_there_may_be(served: Served) -> None:
    """The next is told to come again; then there is room."""
    held = [socket.create_connection(address(served), 10) for _ in range(215)]
    try:
        answers = []
        for connection in held[200:]:
            connection.settimeout(0.8)
            try:
                answers.append(status_of(connection.recv(500)))
            except TimeoutError:
                answers.append(0)
        assert answers.count(503) >= 10
    finally:
        for connection in held:
            connection.close()
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s:
        try:
            if served.client.get("/health").status_code == 200:
                break
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    assert served.client.get("/health").status_code == 200


def threads() -> int:
    """Threads that are alive."""
    return threading.active_count()


def files() -> int:
    """Files that are open."""
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def nothing_left(served: Served) -> Iterator[None]:
    """As many files, threads, statements and watched answers afterwards as before, soon."""
    served.client.get("/ready")
    gc.collect()
    rooms = served.gateway.app.state.rooms
    before = files(), threads()
    yield
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        gc.collect()
        quiet = not rooms.queries._running and not rooms.watch._held and not rooms.workers._count
        if quiet and files() <= before[0] + 8 and threads() <= before[1] + 20:
            return  # the pool has 16 threads, made when they are needed
        time.sleep(0.1)
    pytest.fail(f"{(files(), threads())} are left, {before} there were; {rooms}")


def test_clients_that_leave_in_the_middle(served: Served) -> None:
    """While they send, while they are answered, while they follow: all is let go."""
    key = served.key("leaver", "read:*", "write:*")
    endless = json.dumps({"sql": "select a.value from generate_series(1, 100000000000) a"})
    head = f"HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: "
    requests = [
        f"POST /journal/events {head}application/json\r\nContent-Length: 900000\r\n\r\n"
        + "{" * 400,
        f"POST /ingest/file {head}multipart/form-data; boundary=b\r\nContent-Length: 900000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\nid\n1\n',
        f"POST /query/sql {head}application/json\r\nAccept: text/csv\r\n"
        f"Content-Length: {len(endless)}\r\n\r\n{endless}",
        f"POST /query/sql {head}application/json\r\nAccept: application/vnd.apache.parquet\r\n"
        f"Accept-Encoding: gzip\r\nContent-Length: {len(endless)}\r\n\r\n{endless}",
        f"GET /journal/tail?from_seq=0 {head}x\r\n\r\n",
    ]
    warm = [request.encode() for request in requests]

    def leave(number: int) -> None:
        with socket.create_connection(address(served), 10) as connection:
            connection.sendall(warm[number % len(warm)])
            if number % 3:
                time.sleep(0.02 * (number % 4))
            if number % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    for number in range(len(warm)):
        leave(number)
    time.sleep(1.5)
    with nothing_left(served), ThreadPoolExecutor(6) as pool:
        list(pool.map(leave, range(max(60, ROUNDS))))


def test_ten_times_the_rate(tmp_path_factory: pytest.TempPathFactory) -> None:
    """So many are served as may be, the others are told when to come; another key is not held."""
    with serving(tmp_path_factory.mktemp("rate"), rate_per_s=1.0, rate_burst=6) as served:
        greedy, other = served.as_("greedy", "read:*"), served.as_("other", "read:*")
        greedy.get("/ready")
        began_s = time.monotonic()
        answers = [greedy.get("/catalog/datasets") for _ in range(60)]
        lasted_s = time.monotonic() - began_s
        served_count = sum(answer.status_code == 200 for answer in answers)
        refused = [answer for answer in answers if answer.status_code == 429]
        assert served_count + len(refused) == 60
        assert served_count <= 6 + lasted_s + 1
        assert refused
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert other.get("/catalog/datasets").status_code == 200
        nobody = served.with_headers()
        statuses = [nobody.get("/catalog/datasets").status_code for _ in range(20)]
        assert set(statuses) == {401, 429}
        wrong = served.with_headers({"X-API-Key": "lc_" + "0" * 12 + "_" + "x" * 43 + "_000000"})
        statuses = [wrong.get("/ready").status_code for _ in range(30)]
        assert statuses[-1] == 429
        assert other.get("/catalog/datasets").status_code == 200
