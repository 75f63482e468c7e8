"""Heads, keys, names and SQL of strangers: an answer of the 400s, no way in."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.attacks import FUZZ, raw, status_of, under_attack
from tests.gateways import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake with three planes, behind keys and small bounds."""
    with under_attack(tmp_path_factory.mktemp("attack")) as served:
        yield served


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
