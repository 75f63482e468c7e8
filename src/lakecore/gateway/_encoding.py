"""Content codings: answers compressed while they are sent, bodies unpacked within a bound.

Starlette's own middleware knows gzip alone, compresses on the event loop, and holds back what a
stream has sent until its buffer is full. Here every part of an answer goes out when it is there.
"""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from lakecore.base.appended import AppendedFile
from lakecore.base.limits import KIB, MIB
from lakecore.gateway._problems import HttpProblem
from lakecore.gateway._workers import Busy

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lakecore.gateway._workers import Workers

CODINGS: Final = ("zstd", "gzip")
"""The first that a client takes is used."""

MIN_BYTES: Final = 1 * KIB
"""Shorter answers go as they are."""

_COMPRESSED: Final = (
    *("application/json", "application/problem+json", "application/x-ndjson", "text/"),
    "application/vnd.apache.arrow.stream",
)
"""Beginnings of media types that shrink. Parquet and tiles do not."""

_NEVER: Final = "text/event-stream"
_INLINE_BYTES: Final = 16 * KIB
"""So much is compressed on the event loop: a thread would cost more."""

_GZIP_WBITS: Final = 31
_GZIP_LEVEL: Final = 5
_PART_BYTES: Final = 1 * MIB
_PAUSE_S: Final = 0.05


class Encoder(Protocol):
    """Takes parts of an answer; each is sent on at once."""

    def part(self, data: bytes) -> bytes:
        """What becomes of a part, complete: the other side can decode all of it."""
        ...

    def end(self) -> bytes:
        """What closes the stream."""
        ...


class _Gzip:
    def __init__(self) -> None:
        self._compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WBITS)

    def part(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._compressor.flush()


class _Zstd:
    def __init__(self) -> None:
        import pyarrow as pa

        self._sink = AppendedFile()
        self._stream = pa.CompressedOutputStream(pa.PythonFile(self._sink, mode="w"), "zstd")

    def part(self, data: bytes) -> bytes:
        self._stream.write(data)
        self._stream.flush()
        return self._sink.drain()

    def end(self) -> bytes:
        self._stream.close()
        return self._sink.drain()


def encoder(coding: str) -> Encoder:
    """A new encoder of one of `CODINGS`."""
    return _Zstd() if coding == "zstd" else _Gzip()


def chosen_coding(accept_encoding: str) -> str | None:
    """The coding for a client, None: as it is.

    >>> chosen_coding("gzip, deflate, br, zstd"), chosen_coding("gzip;q=1.0, zstd;q=0")
    ('zstd', 'gzip')
    >>> chosen_coding(""), chosen_coding("*"), chosen_coding("identity")
    (None, None, None)
    """
    taken = set()
    for part in accept_encoding[: 1 * KIB].split(","):
        name, _, parameters = part.strip().lower().partition(";")
        with suppress(ValueError):
            if float(parameters.strip().removeprefix("q=") or "1") > 0:
                taken.add(name.strip())
    return next((coding for coding in CODINGS if coding in taken), None)


def unpack(data: bytes, coding: str, *, most_bytes: int, most_ratio: float) -> bytes:
    """A body as it was before it was compressed.

    Raises:
        HttpProblem: it is damaged (400), or becomes too long, by itself or against what came
            (413): then what is behind that is not unpacked.
    """
    import pyarrow as pa

    parts: list[bytes] = []
    count = 0
    bound = min(most_bytes, max(_PART_BYTES, int(len(data) * most_ratio)))
    stream = pa.CompressedInputStream(pa.BufferReader(data), coding)
    try:
        while part := stream.read(min(_PART_BYTES, bound + 1)):
            parts.append(part)
            count += len(part)
            if count > bound:
                raise HttpProblem(
                    413,
                    "too-large",
                    "the request's body becomes too long when it is unpacked",
                    expected=f"at most {bound:,} bytes from {len(data):,}",
                    hint="send it in parts, or as it is",
                )
    except OSError as error:
        raise HttpProblem(
            400, "bad-request", f"the body is not whole as {coding}", found=error
        ) from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


class Compressing:
    """ASGI middleware: answers go compressed to who takes them so.

    What must not be kept by others (`no-store`) holds a secret and goes as it is, so that its
    length tells nothing; so do events (SSE), short answers, and what is compressed already.
    """

    def __init__(self, app: ASGIApp, workers: Workers) -> None:
        self._app = app
        self._workers = workers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        coding = None
        if scope["type"] == "http" and scope["method"] != "HEAD":
            coding = chosen_coding(_header(scope["headers"], b"accept-encoding"))
        if coding is None:
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, _Answer(coding, send, self._workers).send)


class _Answer:
    """One answer on its way. Its head waits for the first part, which says how long it is."""

    def __init__(self, coding: str, send: Send, workers: Workers) -> None:
        self._coding = coding
        self._send = send
        self._workers = workers
        self._head: Message | None = None
        self._encoder: Encoder | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if not _shrinks(message["headers"]):
                await self._send(message)
                return
            self._head = message
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        data, more = message.get("body", b""), message.get("more_body", False)
        if self._head is not None:
            head, self._head = self._head, None
            if more or len(data) >= MIN_BYTES:
                self._encoder = encoder(self._coding)
                head = {**head, "headers": _encoded(head["headers"], self._coding)}
            await self._send(head)
        if self._encoder is not None:
            data = await self._compressed(self._encoder, data, more)
        if data or not more:
            await self._send({**message, "body": data})

    async def _compressed(self, encoder: Encoder, data: bytes, more: bool) -> bytes:
        def compress() -> bytes:
            part = encoder.part(data) if data else b""
            return part if more else part + encoder.end()

        if len(data) <= _INLINE_BYTES:
            return compress()
        while True:
            try:
                return await self._workers.call(compress)
            except Busy:
                # An answer that was begun waits rather than breaks off.
                await asyncio.sleep(_PAUSE_S)


def _shrinks(headers: Any) -> bool:
    kind = _header(headers, b"content-type").lower()
    return (
        kind.startswith(_COMPRESSED)
        and not kind.startswith(_NEVER)
        and not _header(headers, b"content-encoding")
        and "no-store" not in _header(headers, b"cache-control")
    )


def _encoded(headers: Any, coding: str) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name not in (b"content-length", b"vary")]
    vary = ", ".join(filter(None, (_header(headers, b"vary"), "accept-encoding")))
    return [*kept, (b"content-encoding", coding.encode()), (b"vary", vary.encode())]


def _header(headers: Any, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in headers if key == name), "")
