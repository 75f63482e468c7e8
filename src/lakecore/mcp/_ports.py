"""What the MCP door needs of a lake, of its keys, and of threads. `app` joins them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lakecore.auth import Principal

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

_T = TypeVar("_T")

ActingAs = Callable[[Principal], Any]
"""The lake in a principal's name: what it writes is theirs, and SQL sees what they may."""


class Calls(Protocol):
    """Threads for what blocks, bounded; `Unavailable` when there is no room."""

    async def call(self, function: Callable[..., _T], *args: Any, **named: Any) -> _T:
        """Run it in a thread. What was begun ends, whatever becomes of who awaits it."""
        ...


class Authenticator(Protocol):
    """Who comes with a key. Threads may share it; calls may have to ask the store."""

    def authenticate(self, text: str | None, *, address: str | None = None) -> Principal:
        """The principal of a key, or `Unauthenticated`, `TooManyRequests`, `Unavailable`."""
        ...

    def recheck(self, principal: Principal) -> None:
        """Raises `Unauthenticated` when the principal's key has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who calls a tool, and in whose name a person at the client approves.

    Attributes:
        approver: None: a person's yes at the client is no more than the caller's own.
    """

    principal: Principal
    approver: Principal | None = None

    @property
    def owner(self) -> str:
        """Whose results these are: one key's, and no other key's of the same name."""
        return f"{self.principal.name}\n{self.principal.key_id or ''}"


class Reception(Protocol):
    """Finds out who sent a request."""

    async def visitor(self, context: ServerRequestContext[Any, Any]) -> Visitor:
        """Who it is, by a key that is good now. Raises as `Authenticator.authenticate`."""
        ...

    def recheck(self, visitor: Visitor) -> None:
        """Raises `Unauthenticated` when a key has ended that they came with."""
        ...

    def name_of(self, context: ServerRequestContext[Any, Any]) -> str | None:
        """Who may bring back what was given to this client; None: there is one client alone."""
        ...
