"""Which names the console answers to, and whose pages may ask it. No I/O.

A page of the web must not get in through its reader's browser. It would come

- under a name that was pointed at this machine (DNS rebinding): the ``Host`` is not one of ours;
- from another origin, with the reader's cookie: the ``Origin``, or ``Sec-Fetch-Site``, says so.
  The cookie is SameSite=Strict besides; but another port of this machine is the same site.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from lakecore.base import InvalidInput
from lakecore.console._settings import ConsoleSettings

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_DEFAULT_PORT: Final = {"http": 80, "https": 443}
_SAFE: Final = ("GET", "HEAD")


class Origins:
    """The origins of one console.

    Args:
        port: where it listens.

    Raises:
        InvalidInput: `url` of the settings is no URL of a site.
    """

    def __init__(self, settings: ConsoleSettings, *, port: int) -> None:
        self._port = port
        self._hosts: set[str] = set()
        self._outer = ""
        self._any_address = not _is_loopback(settings.host)
        for name in _LOOPBACK if _is_loopback(settings.host) else (settings.host,):
            self._hosts.add(_netloc("http", name, port))
        if settings.url:
            parts = urlsplit(settings.url)
            if (
                parts.scheme not in _DEFAULT_PORT
                or not parts.hostname
                or parts.path not in ("", "/")
            ):
                raise InvalidInput(
                    "not the URL of a site",
                    expected="https://lake.example",
                    found=settings.url[:200],
                    where="[console] url",
                )
            named = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            netloc = _netloc(parts.scheme, named, parts.port or _DEFAULT_PORT[parts.scheme])
            self._hosts.add(netloc)
            self._outer = f"{parts.scheme}://{netloc}"

    @property
    def is_secure(self) -> bool:
        """Whether people come by https: then their cookie goes by nothing else."""
        return self._outer.startswith("https://")

    def is_host(self, host: str) -> bool:
        """Whether a ``Host`` header names this console.

        Where it listens on more than loopback, its addresses are names of it, too: a name can be
        pointed at it by others, an address cannot.
        """
        host = host.lower()
        return host in self._hosts or (self._any_address and _is_address(host, self._port))

    def refusal(self, method: str, host: str, origin: str | None, site: str | None) -> str | None:
        """Why a request for data is not answered; None: it is of one of our own pages.

        Args:
            host: the ``Host`` header, which `is_host`.
            origin, site: ``Origin`` and ``Sec-Fetch-Site``; None: not sent.
        """
        # Without a URL of its own `_outer` is empty, which is no origin either.
        ours = {f"http://{host.lower()}", self._outer} - {""}
        if origin is not None and origin.lower() not in ours:
            return "pages of another origin are not served"
        if site is not None and site != "same-origin" and not (site == "none" and method in _SAFE):
            return "pages of another site are not served"
        if method not in _SAFE and origin is None and site is None:
            return "what changes something has to say which page it comes from"
        return None


def _netloc(scheme: str, name: str, port: int) -> str:
    return name.lower() if port == _DEFAULT_PORT[scheme] else f"{name.lower()}:{port}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_address(host: str, port: int) -> bool:
    """Whether a ``Host`` is an address, with this port."""
    name, colon, given = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, given = host, str(_DEFAULT_PORT["http"])
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return given == str(port)
