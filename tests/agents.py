"""Agents for tests: real clients of the Model Context Protocol, and what they read."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import mcp
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult

from lakecore.mcp._answers import META

RULES = """
name = "fleet"

[[rule]]
id = "seats-within-reason"
task_class = ["insert", "upsert", "update"]
when = { field_greater = { path = "after.seats", value = 853 } }
action = "deny"
message = "no plane has more than 853 seats"
[[rule.test]]
context = { after = { seats = 8530 } }
expect = "fired"

[[tier]]
principal = "agent:*"
auto = { rows = 1 }
dry_run = { rows = 100 }
"""
ERAS = ("legacy", "auto")
"""With a handshake and a session; and without."""


class Person:
    """Whoever sits at the client: answers each question alike, and remembers it."""

    def __init__(self, action: str | None = None, **content: Any) -> None:
        self.asked: list[str] = []
        self._action = action
        self._content = content

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        self.asked.append(params.message)
        assert self._action is not None
        content = self._content if self._action == "accept" else None
        return ElicitResult(action=self._action, content=content)  # type: ignore[arg-type]  # a word of the protocol

    @property
    def callback(self) -> Any:
        """For the client; a client without one says that it can ask nobody."""
        return None if self._action is None else self


NOBODY = Person()
Visit = Callable[[mcp.Client], Awaitable[Any]]


@asynccontextmanager
async def over_http(
    url: str,
    key: str | None = None,
    *,
    era: str = "auto",
    person: Person = NOBODY,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[mcp.Client]:
    """A client of a gateway's /mcp."""
    sent = dict(headers or {})
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    async with (
        httpx2.AsyncClient(headers=sent, timeout=60) as http,
        mcp.Client(
            streamable_http_client(f"{url}/mcp", http_client=http),
            mode=era,
            elicitation_callback=person.callback,
        ) as client,
    ):
        yield client


@asynccontextmanager
async def over_stdio(
    lake: Path,
    *options: str,
    era: str = "auto",
    person: Person = NOBODY,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[mcp.Client]:
    """A client that starts `lakecore mcp` itself."""
    command = ["-c", "from lakecore.cli import main; main()", "--lake", str(lake), "mcp"]
    parameters = StdioServerParameters(
        command=sys.executable,
        args=[*command, *options],
        env={**os.environ, **(env or {})},
    )
    async with mcp.Client(
        parameters, mode=era, elicitation_callback=person.callback, read_timeout_seconds=60
    ) as client:
        yield client


class Answer:
    """What a tool answered, taken apart."""

    def __init__(self, result: Any) -> None:
        texts = [block.text for block in result.content]
        self.is_error: bool = result.is_error
        self.words: str = texts[0]
        self.size_bytes = sum(len(text.encode()) for text in texts)
        self.told: dict[str, Any] = result.meta[META]
        self.data: dict[str, Any] = {}
        if len(texts) > 1:
            first, *lines, last = texts[1].splitlines()
            mark = first.split()[2]
            assert (first, last) == (f"--- data {mark} ---", f"--- end {mark} ---")
            assert mark in self.words
            self.data = json.loads("\n".join(lines))

    @property
    def rows(self) -> list[Any]:
        rows: list[Any] = self.data["rows"]
        return rows

    @property
    def error(self) -> str | None:
        found: str | None = self.told.get("error")
        return found


async def call(client: mcp.Client, tool: str, /, **arguments: Any) -> Answer:
    """Call a tool."""
    return Answer(await client.call_tool(tool, arguments))


def visit(opened: AbstractAsyncContextManager[mcp.Client], do: Visit) -> Any:
    """Run with a client that is open."""

    async def run() -> Any:
        async with opened as client:
            return await do(client)

    return asyncio.run(run())
