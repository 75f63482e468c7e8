"""What an object's path may look like; no I/O."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from lakecore.base import InvalidInput

MAX_PATH_BYTES: Final = 1_024
"""A whole path: what S3 takes as a key."""

MAX_SEGMENT_BYTES: Final = 255
"""One part between slashes: what file systems take as a name."""

TEMP_PREFIX: Final = ".tmp-"
"""Unfinished uploads of ours start so."""

# What nearly every path is; short enough for both bounds, so one match settles it.
_PLAIN: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.=-]*/)*[A-Za-z0-9_][A-Za-z0-9_.=-]*")
# Control characters cannot stand in the XML of a listing.
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\\]")
# How deltalake and obstore name their unfinished uploads on a local disk.
_FOREIGN_TEMP: Final = re.compile(r"#[0-9]+\Z")


def check_path(path: str) -> str:
    """Return `path` if it can name an object on every adapter.

    Raises:
        InvalidInput: empty or longer than 1,024 bytes; absolute; a segment that is
            empty, ``.``, ``..``, longer than 255 bytes or reserved for unfinished
            uploads (``.tmp-…``, ``…#7``); a backslash or control character.
    """
    if len(path) <= MAX_SEGMENT_BYTES and _PLAIN.fullmatch(path) is not None:
        return path
    if not path:
        _refuse(path, "a path with at least one name", "an empty path")
    if path.startswith("/"):
        _refuse(path, "a path relative to the store's root", "an absolute path")
    found = _FORBIDDEN.search(path)
    if found is not None:
        _refuse(path, "no backslash or control character", repr(found.group()))
    size_bytes = _size_bytes(path, path)
    if size_bytes > MAX_PATH_BYTES:
        _refuse(path, f"at most {MAX_PATH_BYTES:,} bytes", f"{size_bytes:,} bytes")
    for segment in path.split("/"):
        _check_segment(path, segment)
    return path


def check_prefix(prefix: str) -> str:
    """Return `prefix` if it is a folder: empty (the root), or a path and a ``/``.

    Raises:
        InvalidInput: no ``/`` at the end, or not a path before it.
    """
    if not prefix:
        return prefix
    if not prefix.endswith("/"):
        _refuse(prefix, "a folder, ending in '/'", "no '/' at the end")
    check_path(prefix[:-1])
    return prefix


def check_range(path: str, length: int) -> None:
    """Refuse a negative `length`."""
    if length < 0:
        raise InvalidInput(
            "a range has a length", expected="0 or more bytes", found=length, where=path
        )


def is_unfinished(name: str) -> bool:
    """Whether a file of this name is an upload under way: ours, deltalake's or obstore's."""
    return name.startswith(TEMP_PREFIX) or ("#" in name and bool(_FOREIGN_TEMP.search(name)))


def _check_segment(path: str, segment: str) -> None:
    if not segment:
        _refuse(path, "a name between slashes", "an empty name")
    if segment in {".", ".."}:
        _refuse(path, "names", f"{segment!r}")
    size_bytes = _size_bytes(path, segment)
    if size_bytes > MAX_SEGMENT_BYTES:
        _refuse(path, f"names of at most {MAX_SEGMENT_BYTES} bytes", f"{size_bytes:,} bytes")
    if is_unfinished(segment):
        _refuse(path, "a name not reserved for unfinished uploads", f"{segment!r}")


def _size_bytes(path: str, text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        _refuse(path, "text that UTF-8 can encode", "a lone surrogate")


def _refuse(path: str, expected: str, found: str) -> NoReturn:
    shown = path if len(path) <= 80 else f"{path[:77]}..."
    raise InvalidInput("not an object's path", expected=expected, found=found, where=ascii(shown))
