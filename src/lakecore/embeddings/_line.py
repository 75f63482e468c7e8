"""One connection to an endpoint, for one request at a time, which ends in time whatever it does.

A client's time-outs are for one read; who sends a byte now and then stays below them. So a timer
shuts the socket down when the time for the whole request is over.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lakecore.base import InvalidInput
from lakecore.base.limits import MIB

if TYPE_CHECKING:
    import httpx

MAX_ANSWER_BYTES: Final = 256 * MIB
_CONNECT_S: Final = 10.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class PassingError(Exception):
    """What may pass: the next attempt may be answered.

    Attributes:
        pause_s: what the server asked for.
    """

    def __init__(self, found: str, pause_s: float = 0.0) -> None:
        super().__init__(found)
        self.found = found
        self.pause_s = pause_s


class Line:
    """A client with one connection.

    Args:
        timeout_s: for a whole request.
    """

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        import httpx

        self._url = url
        self._timeout_s = timeout_s
        self._stream: Any = None
        self._is_over = threading.Event()
        self._client = httpx.Client(
            headers=dict(headers),
            timeout=httpx.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            # It could take texts and key to somebody else.
            follow_redirects=False,
            # A proxy of the surroundings is not asked for this machine.
            trust_env=urlsplit(url).hostname not in _LOOPBACK,
            # Without encryption no certificates are needed; to read them takes its time.
            verify=not url.startswith("http://"),
        )

    @property
    def is_usable(self) -> bool:
        """Whether another request can go over it."""
        return not self._is_over.is_set()

    def post(self, content: bytes) -> tuple[httpx.Response, bytes]:
        """The answer's head and body.

        Raises:
            PassingError: no connection, or no whole answer in time.
            InvalidInput: an answer without end.
        """
        import httpx

        timer = threading.Timer(self._timeout_s, self._expire)
        timer.daemon = True
        timer.start()
        try:
            return self._post(content)
        except InvalidInput:
            raise
        except Exception as error:
            late = isinstance(error, httpx.TimeoutException) or not self.is_usable
            self._is_over.set()
            if late:
                raise PassingError(f"no whole answer within {self._timeout_s:g} s") from error
            if isinstance(error, (httpx.HTTPError, httpx.StreamError, OSError)):
                raise PassingError(f"no connection ({type(error).__name__})") from error
            raise
        finally:
            timer.cancel()

    def close(self) -> None:
        """Close the connection."""
        self._is_over.set()
        self._client.close()

    def _post(self, content: bytes) -> tuple[httpx.Response, bytes]:
        body = bytearray()
        known = {"trace": self._trace}
        with self._client.stream("POST", self._url, content=content, extensions=known) as response:
            for piece in response.iter_raw():
                body += piece
                if len(body) > MAX_ANSWER_BYTES:
                    self._is_over.set()
                    raise InvalidInput(
                        "the endpoint's answer is too long",
                        expected=f"at most {MAX_ANSWER_BYTES:,} bytes",
                        where=self._url,
                    )
        return response, bytes(body)

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]

    def _expire(self) -> None:
        self._is_over.set()
        stream = self._stream
        if stream is not None:
            with suppress(OSError, AttributeError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
