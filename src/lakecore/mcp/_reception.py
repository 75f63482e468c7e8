"""Who sent a request: over stdio who started the process, over HTTP who the gateway let in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lakecore.auth import Principal
from lakecore.base import Unauthenticated
from lakecore.mcp._ports import Authenticator, Calls, Visitor

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

APPROVER_HEADER: Final = "x-approver-key"


class OneClient:
    """The one client of a process. Keys are asked for again at every call.

    Args:
        key, approver_key: as they were given; None: none.
        local: who it is without a key; None: a key is needed.
        person: in whose name a yes counts then.
    """

    def __init__(
        self,
        calls: Calls,
        authenticator: Authenticator,
        *,
        key: str | None,
        approver_key: str | None = None,
        local: Principal | None = None,
        person: Principal | None = None,
    ) -> None:
        self._calls = calls
        self._authenticator = authenticator
        self._key = key
        self._approver_key = approver_key
        self._local = local
        self._person = person

    def check(self) -> Visitor:
        """Who it is now; blocks. Raises as `Authenticator.authenticate`."""
        if self._key is None and self._local is not None:
            return Visitor(self._local, self._person)
        if self._key is None:
            raise Unauthenticated("a key is needed", hint="LAKECORE_API_KEY=lc_…")
        approver = self._approver_key
        return Visitor(
            self._authenticator.authenticate(self._key),
            None if approver is None else self._authenticator.authenticate(approver),
        )

    async def visitor(self, context: ServerRequestContext[Any, Any]) -> Visitor:
        """See `Reception`."""
        return await self._calls.call(self.check)

    def recheck(self, visitor: Visitor) -> None:
        """See `Reception`."""
        recheck(self._authenticator, visitor)

    def name_of(self, context: ServerRequestContext[Any, Any]) -> str | None:
        """See `Reception`: there is one client, and so one name."""
        return None


class GuestsOfTheGateway:
    """Who the gateway's guard let in; it asked for the key of this very request.

    Args:
        authenticator: None: keys are not asked for; then who comes is `local`, on this machine.
        local: who calls tools then; `person` is in whose name a yes counts.
    """

    def __init__(
        self,
        calls: Calls,
        authenticator: Authenticator | None,
        *,
        local: Principal,
        person: Principal,
    ) -> None:
        self._calls = calls
        self._authenticator = authenticator
        self._local = local
        self._person = person

    async def visitor(self, context: ServerRequestContext[Any, Any]) -> Visitor:
        """See `Reception`."""
        if self._authenticator is None:
            return Visitor(self._local, self._person)
        request: Any = context.request
        principal = _principal(request)
        text = request.headers.get(APPROVER_HEADER)
        if text is None:
            return Visitor(principal)
        address = request.client.host if request.client is not None else None
        approver = await self._calls.call(self._authenticator.authenticate, text, address=address)
        return Visitor(principal, approver)

    def recheck(self, visitor: Visitor) -> None:
        """See `Reception`."""
        if self._authenticator is not None:
            recheck(self._authenticator, visitor)

    def name_of(self, context: ServerRequestContext[Any, Any]) -> str | None:
        """See `Reception`."""
        if self._authenticator is None:
            return None
        return Visitor(_principal(context.request)).owner


def recheck(authenticator: Authenticator, visitor: Visitor) -> None:
    """Raises `Unauthenticated` when a key of the visitor's has ended."""
    authenticator.recheck(visitor.principal)
    if visitor.approver is not None:
        authenticator.recheck(visitor.approver)


def _principal(request: Any) -> Principal:
    found = getattr(request.state, "principal", None) if request is not None else None
    if not isinstance(found, Principal):
        raise Unauthenticated("a key is needed")
    return found
