"""SQL over HTTP that changes rows, that is ended early, and that takes no more than it may."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.gateways import PLANES, Served, good, serving, slug

import lakecore
from lakecore.base import Refused

ENDLESS = {"sql": "select count(*) from generate_series(1, 100000000000) a where a.value % 7 = 3"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake with three planes, behind keys; three statements at a time."""
    with serving(tmp_path_factory.mktemp("sql"), max_queries=3) as served:
        yield served


def ask(client: httpx.Client, sql: str, params: Any = None, **more: Any) -> httpx.Response:
    """One statement."""
    headers = more.pop("headers", None)
    return client.post("/query/sql", json={"sql": sql, "params": params, **more}, headers=headers)


def rows(served: Served) -> list[dict[str, Any]]:
    """The planes as they are."""
    return served.lake.sql("select * from planes order by tailnum").to_pylist()


def test_statements_become_changes(served: Served) -> None:
    """Each in the key's name, with its reason, field by field; the answer is a mutation's."""
    client = served.as_("agent:tidy", "read:planes", "write:planes")
    made = good(ask(client, "insert into planes values ('N7', 7)", reason="found"))
    assert (made["inserted"], made["committed"], made["dataset"]) == (1, True, "planes")
    more = "update planes set seats = seats + $1 where tailnum = $2"
    assert good(ask(client, more, [3, "N7"]))["updated"] == 1
    assert good(ask(client, "replace into planes values ('N7', 11), ('N8', 8)"))["inserted"] == 1
    copied = (
        "insert into planes select tailnum || 'x', seats from planes where seats between 8 and 20"
    )
    assert good(ask(client, copied))["inserted"] == 2
    assert good(ask(client, "delete from planes where tailnum like '%x'"))["deleted"] == 2
    history = served.lake.history("planes", "N7")
    values = [(e.action, e.field, e.old_value, e.new_value) for e in history if e.field == "seats"]
    assert values == [("update", "seats", "7", "10"), ("update", "seats", "10", "11")]
    assert {event.actor for event in history} == {"agent:tidy"}
    told = json.loads(history[0].context)
    assert (told["reason"], bool(told["key_id"])) == ("found", True)
    kept = "insert overwrite planes select * from planes where tailnum not in ('N7', 'N8')"
    assert good(ask(client, kept))["deleted"] == 2
    assert rows(served) == PLANES
    assert served.lake.verify().status != "red"


def test_a_change_needs_both_rights(served: Served) -> None:
    """Who may only read is refused, and so is who reads elsewhere to write here."""
    served.lake.create("hr.staff", key=["id"])
    served.lake.insert("hr.staff", [{"id": 1, "name": "ada"}])
    reader = served.as_("reader", "read:planes")
    for sql in ("delete from planes", "insert into planes values ('N5', 5)"):
        assert slug(ask(reader, sql), 403) == "refused"
    writer = served.as_("writer", "write:planes", "read:hr.*")
    assert ask(writer, "delete from planes").status_code == 403
    both = served.as_("both", "write:planes", "read:planes")
    stolen = "insert into planes (tailnum) select name from hr.staff"
    assert slug(ask(both, stolen), 403) == "refused"
    assert ask(both, "delete from hr.staff").status_code == 403
    for sql in ("delete from system.journal", "delete from system.keys", "truncate system.pending"):
        assert 400 <= ask(served.client, sql).status_code < 500
    assert rows(served) == PLANES


@pytest.mark.parametrize(
    ("sql", "status"),
    [
        ("delete from planes where seats in (select max(seats) from planes)", None),
        ("delete from planes where seats > 1 limit 1", 403),
        ("update planes set seats = 1.5", 422),
        ("update planes set seats = 'many'", 422),
        ("insert into planes values ('N102UW', 1)", 422),
        ("insert into planes values (null, 1)", 422),
        ("insert into planes values ('N5', 1.5)", 422),
        ('delete from "planes@0"', None),
        ("drop table planes", 403),
        ("create table t as select 1", 403),
        ("copy planes to '/tmp/p.csv'", 403),
        ("set datafusion.execution.batch_size = 1", 403),
        ("explain analyze delete from planes", 403),
        (
            "merge into planes p using planes q on p.tailnum = q.tailnum when matched then delete",
            403,
        ),
        ("delete from nowhere", 404),
    ],
)
def test_what_is_not_made_a_change(served: Served, sql: str, status: int | None) -> None:
    """A problem of the 400s that says why; the rows are as they were."""
    answer = ask(served.client, sql)
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert answer.status_code == status if status else 400 <= answer.status_code < 500, answer.text
    assert rows(served) == PLANES


def test_members_are_for_what_they_are_for(served: Served) -> None:
    """A query takes no reason, a change no limit."""
    assert ask(served.client, "select 1", reason="x").status_code == 422
    assert ask(served.client, "delete from planes", limit=1).status_code == 422
    assert rows(served) == PLANES


def test_who_asks_read_only_changes_nothing(served: Served) -> None:
    """Whatever the key allows; `lakecore.Client` asks so."""
    answer = ask(served.client, "delete from planes", read_only=True)
    assert slug(answer, 403) == "refused"
    assert good(ask(served.client, "select 1 as one", read_only=True))["items"] == [{"one": 1}]
    with (
        lakecore.Client(served.url, served.key("ada", "read:*", "write:*")) as client,
        pytest.raises(Refused),
    ):
        client.sql("delete from planes").to_arrow()
    assert rows(served) == PLANES


def test_a_preview_and_the_same_again(served: Served) -> None:
    """Tiers and the Idempotency-Key hold as for every change."""
    shown = good(ask(served.client, "delete from planes", tier="preview"))
    assert (shown["deleted"], shown["committed"]) == (3, False)
    headers = {"Idempotency-Key": "sql-1"}
    sql = "insert into planes values ('N5', 5)"
    first = good(ask(served.client, sql, headers=headers))
    again = ask(served.client, sql, headers=headers)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first, "true")
    assert good(ask(served.client, "delete from planes where tailnum = 'N5'"))["deleted"] == 1


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("insert into planes select tailnum || '-2', seats from planes where seats > 100", 2),
        ("update planes set seats = seats / 2 where seats > 100 and tailnum like 'N10%'", 2),
        ("delete from planes where seats between 100 and 200", 2),
    ],
)
def test_a_change_by_sql_waits_and_is_approved(served: Served, sql: str, count: int) -> None:
    """What was shown is what is made: rows, condition and values are kept meanwhile."""
    agent = served.as_("agent:careful", "read:planes", "write:planes")
    version = served.lake.describe("planes")["version"]
    held = good(ask(agent, sql, tier="dry_run", reason="looks right"), 202)
    assert rows(served) == PLANES
    change = held["mutation_id"]
    shown = good(served.client.get(f"/pending/{change}"))
    assert (shown["actor"], shown["reason"]) == ("agent:careful", "looks right")
    assert len(shown["diff"]) == count
    made = good(served.client.post(f"/pending/{change}/approve", json={}))
    assert (made["committed"], made["inserted"] + made["updated"] + made["deleted"]) == (
        True,
        count,
    )
    assert rows(served) != PLANES
    served.lake.restore("planes", version=version)
    assert rows(served) == PLANES


def wait_until_free(served: Served, within_s: float = 8) -> float:
    """Seconds until no statement runs any more."""
    queries = served.gateway.app.state.rooms.queries
    began_s = time.monotonic()
    while queries._running and time.monotonic() - began_s < within_s:
        time.sleep(0.02)
    assert not queries._running
    return time.monotonic() - began_s


def test_a_statement_is_ended_by_its_id(served: Served) -> None:
    """By who began it, before its first row; nobody else's is found."""
    client = served.as_("slow", "read:*")
    other = served.as_("other", "read:*")
    headers = {"X-Request-Id": "long-1"}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.post, "/query/sql", json=ENDLESS, headers=headers)
        time.sleep(0.5)
        assert slug(other.delete("/query/long-1"), 404) == "not-found"
        assert good(client.delete("/query/long-1")) == {"cancelled": 1}
        answer = asked.result(10)
    assert (answer.status_code, slug(answer, 503)) == (503, "unavailable")
    assert "cancelled" in answer.text
    wait_until_free(served)
    assert client.delete("/query/long-1").status_code == 404


def test_who_leaves_before_the_first_row_ends_the_statement(served: Served) -> None:
    """Not only who leaves while rows come."""
    with pytest.raises(httpx.ReadTimeout):
        served.client.post("/query/sql", json=ENDLESS, timeout=0.5)
    assert wait_until_free(served) < 5


def test_so_many_statements_at_a_time(served: Served) -> None:
    """The next is told to come again; then there is room."""
    wait_until_free(served)
    with ThreadPoolExecutor(3) as pool:
        for number in range(3):
            headers = {"X-Request-Id": f"busy-{number}"}
            pool.submit(served.client.post, "/query/sql", json=ENDLESS, headers=headers)
        time.sleep(0.7)
        answer = ask(served.client, "select 1 as one")
        for number in range(3):
            served.client.delete(f"/query/busy-{number}")
    assert slug(answer, 503) == "unavailable"
    assert answer.headers["retry-after"]
    wait_until_free(served)
    assert good(ask(served.client, "select 1 as one"))["items"] == [{"one": 1}]


def test_time_and_memory_are_bounded(served: Served) -> None:
    """By the request within what the settings allow; both are problems that say so."""
    late = served.client.post("/query/sql", json={**ENDLESS, "timeout_s": 0.3})
    assert (late.status_code, "time limit" in late.text) == (503, True)
    sql = "select array_agg(a.value order by a.value desc) from generate_series(1, 3000000) a"
    fat = ask(served.client, sql, memory_limit_bytes=2 << 20)
    assert (fat.status_code, "memory" in fat.text) == (403, True)
    assert ask(served.client, "select 1", memory_limit_bytes=1).status_code == 422


def test_open_rows_end_with_their_key(served: Served) -> None:
    """A result that is being sent is broken off within 5 s of the revocation."""
    client = served.as_("leaver", "read:*")
    key_id = next(key.id for key in served.lake.keys.list() if key.principal.name == "leaver")
    endless = {"sql": "select a.value from generate_series(1, 100000000000) a"}
    headers = {"Accept": "application/x-ndjson"}
    ended_s = float("inf")

    def read() -> None:
        nonlocal ended_s
        with client.stream("POST", "/query/sql", json=endless, headers=headers) as answer:
            for _ in answer.iter_raw():
                is_reading.set()
        ended_s = time.monotonic()  # a whole answer: there is none

    is_reading = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        assert is_reading.wait(10)
        served.lake.keys.revoke(key_id)
        began_s = time.monotonic()
        with pytest.raises(httpx.RemoteProtocolError):
            reading.result(10)
        assert time.monotonic() - began_s < 5
    assert ended_s == float("inf")
    wait_until_free(served)


def test_a_statement_without_a_row_yet_ends_with_its_key(served: Served) -> None:
    """It is told so, as whoever comes with that key would be."""
    client = served.as_("waiter", "read:*")
    key_id = next(key.id for key in served.lake.keys.list() if key.principal.name == "waiter")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.post, "/query/sql", json=ENDLESS)
        time.sleep(0.5)
        served.lake.keys.revoke(key_id)
        began_s = time.monotonic()
        answer = asked.result(20)
    assert slug(answer, 401) == "unauthenticated"
    assert time.monotonic() - began_s < 5
    wait_until_free(served)


def test_a_reader_that_takes_nothing_is_let_go(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Its statement ends, and its connection with it."""
    folder = tmp_path_factory.mktemp("stalled")
    with serving(folder, timeout_s=0.5) as served:
        body = json.dumps({"sql": "select a.value from generate_series(1, 100000000000) a"})
        key = served.key("stalled", "read:*")
        host, port = served.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.sendall(
                f"POST /query/sql HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n"
                f"Content-Type: application/json\r\nAccept: text/csv\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
            time.sleep(0.6)
            wait_until_free(served)
