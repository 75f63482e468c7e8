"""The server: requests of the protocol in, tools run in threads, answers within their bounds."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from lakecore._version import __version__
from lakecore.base import Bug, LakecoreError, Unavailable
from lakecore.mcp import _propose
from lakecore.mcp._answers import Found, answer, failure
from lakecore.mcp._arguments import read_arguments
from lakecore.mcp._desk import Desk
from lakecore.mcp._limits import ASKING_S, CALL_S, CALLS
from lakecore.mcp._propose import Shown
from lakecore.mcp._question import FORM, KEY, Word, word_of
from lakecore.mcp._shelf import Page, Shelf
from lakecore.mcp._tools import INSTRUCTIONS, MORE, PROPOSE, SQL, TOOLS, VERIFY, for_principal

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from lakecore.mcp._arguments import More, Proposal, Sql
    from lakecore.mcp._ports import ActingAs, Calls, Reception, Visitor
    from lakecore.mcp._tools import ToolSpec

_log = logging.getLogger(__name__)
NAME: Final = "lakecore"
_T = TypeVar("_T")


class McpServer:
    """The lake as tools of the Model Context Protocol, whatever it is spoken over.

    Args:
        acting_as: gives the lake in a principal's name.
        reception: finds out who sent a request; asked at every call.
        calls: the threads that tools run in.
        query_timeout_s: the most that a query may run.
    """

    def __init__(
        self,
        acting_as: ActingAs,
        reception: Reception,
        calls: Calls,
        *,
        query_timeout_s: float = CALL_S,
    ) -> None:
        self._acting_as = acting_as
        self._reception = reception
        self._calls = calls
        self._query_timeout_s = query_timeout_s
        self._shelf = Shelf()
        self._under_way: Counter[str] = Counter()
        self._verifying = asyncio.Lock()
        self.protocol: Server[Any] = Server(
            NAME,
            version=__version__,
            title="Lakecore",
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
        )
        # A proposal's state goes to the client and back: sealed, for this process and this
        # principal, this tool and these arguments alone.
        security = RequestStateSecurity.ephemeral(ttl=ASKING_S, audience=NAME)
        security.bind_principal = self._reception.name_of
        self.protocol.middleware.append(RequestStateBoundary(security, default_audience=NAME))

    # -- requests ---------------------------------------------------------------------

    async def _list_tools(
        self, context: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        try:
            visitor = await self._reception.visitor(context)
        except LakecoreError as error:
            raise MCPError(INVALID_PARAMS, error.message, {"type": error.type}) from None
        return ListToolsResult(tools=for_principal(visitor.principal))

    async def _call_tool(
        self, context: ServerRequestContext[Any, Any], params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        tool = TOOLS.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, "there is no such tool", {"tools": sorted(TOOLS)})
        try:
            visitor = await self._reception.visitor(context)
            given: Any = read_arguments(tool.model, params.arguments)
            desk = Desk(visitor, self._acting_as)
            with self._turn(visitor):
                if tool.name == PROPOSE:
                    return await self._propose(context, params, desk, given)
                if tool.name == MORE:
                    return answer(Found(""), self._more(desk, given))
                return await self._run(tool, desk, given)
        except Bug as error:
            _log.error("tool %s failed", tool.name, exc_info=error)
            return failure(error)
        except LakecoreError as error:
            return failure(error)
        except MCPError:
            raise
        except Exception:
            _log.exception("tool %s failed", tool.name)
            return failure(Bug("an unforeseen error"))

    # -- tools ------------------------------------------------------------------------

    async def _run(self, tool: ToolSpec, desk: Desk, given: Any) -> CallToolResult:
        if tool.name == SQL:
            return await self._sql(desk, given)
        if tool.run is None:
            raise Bug("a tool that nothing runs", where=tool.name)
        if tool.name == VERIFY:
            if self._verifying.locked():
                raise Unavailable("the lake is being verified already")
            async with self._verifying:
                return await self._found(tool.run, desk, given)
        return await self._found(tool.run, desk, given)

    async def _sql(self, desk: Desk, given: Sql) -> CallToolResult:
        """A query ends with the call: when the client cancels it, or goes."""
        from lakecore.mcp._read import sql

        opened: list[Any] = []
        timeout_s = min(given.timeout_s, self._query_timeout_s)
        try:
            return await self._found(sql, desk, given, timeout_s, opened.append)
        except BaseException:
            for result in opened:
                result.cancel()
            raise

    def _more(self, desk: Desk, given: More) -> Page:
        return self._shelf.more(desk.visitor.owner, given.cursor)

    async def _propose(
        self,
        context: ServerRequestContext[Any, Any],
        params: CallToolRequestParams,
        desk: Desk,
        given: Proposal,
    ) -> CallToolResult | InputRequiredResult:
        if params.request_state is not None:
            # The second round: the change was proposed in the first one, and waits.
            seen = Shown.of_text(params.request_state)
            said = (params.input_responses or {}).get(KEY)
            return await self._decide(desk, seen, said)
        one = await self._call(_propose.propose, desk, given)
        if one is None:
            return answer(_propose.unchanged(), None)
        seen = Shown(one.id, one.body["digest"])
        text = await self._call(_propose.ask, desk, one) if _can_ask(context) else None
        if text is None:
            return await self._found(_propose.waiting, desk, one)
        if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            request = ElicitRequest(
                params=ElicitRequestFormParams(message=text, requested_schema=dict(FORM))
            )
            return InputRequiredResult(input_requests={KEY: request}, request_state=seen.to_text())
        try:
            async with asyncio.timeout(ASKING_S):
                said = await context.session.elicit_form(
                    text, dict(FORM), related_request_id=context.request_id
                )
        except (MCPError, TimeoutError, ValidationError):
            said = None  # nobody said anything, or nothing that is an answer: it waits
        return await self._decide(desk, seen, said)

    async def _decide(self, desk: Desk, seen: Shown, said: object) -> CallToolResult:
        word = (
            word_of(said.action, said.content)
            if isinstance(said, ElicitResult)
            else Word("nothing")
        )
        # A person may have taken their time: keys may have ended.
        await self._call(self._reception.recheck, desk.visitor)
        return await self._found(_propose.decide, desk, seen, word)

    # -- bounds -----------------------------------------------------------------------

    async def _found(
        self, function: Callable[..., Found], desk: Desk, *args: Any
    ) -> CallToolResult:
        """What a function of the lake finds, as an answer: all of it in a thread."""

        def work() -> CallToolResult:
            found = function(desk, *args)
            rows = found.lines
            return answer(found, None if rows is None else self._shelf.put(owner, rows))

        owner = desk.visitor.owner
        return await self._call(work)

    async def _call(self, function: Callable[..., _T], *args: Any) -> _T:
        """Run it in a thread, and wait for it so long."""
        try:
            async with asyncio.timeout(CALL_S):
                return await self._calls.call(function, *args)
        except TimeoutError:
            raise Unavailable(
                "this takes too long", expected=f"at most {CALL_S:.0f} s", hint="ask for less"
            ) from None

    @contextmanager
    def _turn(self, visitor: Visitor) -> Iterator[None]:
        owner = visitor.owner
        if self._under_way[owner] >= CALLS:
            raise Unavailable(
                "too many calls at a time", expected=f"at most {CALLS}", hint="wait for answers"
            )
        self._under_way[owner] += 1
        try:
            yield
        finally:
            self._under_way[owner] -= 1
            if not self._under_way[owner]:
                del self._under_way[owner]


def _can_ask(context: ServerRequestContext[Any, Any]) -> bool:
    """Whether a person at this client can be asked by a form."""
    capabilities = context.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return False
    is_modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
    return is_modern or context.session.can_send_request
