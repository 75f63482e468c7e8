"""From an answer that is a problem to the error that the lake itself would have raised. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lakecore.base import (
    Bug,
    FixRequest,
    LakecoreError,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)

_PREFIX: Final = "urn:lakecore:error:"
_MAX_RETRY_AFTER_S: Final = 3_600
_BY_STATUS: Final[Mapping[int, type[LakecoreError]]] = {
    401: Unauthenticated,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(status: int, problem: object, retry_after: str | None = None) -> LakecoreError:
    """The error of a problem+json: of the class that its `type` names, with all its parts.

    What HTTP alone refuses, and what something between answers, is of the class that the status
    says: `FixRequest` below 500, `Unavailable` where it is worth another try, else `Bug`.

    >>> error_of(404, {"type": "urn:lakecore:error:not-found", "title": "no such dataset"})
    NotFound('no such dataset')
    >>> error_of(502, "<html>").type
    'unavailable'
    """
    told: Mapping[str, Any] = problem if isinstance(problem, Mapping) else {}
    slug = str(told.get("type", "")).removeprefix(_PREFIX)
    message = str(told.get("title") or f"the server answers {status}")
    parts = {name: told.get(name) for name in ("expected", "found", "where", "hint")}
    kind = _BY_TYPE.get(slug)
    if kind is None:
        kind = _BY_STATUS.get(status) or (FixRequest if status < 500 else Bug)
    if kind is TooManyRequests:
        error: LakecoreError = TooManyRequests(message, retry_after_s=retry_after_s(retry_after))
    else:
        error = kind(message, **parts)
    instance = told.get("instance")
    if instance:
        error.add_note(str(instance))
    return error


def retry_after_s(text: str | None, otherwise: int = 1) -> int:
    """Whole seconds of a Retry-After; dates are not looked at."""
    if text is None or not text.strip().isdecimal():
        return otherwise
    return max(1, min(int(text.strip()[:9]), _MAX_RETRY_AFTER_S))


def _all(kind: type[LakecoreError]) -> Iterator[type[LakecoreError]]:
    yield kind
    for inner in kind.__subclasses__():
        # Others take arguments of their own; their type is told apart by its parent then.
        if inner.__module__ == LakecoreError.__module__:
            yield from _all(inner)


_BY_TYPE: Final = {kind.type: kind for kind in _all(LakecoreError)}
