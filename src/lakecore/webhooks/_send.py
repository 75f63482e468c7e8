"""One request to a receiver: bounded in every way, to a checked address, no redirect followed."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from lakecore._version import __version__
from lakecore.base import Refused
from lakecore.webhooks._address import Allowed, check_addresses, check_url

if TYPE_CHECKING:
    import httpcore

MAX_ANSWER_BYTES: Final = 16 * 1024
"""Of an answer's body, which is not looked at; longer ones cost the connection."""

USER_AGENT: Final = f"Lakecore/{__version__} (webhooks)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an attempt.

    Attributes:
        status: of the answer; None where there was none.
        outcome: ``delivered``, or in a few words why not. Nothing that was received is in it.
        retry_after_s: what the receiver asked for.
    """

    status: int | None
    outcome: str
    duration_ms: float = 0.0
    retry_after_s: float | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no more, ever (410)."""
        return self.status == 410


class Sender:
    """Connections to receivers. For one event loop.

    Args:
        timeout_s: for all of an attempt: name, connection, TLS, request, answer.
        connections: at a time.
        tls: other certificates than the system's; for tests.
    """

    def __init__(
        self,
        allowed: Allowed,
        *,
        timeout_s: float,
        connections: int = 1,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        import httpcore

        self._allowed = allowed
        self._timeout_s = timeout_s
        context = tls or ssl.create_default_context()
        # One for each scheme: what may be connected to differs.
        self._pools = {
            scheme: httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=30.0,
                retries=0,
                network_backend=_guarded(allowed, is_plain=scheme == "http"),
            )
            for scheme in ("http", "https")
        }

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Post it, once."""
        began_s = time.monotonic()
        found = await self._try(url, headers, body)
        took_ms = round((time.monotonic() - began_s) * 1_000, 3)
        return Outcome(
            status=found.status,
            outcome=found.outcome,
            duration_ms=took_ms,
            retry_after_s=found.retry_after_s,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        for pool in self._pools.values():
            await pool.aclose()

    async def _try(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        import httpcore

        try:
            # The settings may have changed since it was made.
            check_url(url, self._allowed)
            async with asyncio.timeout(self._timeout_s):
                return await self._post(url, headers, body)
        except TimeoutError:
            return _no_answer(f"no answer within {self._timeout_s:g} s")
        except Refused as error:
            return _no_answer(error.message)
        except OSError as error:
            is_tls = isinstance(error, ssl.SSLError)
            return _no_answer("TLS failed" if is_tls else "there is no such name or connection")
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            is_tls = isinstance(error.__cause__ or error.__context__, ssl.SSLError)
            return _no_answer("TLS failed" if is_tls else "no connection, or it broke")
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol):
            return _no_answer("the answer is no HTTP")

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        sent = {
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            "accept-encoding": "identity",
            **headers,
        }
        raw = [(name.encode("ascii"), value.encode("ascii")) for name, value in sent.items()]
        raw.append((b"content-length", str(len(body)).encode()))
        pool = self._pools[url.partition(":")[0]]
        async with pool.stream("POST", url, headers=raw, content=body) as answer:
            length = 0
            async for chunk in answer.aiter_stream():
                length += len(chunk)
                if length > MAX_ANSWER_BYTES:
                    break
            return _outcome(answer.status, answer.headers)


def _guarded(allowed: Allowed, *, is_plain: bool) -> httpcore.AsyncNetworkBackend:
    import httpcore

    class Guarded(httpcore.AsyncNetworkBackend):
        """Looks names up itself, and connects to addresses that it has checked."""

        def __init__(self) -> None:
            self._inner = httpcore.AnyIOBackend()

        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[Any] | None = None,
        ) -> httpcore.AsyncNetworkStream:
            addresses = await _addresses(host, port, allowed, is_plain=is_plain)
            failed: Exception | None = None
            for address in addresses:
                try:
                    return await self._inner.connect_tcp(
                        str(address), port, timeout, local_address, socket_options
                    )
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                    failed = error
            raise failed or httpcore.ConnectError("no address")

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    return Guarded()


async def _addresses(host: str, port: int, allowed: Allowed, *, is_plain: bool) -> list[Any]:
    """The addresses of a name; `Refused` where one of them is not to be reached."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
    texts = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
    addresses = [ipaddress.ip_address(text) for text in texts]
    return check_addresses(addresses, allowed, is_plain=is_plain)


def _outcome(status: int, headers: list[tuple[bytes, bytes]]) -> Outcome:
    if 200 <= status < 300:
        return Outcome(status=status, outcome="delivered")
    text = next((value for name, value in headers if name.lower() == b"retry-after"), b"")
    words = "answers with a redirect" if 300 <= status < 400 else "does not take it"
    return Outcome(
        status=status, outcome=f"the receiver {words}", retry_after_s=retry_after_s(text)
    )


def retry_after_s(value: bytes, now_s: float | None = None) -> float | None:
    """Seconds of a Retry-After, given in seconds or as a date; None where it is neither.

    >>> retry_after_s(b"7"), retry_after_s(b"Thu, 01 Jan 1970 00:01:40 GMT", 40.0)
    (7.0, 60.0)
    """
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at_s = parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, at_s - (time.time() if now_s is None else now_s))


def _no_answer(outcome: str) -> Outcome:
    return Outcome(status=None, outcome=outcome)
