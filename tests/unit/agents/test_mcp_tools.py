"""Tools of a real MCP server, spoken to as it comes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakecore.agents import McpServer, McpTools, Tool
from lakecore.base import InvalidInput, Unavailable

SERVER = Path(__file__).parents[2] / "fakes" / "documentation_server.py"


@pytest.fixture(scope="module")
def tools() -> Iterator[dict[str, Tool]]:
    docs = McpServer(name="docs", command=(sys.executable, str(SERVER)), timeout_s=20)
    with McpTools([docs]) as opened:
        yield {tool.name: tool for tool in opened.tools}


def test_its_tools_are_named_after_it(tools: dict[str, Tool]) -> None:
    """Names, descriptions and schemas of a server come through."""
    assert set(tools) == {"docs__lookup", "docs__broken", "docs__hang"}
    lookup = tools["docs__lookup"]
    assert lookup.description == "What the manual says of a topic."
    assert lookup.parameters["required"] == ["topic"]


def test_a_call(tools: dict[str, Tool]) -> None:
    """A call is answered with the text of the server."""
    answer = tools["docs__lookup"].run({"topic": "seats"}, "1")
    assert (answer.outcome, answer.text[:6]) == ("ok", "seats:")


def test_what_fails_there_is_an_answer_here(tools: dict[str, Tool]) -> None:
    """An error of a tool is told to the model."""
    answer = tools["docs__broken"].run({"topic": "seats"}, "2")
    assert answer.outcome == "error"
    assert "broken" in answer.text  # the server keeps its reasons to itself


def test_a_tool_that_hangs() -> None:
    """A call ends by its bound."""
    docs = McpServer(name="docs", command=(sys.executable, str(SERVER)), timeout_s=8)
    with McpTools([docs]) as opened:
        hang = next(tool for tool in opened.tools if tool.name == "docs__hang")
        object.__setattr__(docs, "timeout_s", 0.5)
        started_s = time.monotonic()
        with pytest.raises(Unavailable):
            hang.run({}, "3")
        assert time.monotonic() - started_s < 20


def test_a_server_that_is_not_there() -> None:
    """A program that ends at once is named."""
    gone = (sys.executable, "-c", "raise SystemExit(3)")
    servers = McpTools([McpServer(name="docs", command=gone, timeout_s=15)])
    with pytest.raises(Unavailable, match="docs"), servers:
        pass


@pytest.mark.parametrize(
    "given",
    [
        {"name": "a b", "url": "http://127.0.0.1:9"},
        {"name": "a"},
        {"name": "a", "url": "http://127.0.0.1:9", "command": ("x",)},
    ],
)
def test_what_is_no_server(given: dict[str, object]) -> None:
    """A server has a name and one address."""
    with pytest.raises(InvalidInput):
        McpServer(**given)  # type: ignore[arg-type]  # as a user would write it


def test_two_of_one_name() -> None:
    """Names tell servers apart."""
    one = McpServer(name="docs", url="http://127.0.0.1:9")
    with pytest.raises(InvalidInput):
        McpTools([one, one])
    with McpTools([]) as none:
        assert none.tools == []
