"""Clients that are slow, many, or gone: others are served, and nothing is left behind."""

from __future__ import annotations

import gc
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from tests.attacks import ROUNDS, address, status_of, under_attack
from tests.gateways import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake with three planes, behind keys and small bounds."""
    with under_attack(tmp_path_factory.mktemp("attack")) as served:
        yield served


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
