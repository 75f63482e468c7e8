"""A door of another protocol stands behind the same guard as every route."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from tests.unit.gateway.test_guard import METHODS, Nobody, routes

from lakecore.auth import Principal, Scopes
from lakecore.gateway import GatewaySettings, create_app
from lakecore.gateway._guard import KNOWN, access_of


class Door:
    """Says who came."""

    path = "/other"
    methods = ("GET", "POST")
    closed = 0

    async def answer(self, scope: Any, receive: Any, send: Any, stopping: asyncio.Event) -> None:
        await PlainTextResponse(scope["state"]["principal"].name)(scope, receive, send)

    async def close(self) -> None:
        self.closed += 1


class OneKey(Nobody):
    """A book with one key in it."""

    def authenticate(self, text: str | None, *, address: str | None = None) -> Principal:
        if text == "good":
            return Principal(name="ada", scopes=Scopes({"read": ["x"]}), key_id="0" * 12)
        return super().authenticate(text, address=address)


@pytest.fixture
def door() -> Door:
    """One that nobody came to yet."""
    return Door()


def made(door: Door, **options: Any) -> FastAPI:
    """An application with it."""
    return create_app(
        lambda principal: None,
        GatewaySettings(),
        OneKey(),
        mounts=[lambda workers: door],
        **options,
    )


def ask(app: FastAPI, *requests: tuple[str, str, str | None]) -> list[httpx.Response]:
    """Answers of the application, from its start to its end."""

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            return [
                await client.request(
                    method, path, headers={} if key is None else {"X-API-Key": key}
                )
                for method, path, key in requests
            ]

    return asyncio.run(run())


def test_the_guard_stands_before_it(door: Door) -> None:
    """Whatever the method: without a key it is closed, with one it knows who came."""
    app = made(door)
    found = ask(app, *((method, "/other", None) for method in METHODS))
    assert {answer.status_code for answer in found} == {401, 405}
    good = ask(made(door), ("POST", "/other", "good"), ("GET", "/other", "good"))
    assert [(answer.status_code, answer.text) for answer in good] == [(200, "ada")] * 2
    declared = {route.path: access_of(route.endpoint) for route in routes(app)}
    assert declared["/other"] == KNOWN


def test_it_is_closed_with_the_gateway(door: Door) -> None:
    """Once, when no request comes any more."""
    ask(made(door), ("GET", "/other", "good"))
    assert door.closed == 1


def test_it_may_be_there_alone(door: Door) -> None:
    """With /health and what tells whether it is ready, and nothing else."""
    paths = {route.path for route in routes(made(door, only_mounts=True))}
    assert paths == {"/health", "/ready", "/openapi.json", "/other"}
