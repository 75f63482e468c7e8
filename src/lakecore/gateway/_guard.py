"""The one check of every route. A route that does not say who may enter lets nobody in.

A handler declares its `Access` with `needs`. The `guard` is the application's own dependency,
so it runs before every handler, and before a body is read:

    key -> principal -> Access of the handler -> authorize -> `Caller`

Where the dataset is only known from the body, the handler asks `Caller.lake(action, dataset)`:
a lake is had by no other way.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from fastapi import Request

from lakecore.auth import Principal, address_group, authorize, may
from lakecore.base import Refused, Unauthenticated
from lakecore.gateway._settings import is_loopback

if TYPE_CHECKING:
    from lakecore.gateway._app import Rooms

LET_IN: Final = "lakecore.let_in"
"""In a request's scope: the principal whom another door of this process has let in. No client
can set it: what comes over a socket has headers, and no such thing."""

_ACCESS: Final = "__lakecore_access__"
_Handler = TypeVar("_Handler", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Access:
    """Who may enter a route.

    Attributes:
        action: one of `lakecore.auth.ACTIONS`; None: everybody with a key that opens.
        over: ``lake``: the action over everything; ``path``: over the dataset that the path
            names; ``asked``: over something, and the handler asks what exactly.
        is_open: without a key, too.
        basic: the key may come as the password of HTTP's Basic scheme: for clients that know no
            other way.
    """

    action: str | None
    over: Literal["lake", "path", "asked"] = "lake"
    is_open: bool = False
    basic: bool = False


OPEN: Final = Access(None, is_open=True)
KNOWN: Final = Access(None)


def needs(access: Access) -> Callable[[_Handler], _Handler]:
    """Declare who may enter."""

    def declare(handler: _Handler) -> _Handler:
        setattr(handler, _ACCESS, access)
        return handler

    return declare


def access_of(handler: object) -> Access | None:
    """What a handler declared."""
    found = getattr(handler, _ACCESS, None)
    return found if isinstance(found, Access) else None


class Caller:
    """Who sent a request, and the lake as they may use it."""

    __slots__ = ("_rooms", "principal", "request_id")

    def __init__(self, rooms: Rooms, principal: Principal, request_id: str) -> None:
        self._rooms = rooms
        self.principal = principal
        self.request_id = request_id

    def lake(self, action: str, dataset: str | None = None) -> Any:
        """The lake in the caller's name, once they may do this.

        Raises:
            Refused: they may not.
        """
        authorize(self.principal, action, dataset)
        return self._rooms.acting_as(self.principal)

    def looking(self) -> Any:
        """The lake where nothing is asked of it that the caller may not have.

        For SQL, which sees only what they may read, and to find out which dataset a request
        is about: then ask `lake`.
        """
        return self._rooms.acting_as(self.principal)

    def may(self, action: str, dataset: str | None = None) -> bool:
        """Whether `lake` would let them: to leave out of a list what they may not see."""
        return may(self.principal, action, dataset)

    def recheck(self) -> None:
        """Raises `Unauthenticated` when their key has ended meanwhile."""
        if self._rooms.authenticator is not None:
            self._rooms.authenticator.recheck(self.principal)


async def guard(request: Request) -> None:
    """Let a request pass, or raise; `caller_of` is who sent it."""
    rooms: Rooms = request.app.state.rooms
    access = access_of(request.scope.get("endpoint"))
    if access is None:
        raise Refused("this route is closed")
    if access.is_open:
        rooms.rates.take(address_of(request), time.monotonic())
        return
    principal = await _principal(rooms, request, access)
    request.state.principal = principal
    dataset = request.path_params.get("dataset") if access.over == "path" else None
    if access.action is None:
        pass
    elif access.over == "asked":
        if not principal.scopes.to_body().get(access.action):
            authorize(principal, access.action)
    else:
        authorize(principal, access.action, dataset)
    request.state.caller = Caller(rooms, principal, request.state.request_id)


def caller_of(request: Request) -> Caller:
    """Who sent a request that passed the guard."""
    caller: Caller = request.state.caller
    return caller


async def _principal(rooms: Rooms, request: Request, access: Access) -> Principal:
    let_in = request.scope.get(LET_IN)
    if isinstance(let_in, Principal):
        rooms.rates.take(let_in.key_id or let_in.name, time.monotonic())
        return let_in
    if rooms.authenticator is None:
        rooms.rates.take(address_of(request), time.monotonic())
        _check_local(request)
        return rooms.local
    now_s = time.monotonic()
    try:
        text = _key_text(request, access)
        found = rooms.authenticator.at_once(text)
        if found is None:
            found = await rooms.workers.call(
                rooms.authenticator.authenticate, text, address=client_of(request)
            )
    except Unauthenticated:
        rooms.rates.take(address_of(request), now_s)
        raise
    rooms.rates.take(found.key_id or found.name, now_s)
    return found


def client_of(request: Request) -> str | None:
    """The address that a request came from."""
    return request.client.host if request.client is not None else None


def address_of(request: Request) -> str:
    """By what requests without a key are counted."""
    return f"address {address_group(client_of(request) or '')}"


def _key_text(request: Request, access: Access) -> str | None:
    header = request.headers.get("authorization")
    if header is None:
        return request.headers.get("x-api-key")
    scheme, _, text = header.partition(" ")
    if access.basic and scheme.lower() == "basic":
        return _password(text)
    if scheme.lower() != "bearer":
        raise Unauthenticated("a key is needed", hint="Authorization: Bearer lc_…")
    return text.strip()


def _password(text: str) -> str:
    """The password of Basic credentials; who they name does not matter: the key says who."""
    try:
        pair = base64.b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise Unauthenticated("a key is needed", hint="as the password of Basic") from None
    return pair.partition(":")[2]


def _check_local(request: Request) -> None:
    """Without keys a page of the web must not get in through its reader's browser.

    It would come with an ``Origin``, or, where its name was pointed at this machine, with
    that name as ``Host``.
    """
    host = request.url.hostname or ""
    if not is_loopback(host):
        raise Refused("keys are not asked for, so only this machine is served", found=host[:200])
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{request.url.netloc}":
        raise Refused("keys are not asked for, so pages of others are not served")
