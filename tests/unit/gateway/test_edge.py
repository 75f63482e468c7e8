"""What holds for every request: problems, ids, limits, and a loop that never waits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from lakecore.auth import Principal
from lakecore.base import (
    AlreadyExists,
    Bug,
    Conflict,
    CorruptData,
    Inconclusive,
    InvalidInput,
    LakecoreError,
    NotFound,
    OutOfSpace,
    ReadOnly,
    Refused,
    Unauthenticated,
    Unavailable,
    UnsupportedFormat,
)
from lakecore.gateway import GatewaySettings, create_app
from lakecore.gateway._guard import OPEN, needs

ADA = Principal.local("ada")


def app_with(handler: Callable[[], Any] | None = None, **settings: Any) -> FastAPI:
    """An application with one more route, which is open, and calls `handler` in a thread."""
    app = create_app(lambda principal: None, GatewaySettings(**settings), None, local=ADA)

    @app.api_route("/try", methods=["GET", "POST"])
    @needs(OPEN)
    async def route(request: Request) -> dict[str, Any]:
        body = await request.body()
        found = await app.state.rooms.workers.call(handler) if handler is not None else None
        return {"bytes": len(body), "found": found}

    return app


async def ask(app: FastAPI, method: str = "GET", path: str = "/try", **given: Any) -> Any:
    """One request to the application, without a socket."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.request(method, path, **given)


def run(awaitable: Any) -> Any:
    """An answer, waited for."""
    import asyncio

    return asyncio.run(awaitable)


def raising(error: BaseException) -> Callable[[], None]:
    """A handler that fails."""

    def handler() -> None:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (InvalidInput("x"), 422, "invalid-input"),
        (Unauthenticated("x"), 401, "unauthenticated"),
        (Refused("x"), 403, "refused"),
        (NotFound("x"), 404, "not-found"),
        (AlreadyExists("x"), 409, "already-exists"),
        (Conflict("x"), 409, "conflict"),
        (Unavailable("x"), 503, "unavailable"),
        (OutOfSpace("x"), 507, "out-of-space"),
        (UnsupportedFormat("x"), 501, "unsupported-format"),
        (CorruptData("x"), 500, "corrupt-data"),
        (Inconclusive("x"), 500, "inconclusive"),
        (ReadOnly("x"), 500, "read-only"),
    ],
)
def test_every_error_is_a_problem(error: LakecoreError, status: int, slug: str) -> None:
    """The status by the kind of error; a stable type; who should come again is told when."""
    answer = run(ask(app_with(raising(error))))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:lakecore:error:{slug}"
    assert answer.json()["instance"].endswith(answer.headers["x-request-id"])
    assert ("retry-after" in answer.headers) == (status == 503)


def test_a_problem_has_the_parts_of_its_error() -> None:
    """What was expected, found, where, and what to do."""
    error = InvalidInput("bad seats", expected="a number", found="x", where="row 3", hint="look")
    body = run(ask(app_with(raising(error)))).json()
    assert body["title"] == "bad seats"
    assert [body[name] for name in ("expected", "found", "where", "hint")] == [
        *("a number", "x", "row 3", "look")
    ]


def test_a_key_in_an_error_is_blotted_out() -> None:
    """A secret that was typed in the wrong place does not come back."""
    secret = "x" * 43
    error = InvalidInput("no such thing", found=f"lc_0123456789ab_{secret}_000000")
    assert secret not in run(ask(app_with(raising(error)))).text


@pytest.mark.parametrize("error", [ValueError("pssst"), Bug("pssst")])
def test_what_nobody_caught_is_logged_and_not_told(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """500 with the request's id; the traceback is in the log under the same id."""
    with caplog.at_level(logging.ERROR):
        answer = run(ask(app_with(raising(error)), headers={"X-Request-Id": "mine-7"}))
    assert answer.status_code == 500
    assert "pssst" not in answer.text
    assert answer.headers["x-request-id"] == "mine-7"
    assert any("mine-7" in record.getMessage() and record.exc_info for record in caplog.records)


@pytest.mark.parametrize("given", ["a b", "x" * 129, "<script>"])
def test_a_strange_request_id_is_replaced(given: str) -> None:
    """What a client sends gets into logs: only plain ids are taken over."""
    answer = run(ask(app_with(), headers={"X-Request-Id": given}))
    assert len(answer.headers["x-request-id"]) == 36


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nowhere", 404, "no-such-route"),
        ("GET", "/", 404, "no-such-route"),
        ("DELETE", "/health", 405, "method-not-allowed"),
        ("BREW", "/health", 405, "method-not-allowed"),
    ],
)
def test_unknown_routes_and_methods_are_problems(
    method: str, path: str, status: int, slug: str
) -> None:
    """The router's own refusals have the same form."""
    answer = run(ask(app_with(), method, path))
    assert answer.status_code == status
    assert answer.json()["type"] == f"urn:lakecore:error:{slug}"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/keys", "GET, POST"),
        ("/catalog/datasets/planes", "DELETE, GET, PATCH"),
        ("/query/sql", "POST"),
        ("/query/some-id", "DELETE"),
    ],
)
def test_a_method_that_there_is_not_is_told_which_there_are(path: str, allowed: str) -> None:
    """All of the path, not of its first route alone."""
    answer = run(ask(app_with(), "PUT", path))
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_a_long_body_is_refused_by_its_length() -> None:
    """Nothing of it is read."""
    answer = run(ask(app_with(max_body_bytes=1_000), "POST", content=b"x" * 1_001))
    assert answer.status_code == 413


def test_a_long_body_that_does_not_say_so_is_refused_on_the_way() -> None:
    """Chunks are counted."""

    async def chunks() -> Any:
        for _ in range(11):
            yield b"x" * 100

    answer = run(ask(app_with(max_body_bytes=1_000), "POST", content=chunks()))
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:lakecore:error:too-large"


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "x" * 300])
def test_a_body_in_a_strange_coding_is_refused(coding: str) -> None:
    """Only what is unpacked within a bound is taken."""
    headers = {"Content-Encoding": coding}
    assert run(ask(app_with(), "POST", headers=headers, content=b"x")).status_code == 415


def test_bodies_of_all_requests_together_are_bounded(gate: threading.Event) -> None:
    """Each is short enough; what would be too much at a time is told to come again."""
    import asyncio

    app = app_with(lambda: gate.wait(20), max_body_bytes=1_000, max_bodies_bytes=1_500)

    async def story() -> tuple[Any, Any, Any]:
        first = asyncio.create_task(ask(app, "POST", content=b"x" * 1_000))
        await asyncio.sleep(0.2)
        second = await ask(app, "POST", content=b"x" * 1_000)
        gate.set()
        done = await first
        return done, second, await ask(app, "POST", content=b"x" * 1_000)

    first, second, third = run(story())
    assert (first.status_code, third.status_code) == (200, 200)
    assert second.status_code == 503
    assert second.headers["retry-after"] == "2"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Lets handlers that wait for it go on, at the latest at the test's end."""
    event = threading.Event()
    yield event
    event.set()


def test_a_full_pool_tells_to_come_again(gate: threading.Event) -> None:
    """One works, one waits, the third is told when to come; /health does not wait at all."""
    import asyncio

    app = app_with(lambda: gate.wait(20), threads=1, max_waiting=1)

    async def story() -> tuple[Any, Any, float, list[Any]]:
        two = [asyncio.create_task(ask(app)) for _ in range(2)]
        await asyncio.sleep(0.2)
        began_s = time.monotonic()
        third, health = await ask(app), await ask(app, path="/health")
        lasted_s = time.monotonic() - began_s
        gate.set()
        return third, health, lasted_s, [await one for one in two]

    third, health, lasted_s, two = run(story())
    assert (third.status_code, third.headers["retry-after"]) == (503, "1")
    assert third.json()["type"] == "urn:lakecore:error:unavailable"
    assert health.status_code == 200
    assert lasted_s < 5
    assert [one.status_code for one in two] == [200, 200]


def test_so_many_requests_at_a_time(gate: threading.Event) -> None:
    """The next is told to come again; then there is room."""
    import asyncio

    app = app_with(lambda: gate.wait(20), max_requests=2)

    async def story() -> tuple[Any, Any, list[Any]]:
        two = [asyncio.create_task(ask(app)) for _ in range(2)]
        await asyncio.sleep(0.2)
        third = await ask(app)
        gate.set()
        done = [await one for one in two]
        return third, await ask(app), done

    third, last, two = run(story())
    assert (third.status_code, third.headers["retry-after"]) == (503, "2")
    assert [one.status_code for one in (*two, last)] == [200, 200, 200]


@pytest.mark.parametrize(
    "headers", [{"X-Long": "x" * 70_000}, {f"X-{n}": "x" for n in range(9_000)}]
)
def test_a_long_head_is_refused(headers: dict[str, str]) -> None:
    """Of one long part, or of many."""
    assert run(ask(app_with(), headers=headers)).status_code == 431


def test_a_slow_body_is_not_waited_for() -> None:
    """A client that sends half a body, and nothing more, is told so."""
    import asyncio

    async def slow() -> Any:
        yield b"half"
        await asyncio.sleep(3)

    app = app_with(timeout_s=0.1)
    answer = run(ask(app, "POST", content=slow()))
    assert answer.status_code == 408


def test_a_body_that_trickles_is_not_waited_for() -> None:
    """Bytes that come one by one keep no request alive."""
    import asyncio

    async def trickle() -> Any:
        for _ in range(40):
            yield b"x"
            await asyncio.sleep(0.05)

    began_s = time.monotonic()
    answer = run(ask(app_with(timeout_s=0.3), "POST", content=trickle()))
    assert answer.status_code == 408
    assert time.monotonic() - began_s < 1.9


def test_who_asks_too_often_is_told_when_to_come_again() -> None:
    """Without a key the address counts; unknown routes count, too."""
    app = app_with(rate_per_s=0.5, rate_burst=3)
    statuses = [run(ask(app)).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    last = run(ask(app, path="/nowhere"))
    assert last.status_code == 429
    assert last.json()["type"] == "urn:lakecore:error:too-many-requests"
    assert last.headers["retry-after"] == "2"
