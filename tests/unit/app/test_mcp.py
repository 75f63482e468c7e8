"""Where the protocol's SDK is not installed, and what a door does that could not be made."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import lakecore
from lakecore.app import _mcp, open_gateway, serve_mcp
from lakecore.base import InvalidInput, Unauthenticated, Unavailable


def test_without_the_sdk_there_is_no_such_route(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`lakecore up` goes without /mcp; who asks for it is told what to install."""
    monkeypatch.setattr(_mcp, "find_spec", lambda name: None)
    with lakecore.open(tmp_path / "lake") as lake:
        assert _mcp.mounts_of(lake, lambda principal: lake, None) == []
        open_gateway(lake, port=0)
        for needs_it in (
            lambda: open_gateway(lake, port=0, only_mcp=True),
            lambda: serve_mcp(lake, key=None),
        ):
            with pytest.raises(InvalidInput, match="not installed") as caught:
                needs_it()
            assert "lakecore[mcp]" in (caught.value.hint or "")


def test_only_a_lake_on_this_disk_goes_without_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write its files owns it; of a lake elsewhere a key is asked for."""
    with lakecore.open(tmp_path / "lake") as lake, monkeypatch.context() as patched:
        patched.setattr(type(lake._parts.store), "local_path", lambda store, path: None)
        with pytest.raises(Unauthenticated, match="a key is needed"):
            serve_mcp(lake, key=None)


class Threads:
    """Calls, at once."""

    async def call(self, function: Any, *args: Any) -> Any:
        return function(*args)


class Room:
    """Answers by noting it."""

    def __init__(self) -> None:
        self.answered = 0
        self.is_open = False

    @asynccontextmanager
    async def lifespan(self) -> Any:
        self.is_open = True
        yield
        self.is_open = False

    async def __call__(self, *request: Any) -> None:
        assert self.is_open
        self.answered += 1


def test_a_door_is_made_when_somebody_comes() -> None:
    """Once, however many come; again where it could not be; closed with the gateway."""
    made: list[Room] = []

    def make() -> Any:
        made.append(Room())
        if len(made) == 1:
            raise Unavailable("no room now")
        return made[-1]

    async def use() -> None:
        door = _mcp.McpDoor(make, Threads())  # type: ignore[arg-type]  # all that is used of them
        stopping = asyncio.Event()
        request: Any = ({}, None, None, stopping)
        with pytest.raises(Unavailable):
            await door.answer(*request)
        await asyncio.gather(*(door.answer(*request) for _ in range(3)))
        await door.close()

    asyncio.run(use())
    assert (len(made), made[-1].answered, made[-1].is_open) == (2, 3, False)


def test_a_door_that_nobody_used_is_closed() -> None:
    """There is nothing to end."""
    asyncio.run(_mcp.McpDoor(lambda: None, Threads()).close())  # type: ignore[arg-type, return-value]  # nothing of them is used
