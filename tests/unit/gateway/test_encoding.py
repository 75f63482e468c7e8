"""Answers compressed as they go, bodies unpacked within a bound."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pyarrow as pa
import pytest
from fastapi import FastAPI, Request, Response
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import StreamingResponse
from tests.unit.gateway.test_edge import app_with, ask, run

from lakecore.gateway._encoding import CODINGS, chosen_coding, encoder, unpack
from lakecore.gateway._guard import OPEN, needs
from lakecore.gateway._problems import HttpProblem

LONG = json.dumps([{"tailnum": f"N{number}", "seats": 55} for number in range(500)]).encode()


def packed(data: bytes, coding: str) -> bytes:
    """As a client would compress it."""
    if coding == "gzip":
        return gzip.compress(data)
    whole: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return whole


def opened(data: bytes, coding: str) -> bytes:
    """What was compressed; `OSError` where it is not whole."""
    whole: bytes = pa.CompressedInputStream(pa.BufferReader(data), coding).read()
    return whole


@pytest.mark.parametrize("coding", CODINGS)
@settings(deadline=None)
@given(parts=st.lists(st.binary(max_size=2_000), max_size=6))
def test_every_part_can_be_decoded_when_it_is_there(coding: str, parts: list[bytes]) -> None:
    """And all of them together are what went in."""
    made = encoder(coding)
    sent = b""
    for part in parts:
        sent += made.part(part)
        if part:
            size = sum(map(len, parts[: parts.index(part) + 1]))
            stream = pa.CompressedInputStream(pa.BufferReader(sent), coding)
            assert stream.read(size) == b"".join(parts)[:size]
    sent += made.end()
    assert opened(sent, coding) == b"".join(parts)


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("zstd, gzip", "zstd"),
        ("gzip", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
        ("br", None),
        ("", None),
        ("," * 5_000 + "gzip", None),
    ],
)
def test_the_client_chooses(accept: str, coding: str | None) -> None:
    """What it does not take it does not get."""
    assert chosen_coding(accept) == coding


def app_of(handler: Callable[[Request], Response], **settings: Any) -> FastAPI:
    """An application with a route whose answer is `handler`'s."""
    app = app_with(**settings)

    @app.get("/answer")
    @needs(OPEN)
    async def answer(request: Request) -> Response:
        return handler(request)

    return app


def plain(body: bytes, kind: str = "application/json", **headers: str) -> Callable[..., Response]:
    """A handler with an answer that is at hand."""
    return lambda request: Response(body, media_type=kind, headers=headers)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_long_answer_is_compressed(coding: str) -> None:
    """Both codings; caches are told what it depends on."""
    app = app_of(plain(LONG, vary="accept"))

    async def raw() -> tuple[httpx.Response, bytes]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {"Accept-Encoding": coding}
            async with client.stream("GET", "/answer", headers=headers) as answer:
                return answer, b"".join([part async for part in answer.aiter_raw()])

    answer, body = asyncio.run(raw())
    assert answer.headers["content-encoding"] == coding
    assert answer.headers["vary"] == "accept, accept-encoding"
    assert "content-length" not in answer.headers
    assert len(body) < len(LONG) / 5
    assert opened(body, coding) == LONG


@pytest.mark.parametrize(
    ("handler", "settings"),
    [
        (plain(b"[1]"), {}),
        (plain(LONG, "application/vnd.apache.parquet"), {}),
        (plain(LONG, "text/event-stream"), {}),
        (plain(LONG, **{"cache-control": "no-store"}), {}),
        (plain(LONG, **{"content-encoding": "br"}), {}),
        (plain(LONG), {"compress": False}),
    ],
    ids=["short", "parquet", "events", "secret", "encoded", "off"],
)
def test_what_goes_as_it_is(handler: Callable[[Request], Response], settings: Any) -> None:
    """Short answers, what is compressed already, events, secrets."""
    headers = {"Accept-Encoding": "gzip"}
    app = app_of(handler, **settings)

    async def raw() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        async with client, client.stream("GET", "/answer", headers=headers) as answer:
            return answer

    assert asyncio.run(raw()).headers.get("content-encoding") != "gzip"


@pytest.mark.parametrize("coding", CODINGS)
def test_a_stream_stays_a_stream(coding: str) -> None:
    """The first part can be read before there is a second."""
    second = asyncio.Event()
    seen: list[bytes] = []

    async def parts() -> AsyncIterator[bytes]:
        yield b"first\n"
        await second.wait()
        yield b"second\n"

    def stream(request: Request) -> Response:
        return StreamingResponse(parts(), media_type="application/x-ndjson")

    app = app_of(stream)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/answer",
        "raw_path": b"/answer",
        "query_string": b"",
        "headers": [(b"accept-encoding", coding.encode()), (b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "scheme": "http",
    }

    async def story() -> None:
        is_asked = False

        async def receive() -> Any:
            nonlocal is_asked
            if is_asked:
                await asyncio.sleep(60)
            is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                seen.append(message["body"])
                if len(seen) == 1:
                    stream = pa.CompressedInputStream(pa.BufferReader(seen[0]), coding)
                    assert stream.read(6) == b"first\n"
                    second.set()

        await asyncio.wait_for(app(scope, receive, send), 10)

    asyncio.run(story())
    assert opened(b"".join(seen), coding) == b"first\nsecond\n"


@pytest.mark.parametrize("coding", CODINGS)
def test_a_compressed_body_is_unpacked(coding: str) -> None:
    """The handler sees what was compressed."""
    headers = {"Content-Encoding": coding}
    answer = run(ask(app_with(), "POST", headers=headers, content=packed(LONG, coding)))
    assert answer.json()["bytes"] == len(LONG)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    ("size", "settings"),
    [
        (2_000_000, {"max_body_bytes": 1_500_000}),
        (40 << 20, {}),
        (3 << 20, {"max_body_bytes": 2_000}),
    ],
    ids=["long", "ratio", "tiny"],
)
def test_a_bomb_does_not_go_off(coding: str, size: int, settings: Any) -> None:
    """Too long, or too long for what came: 413, and no more than the bound was unpacked."""
    bomb = packed(bytes(size), coding)
    assert len(bomb) < 50_000
    headers = {"Content-Encoding": coding}
    answer = run(ask(app_with(**settings), "POST", headers=headers, content=bomb))
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:lakecore:error:too-large"


@pytest.mark.parametrize("coding", CODINGS)
@settings(deadline=None)
@given(data=st.data())
def test_damaged_bodies_are_problems(coding: str, data: st.DataObject) -> None:
    """Cut off or with a bit flipped: 400, 413, or by luck the same bytes."""
    whole = packed(LONG, coding)
    at = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    flipped = bytearray(whole)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    damaged = whole[:at] if cut else bytes(flipped)
    status = 200
    try:
        size = len(unpack(damaged, coding, most_bytes=1 << 20, most_ratio=200))
    except HttpProblem as problem:
        status, size = problem.status, 0
    assert status in (200, 400, 413)
    assert size <= 1 << 20


def test_an_upload_is_not_unpacked_twice() -> None:
    """A compressed file is sent as it is: its own reader unpacks it."""
    headers = {"Content-Encoding": "gzip"}
    answer = run(ask(app_with(), "POST", "/ingest/file", headers=headers, content=b"x"))
    assert answer.status_code == 415
    assert "as it is" in answer.json()["hint"]
