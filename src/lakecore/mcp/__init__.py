"""The lake as tools of the Model Context Protocol: agents look, ask, and propose changes.

A call goes through here once:

    client -> transport -> who is it? (a key, asked for again) -> arguments -> a tool, in a thread
                                                                                  |
    answer <- at most 200 rows and 64 KiB, data apart from our own words <- rows kept for `more`

Reading sees what the key may read. A change is only ever proposed: planned exactly, judged by
the rules, and then a person says yes or no, at this client where it can ask one, or anywhere
else; see `docs/mcp.md`.

==================  ==================================================================
`_server`           requests and answers, bounds on time and number
`_tools`            the tools: names, what they say of themselves, arguments
`_arguments`        their arguments as models
`_desk`             the lake as one visitor may use it
`_read`             the tools that read
`_propose`          proposing a change, and what a person's answer does
`_question`         the question to a person, and what an answer means
`_answers`, `_cut`  what is answered: our words, and data that is marked as data
`_shelf`            rows of a result that come later
`_reception`        who sent a request
`_stdio`, `_http`   the two transports
`_ports`            what a lake, its keys and threads must be able to do
`_limits`           all bounds
==================  ==================================================================

>>> import asyncio, lakecore, mcp
>>> from lakecore.auth import Principal
>>> from lakecore.mcp import McpServer, OneClient
>>> class Threads:
...     async def call(self, function, *args, **named):
...         return await asyncio.to_thread(function, *args, **named)
>>> async def ask(lake):
...     agent = Principal.local("agent:tidy")
...     reception = OneClient(Threads(), None, key=None, local=agent)
...     server = McpServer(lambda principal: lake, reception, Threads())
...     async with mcp.Client(server.protocol) as client:
...         return await client.call_tool("sql", {"sql": "select 6 * 7 as answer"})
>>> with lakecore.open("memory://") as lake:
...     words, data = asyncio.run(ask(lake)).content
>>> words.text.splitlines()[:2]
["A query's rows.", '1 row.']
>>> data.text.splitlines()[1:-1]
['{"columns":[{"name":"answer","type":"int64"}],"rows":[', '{"answer":42}', ']}']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports
from lakecore.mcp._ports import ActingAs, Authenticator, Calls, Reception, Visitor
from lakecore.mcp._reception import APPROVER_HEADER, GuestsOfTheGateway, OneClient

if TYPE_CHECKING:
    from lakecore.mcp._http import HttpRoom
    from lakecore.mcp._server import McpServer
    from lakecore.mcp._stdio import serve_stdio

_HOME = {"HttpRoom": "_http", "McpServer": "_server", "serve_stdio": "_stdio"}

__all__ = [
    "APPROVER_HEADER",
    "ActingAs",
    "Authenticator",
    "Calls",
    "GuestsOfTheGateway",
    "HttpRoom",
    "McpServer",
    "OneClient",
    "Reception",
    "Visitor",
    "serve_stdio",
]

# The protocol's SDK is imported by who serves, not by who mentions this package.
__getattr__ = lazy_exports(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
