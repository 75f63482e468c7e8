"""JSON of a bounded size: what is too long is cut, and says so. No I/O."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

_LIMITS: Final = (4_096, 1_024, 256, 64, 16, 4, 1)
"""Characters of a text and items of a list, tried in this order."""

_MAX_DEPTH: Final = 32
_MARK: Final = "…"


def to_json(value: object) -> bytes:
    """Plain values, dataclasses and mappings as JSON."""
    return msgspec.json.encode(value, enc_hook=_plain)


def fitted(value: object, max_bytes: int) -> bytes:
    """JSON of at most so many bytes; texts and lists are cut until it is.

    >>> fitted({"name": "N1"}, 100)
    b'{"name":"N1"}'
    >>> print(fitted({"note": "x" * 500}, 100).decode())
    {"note":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… [500 characters]"}
    """
    data = to_json(value)
    if len(data) <= max_bytes:
        return data
    plain = msgspec.json.decode(data)
    for limit in _LIMITS:
        cut = to_json(_cut(plain, limit, 0))
        if len(cut) <= max_bytes:
            return cut
    return to_json({_MARK: f"{len(data):,} bytes are not shown"})


def fitted_line(line: bytes, max_bytes: int) -> bytes:
    """One JSON value on a line, cut where it is too long."""
    if len(line) <= max_bytes:
        return line
    return fitted(msgspec.json.decode(line), max_bytes)


def _cut(value: Any, limit: int, depth: int) -> Any:
    if isinstance(value, str):
        if len(value) <= limit:
            return value
        return f"{value[:limit]}{_MARK} [{len(value):,} characters]"
    if depth >= _MAX_DEPTH and isinstance(value, (Mapping, list)):
        return _MARK
    if isinstance(value, Mapping):
        kept = list(value.items())[:limit]
        shown = {_cut(name, limit, depth): _cut(one, limit, depth + 1) for name, one in kept}
        more = len(value) - len(kept)
        return {**shown, _MARK: f"{more:,} more"} if more else shown
    if isinstance(value, Sequence):
        shown_items = [_cut(one, limit, depth + 1) for one in value[:limit]]
        more = len(value) - len(shown_items)
        return [*shown_items, f"{_MARK} {more:,} more"] if more else shown_items
    return value


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    return str(value)
