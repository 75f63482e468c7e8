"""Answers: JSON documents, pages of lists, and bytes as they are computed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from fastapi import Response
from starlette.responses import StreamingResponse

from lakecore.base import InvalidInput

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 100
_T = TypeVar("_T")


def to_json(document: object) -> bytes:
    """A document of dictionaries, dataclasses and plain values."""
    return msgspec.json.encode(document, enc_hook=_plain)


def json_answer(
    document: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """One JSON document; bytes are JSON already."""
    body = document if isinstance(document, bytes) else to_json(document)
    return Response(body, status, dict(headers or {}), media_type="application/json")


def page(items: Sequence[_T], limit: int, cursor: str | None) -> dict[str, Any]:
    """Some of a list that is at hand whole, in its order: ``{"items", "next"}``.

    The cursor is opaque; it counts, so what is added meanwhile moves what follows.
    """
    start = start_of(cursor)
    end = start + limit
    following = cursor_at(end) if end < len(items) else None
    return {"items": list(items[start:end]), "next": following}


def cursor_at(at: int) -> str:
    """The cursor of a page that begins there."""
    return base64.urlsafe_b64encode(f"at:{at}".encode()).decode().rstrip("=")


def start_of(cursor: str | None) -> int:
    """Where a page begins. Raises `InvalidInput` for what is no cursor."""
    if cursor is None:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
        word, _, number = text.partition(":")
        if word != "at" or not number.isdecimal() or len(number) > 15:
            raise ValueError
        return int(number)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("not a cursor of this list", found=repr(cursor)[:200]) from error


class Streamed(StreamingResponse):
    """Bytes as they are computed in threads; `close` is called whatever happens."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        *,
        close: Callable[[], None],
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(chunks, media_type=media_type, headers=headers)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    return str(value)
