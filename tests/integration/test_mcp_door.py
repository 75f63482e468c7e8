"""What is no request of the protocol, at /mcp: refused, never a 500, and nothing is left open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.gateways import Served, serving

from lakecore.mcp._limits import BODY_BYTES

MODERN = {"Mcp-Protocol-Version": "2026-07-28"}
ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "datasets"}}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake behind keys."""
    with serving(tmp_path_factory.mktemp("door")) as served:
        yield served


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    """Somebody with a key."""
    return served.as_("agent:tidy", "read:planes", "write:planes")


@pytest.mark.parametrize("era", [{}, MODERN, {"Mcp-Protocol-Version": "1999-01-01"}])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"[1,2]",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"a":' * 50_000,
        b'{"jsonrpc":"2.0","id":1,"method":"nosuch"}',
        b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":7}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}',
        json.dumps(CALL).encode(),
        b"1" * 100_000,
    ],
)
def test_what_is_no_request(client: httpx.Client, content: bytes, era: dict[str, str]) -> None:
    """4xx, or an error of the protocol; the next request is answered."""
    answer = client.post("/mcp", content=content, headers={**ACCEPT, **era})
    assert answer.status_code < 500, answer.text
    if answer.status_code == 200:
        assert "error" in answer.text
    assert client.get("/catalog/datasets").status_code == 200


@pytest.mark.parametrize("era", [{}, MODERN])
def test_a_body_beyond_its_bound(client: httpx.Client, era: dict[str, str]) -> None:
    """Told by its length, and where it does not tell, by its bytes."""
    whole = b" " * (BODY_BYTES + 1)
    assert client.post("/mcp", content=whole, headers={**ACCEPT, **era}).status_code == 413
    pieces = (b" " * 65_536 for _ in range(BODY_BYTES // 65_536 + 1))
    try:
        status = client.post("/mcp", content=pieces, headers={**ACCEPT, **era}).status_code
    except httpx.WriteError:
        status = 413  # it is told before all is sent
    assert status == 413


@pytest.mark.parametrize(
    ("method", "headers", "statuses"),
    [
        ("GET", {}, {400, 406}),
        ("GET", MODERN, {405}),
        ("DELETE", {}, {400, 404, 405}),
        ("PUT", {}, {405}),
        ("OPTIONS", {}, {405}),
        ("POST", {"Content-Type": "text/plain"}, {400, 415}),
        ("POST", {"Mcp-Session-Id": "0" * 32, **ACCEPT}, {404}),
        ("POST", {"Mcp-Session-Id": "x" * 5_000, **ACCEPT}, {400, 404}),
    ],
)
def test_other_methods_and_headers(
    client: httpx.Client, method: str, headers: dict[str, str], statuses: set[int]
) -> None:
    """Each is told what is wrong."""
    content = json.dumps(CALL).encode() if method == "POST" else None
    answer = client.request(method, "/mcp", headers=headers, content=content)
    assert answer.status_code in statuses, answer.text


def test_a_call_without_a_session(client: httpx.Client) -> None:
    """A newer client's request stands for itself, and its answer names the request."""
    params: dict[str, Any] = {"name": "datasets", "arguments": {}, "_meta": META}
    headers = {**ACCEPT, **MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "datasets"}
    answer = client.post("/mcp", json={**CALL, "params": params}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-request-id"]
    assert "planes" in answer.json()["result"]["content"][1]["text"]


def test_more_calls_than_a_client_may(served: Served) -> None:
    """At a time: the next one is told to wait, and later calls are answered."""
    import asyncio

    from tests.agents import call, over_http, visit

    from lakecore.mcp._limits import CALLS

    endless = "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b"

    async def crowd(client: Any) -> None:
        asked = [call(client, "sql", sql=endless, timeout_s=3) for _ in range(CALLS + 3)]
        errors = [answer.error for answer in await asyncio.gather(*asked)]
        assert errors.count("unavailable") == len(errors)
        assert (await call(client, "datasets")).error is None

    visit(over_http(served.url, served.key("agent:busy", "read:*")), crowd)
