"""Errors as RFC 9457 problem+json: which status, which members. No I/O.

`type` is ``urn:lakecore:error:<slug>``, stable; `expected`, `found`, `where` and `hint` are the
error's own. What is a bug is logged with its request id, and told without details.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from lakecore.auth import redact
from lakecore.base import (
    AlreadyExists,
    Bug,
    Conflict,
    FixRequest,
    InvalidInput,
    LakecoreError,
    NotFound,
    OutOfSpace,
    Refused,
    Retry,
    TooManyRequests,
    Unauthenticated,
    UnsupportedFormat,
)

PREFIX: Final = "urn:lakecore:error:"
MEDIA_TYPE: Final = "application/problem+json"
DEFAULT_RETRY_AFTER_S: Final = 2
_MAX_TEXT_CHARACTERS: Final = 4_096

_STATUS: Final[tuple[tuple[type[LakecoreError], int], ...]] = (
    (TooManyRequests, 429),
    (Unauthenticated, 401),
    (Refused, 403),
    (NotFound, 404),
    (AlreadyExists, 409),
    (InvalidInput, 422),
    (FixRequest, 400),
    (Conflict, 409),
    (Retry, 503),
    (OutOfSpace, 507),
    (UnsupportedFormat, 501),
)
"""The first that fits; whatever else there is comes from inside: 500."""


class HttpProblem(FixRequest):
    """A request that is wrong as HTTP, before anything of a lake is asked."""

    def __init__(self, status: int, slug: str, message: str, **parts: Any) -> None:
        self.status = status
        self.type = slug  # type: ignore[misc]  # one class for all that HTTP itself refuses
        super().__init__(message, **parts)


def status_of(error: LakecoreError) -> int:
    """The status code of an error."""
    if isinstance(error, HttpProblem):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem_of(error: LakecoreError, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an error's answer."""
    status = status_of(error)
    headers: dict[str, str] = {}
    parts = error.to_dict() if not isinstance(error, Bug) else {}
    if status in (429, 503):
        wait_s = getattr(error, "retry_after_s", DEFAULT_RETRY_AFTER_S)
        headers["retry-after"] = str(wait_s)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    body: dict[str, Any] = {
        "type": PREFIX + error.type,
        "title": _shown(parts.get("message", "this is a bug in Lakecore")),
        "status": status,
        "instance": f"urn:lakecore:request:{request_id}",
    }
    body |= {
        name: _shown(parts[name])
        for name in ("expected", "found", "where", "hint")
        if name in parts
    }
    return status, headers, msgspec.json.encode(body)


def _shown(text: str) -> str:
    return redact(text.encode("utf-8", "replace").decode())[:_MAX_TEXT_CHARACTERS]
