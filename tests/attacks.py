"""A gateway with small bounds for the tests that attack it, and raw sockets to it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.gateways import PLANES, Served, serving

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "0"))
FUZZ = settings(
    max_examples=max(25, ROUNDS),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
EVENT = {"entity_type": "plane", "entity_id": "N1", "action": "inspect", "dataset": "planes"}
ARROW = "application/vnd.apache.arrow.stream"


@contextmanager
def under_attack(folder: Path) -> Iterator[Served]:
    """A lake behind keys; wrong keys are not counted. The planes are as they were at the end."""
    from lakecore.auth import _attempts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_attempts, "MAX_FAILURES", 10**9)
        with serving(
            folder,
            rate_per_s=0.0,
            max_body_bytes=4 << 20,
            max_upload_bytes=8 << 20,
            head_timeout_s=1.0,
            timeout_s=1.0,
            max_connections=200,
        ) as served:
            yield served
            rows = served.lake.sql("select * from planes order by tailnum").to_pylist()
            assert rows == PLANES
            assert served.lake.verify().status != "red"


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
