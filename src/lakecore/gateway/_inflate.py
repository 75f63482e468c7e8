"""Bodies that come as gzip, taken apart up to a bound and no further. No I/O."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from lakecore.gateway._problems import HttpProblem

if TYPE_CHECKING:
    from fastapi import Request

_GZIP = 31
"""What zlib calls gzip with the largest window."""


def inflated(data: bytes, encoding: str, limit: int) -> bytes:
    """The bytes of a body.

    Raises:
        HttpProblem: they are more than `limit` (413), or no gzip (400).
    """
    if encoding in ("", "identity"):
        if len(data) > limit:
            raise _too_long(limit)
        return data
    pieces: list[bytes] = []
    left = limit
    while data:
        # A gzip file may have several members.
        member = zlib.decompressobj(_GZIP)
        try:
            piece = member.decompress(data, left + 1)
        except zlib.error as error:
            raise HttpProblem(400, "bad-request", "the body is no gzip", found=error) from None
        left -= len(piece)
        if left < 0:
            raise _too_long(limit)
        if not member.eof:
            raise HttpProblem(400, "bad-request", "the body is no whole gzip")
        pieces.append(piece)
        data = member.unused_data
    return b"".join(pieces)


def encoding_of(request: Request) -> str:
    """The content encoding, which the edge has let pass."""
    return request.headers.get("content-encoding", "").strip().lower()


def _too_long(limit: int) -> HttpProblem:
    return HttpProblem(
        413, "too-large", "the request's body is too long", expected=f"{limit:,} bytes"
    )
