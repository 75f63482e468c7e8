"""/session: a one-time link, or a key, becomes a cookie; who is logged in; log out.

Where no keys are asked for, who can read the terminal of `lakecore up` gets in: its link is in
the fragment of a URL, which a browser sends to nobody, and the page hands it over by POST.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import TooManyRequests, Unauthenticated
from lakecore.console._answers import Header, NotAllowed, Request, no_store
from lakecore.console._sessions import MAX_TEXT_CHARACTERS, Sessions

if TYPE_CHECKING:
    from lakecore.auth import Principal

LINK_EVERY_S: Final = 10
"""Between two links that somebody asks for."""


class Door:
    """Who comes in, and how.

    Args:
        cookie: the name of the cookie: ports of one host share their cookies.
        is_secure: whether the cookie goes by https alone.
        local: who comes with a one-time link; None: there are none, a key is needed.
        authenticate: the principal of a key and an address, or raises as `auth.Keys` does.
        recheck: raises `Unauthenticated` when a principal's key has ended.
        show: prints a new link where `lakecore up` runs.
        about: what a page may know before anybody logged in.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        cookie: str,
        is_secure: bool,
        local: Principal | None,
        authenticate: Callable[[str, str | None], Awaitable[Principal]],
        recheck: Callable[[Principal], Awaitable[None]],
        show: Callable[[str], None],
        about: dict[str, Any],
    ) -> None:
        self._sessions = sessions
        self._cookie = cookie
        self._is_secure = is_secure
        self._local = local
        self._authenticate = authenticate
        self._recheck = recheck
        self._show = show
        self._about = about
        self._shown_s = float("-inf")

    def new_link(self) -> str | None:
        """The secret of a one-time link, None where a key is needed."""
        return None if self._local is None else self._sessions.link(time.monotonic())

    async def principal(self, request: Request) -> Principal | None:
        """Who sent a request; None: nobody who is logged in, and whose key still holds."""
        text = self._cookie_of(request)
        found = None if text is None else self._sessions.find(text, time.monotonic())
        if text is None or found is None:
            return None
        try:
            await self._recheck(found)
        except Unauthenticated:
            self._sessions.end(text)
            return None
        return found

    async def answer(self, request: Request) -> None:
        """One request to /session."""
        here, method = request.path.removeprefix("/session"), request.method
        if here == "" and method == "GET":
            await self._who(request)
        elif here == "" and method == "POST":
            await self._enter(request)
        elif here == "" and method == "DELETE":
            self._sessions.end(self._cookie_of(request) or "")
            await request.answer(204, b"", [no_store(), self._set("", 0)])
        elif here == "/link" and method == "POST":
            await self._another_link(request)
        else:
            raise NotAllowed("POST" if here == "/link" else "GET, POST, DELETE")

    async def _who(self, request: Request) -> None:
        principal = await self.principal(request)
        told = {**self._about, "asks_for_keys": self._local is None, "principal": None}
        if principal is not None:
            told["principal"] = {
                "name": principal.name,
                "kind": principal.kind,
                "roles": list(principal.roles),
                "scopes": principal.scopes.to_list(),
                "key_id": principal.key_id,
            }
        await request.answer_json(told)

    async def _enter(self, request: Request) -> None:
        asked = await request.json()
        link, key = asked.get("link"), asked.get("key")
        now_s = time.monotonic()
        if isinstance(link, str) and self._local is not None:
            if not self._sessions.redeem(link, now_s):
                raise Unauthenticated(
                    "this link opens nothing",
                    hint="a link works once, and for a few minutes: have another one printed",
                )
            principal = self._local
        elif isinstance(key, str) and self._local is None:
            principal = await self._authenticate(key[:MAX_TEXT_CHARACTERS], request.address)
        else:
            what = "a key" if self._local is None else "the link that `lakecore up` prints"
            raise Unauthenticated(f"{what} is needed")
        old = self._cookie_of(request)
        if old is not None:
            self._sessions.end(old)
        text = self._sessions.begin(principal, now_s)
        await request.answer(204, b"", [no_store(), self._set(text, None)])

    async def _another_link(self, request: Request) -> None:
        """Print one at the terminal; whoever asked for it has to be able to read that."""
        link = None
        now_s = time.monotonic()
        if self._local is not None:
            wait_s = self._shown_s + LINK_EVERY_S - now_s
            if wait_s > 0:
                raise TooManyRequests("a link was just printed", retry_after_s=int(wait_s) + 1)
            self._shown_s = now_s
            link = self.new_link()
        if link is None:
            raise Unauthenticated("a key is needed", hint="links are for lakes that ask for none")
        self._show(link)
        await request.answer(204, b"", [no_store()])

    def _cookie_of(self, request: Request) -> str | None:
        for part in request.header("cookie").replace(", ", "; ").split("; "):
            name, _, value = part.partition("=")
            if name == self._cookie and 0 < len(value) <= MAX_TEXT_CHARACTERS:
                return value
        return None

    def _set(self, value: str, max_age_s: int | None) -> Header:
        parts = [f"{self._cookie}={value}", "Path=/", "HttpOnly", "SameSite=Strict"]
        if max_age_s is not None:
            parts.append(f"Max-Age={max_age_s}")
        if self._is_secure:
            parts.append("Secure")
        return b"set-cookie", "; ".join(parts).encode()
