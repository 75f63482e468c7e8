"""Where messages may go: the form of a URL, and which addresses are nobody's inside. No I/O.

A gateway that posts wherever it is told to is a way into the network that it stands in. So
a name is looked up when a connection is made, every address of the answer is checked, and
the connection is made to one that was checked: a name that points elsewhere a moment later
does not matter.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from lakecore.base import InvalidInput, Refused

MAX_URL_CHARACTERS: Final = 1_000

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")


@dataclass(frozen=True, slots=True)
class Allowed:
    """Networks that messages may go to, beside the public internet."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Allowed:
        """From a list with commas.

        >>> Allowed.parse("10.1.0.0/16, ::1").networks
        (IPv4Network('10.1.0.0/16'), IPv6Network('::1/128'))
        """
        words = [word for part in text.split(",") if (word := part.strip())]
        try:
            return cls(tuple(ipaddress.ip_network(word) for word in words))
        except ValueError as error:
            raise InvalidInput(
                "not a list of networks",
                expected="10.1.0.0/16, 127.0.0.1",
                found=text,
                where="[webhooks] allow_networks",
            ) from error

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def check_url(url: str, allowed: Allowed) -> str:
    """A URL that messages may be sent to, as far as it shows by itself.

    Raises:
        InvalidInput: it is none, or has a user or a password in it.
        Refused: it is an address that is not to be reached, or plain http to the internet.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput("not a URL", where="url") from error
    if (
        parts.scheme not in ("https", "http")
        or not parts.hostname
        or port == 0
        or len(url) > MAX_URL_CHARACTERS
        or not url.isprintable()
        or not url.isascii()
        or " " in url
    ):
        raise InvalidInput(
            "not a URL to send to",
            expected=f"https://host/path, at most {MAX_URL_CHARACTERS} ASCII characters",
            where="url",
        )
    if parts.username is not None or parts.password is not None:
        # It would be journaled.
        raise InvalidInput("a URL must not have a user or password in it", where="url")
    if parts.fragment:
        raise InvalidInput("a URL to send to has no fragment", where="url")
    if parts.scheme == "http" and not allowed.networks:
        raise Refused(
            "http sends what happened in the lake in clear text",
            expected="https://",
            where="url",
            hint="[webhooks] allow_networks names networks of yours where that is right",
        )
    literal = _literal(parts.hostname)
    if literal is not None:
        check_addresses([literal], allowed, is_plain=parts.scheme == "http")
    return url


def check_addresses(
    addresses: Iterable[Address], allowed: Allowed, *, is_plain: bool
) -> list[Address]:
    """The addresses of a name, if every one of them may be connected to.

    Args:
        is_plain: without TLS; that is for allowed networks alone.

    Raises:
        Refused: one of them may not.
    """
    found = list(addresses)
    for address in found:
        inner = embedded(address)
        if inner in allowed:
            continue
        if is_plain:
            raise Refused(
                "http goes to allowed networks alone",
                hint="use https, or name the network in [webhooks] allow_networks",
            )
        if not is_public(inner):
            # Not which address: that would tell names of the inside to whoever may ask.
            raise Refused(
                "the target is not on the public internet",
                hint="[webhooks] allow_networks names networks of yours that may be reached",
            )
    return found


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet's, for one receiver.

    >>> [is_public(ipaddress.ip_address(text)) for text in ("8.8.8.8", "169.254.1.1", "fd00::1")]
    [True, False, False]
    """
    is_site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified or is_site_local
    )


def embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, else the address itself.

    >>> embedded(ipaddress.ip_address("::ffff:127.0.0.1")), embedded(ipaddress.ip_address("::1"))
    (IPv4Address('127.0.0.1'), IPv6Address('::1'))
    """
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    teredo = address.teredo
    inner = address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
    if inner is not None:
        return inner
    number = int(address)
    if address in _NAT64 or (address in _COMPATIBLE and number > 0xFFFF):
        return ipaddress.IPv4Address(number & 0xFFFF_FFFF)
    return address


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
