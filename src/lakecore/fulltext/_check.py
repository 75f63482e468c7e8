"""Whether the engine's files are what was written: each ends in a checksum of what is before.

The engine looks at them when it is asked to, which its Python face has no word for; and it reads
its files as memory, where damage is a wrong answer or a fault. So they are read once, whole, when
an index is opened. The end of a file is: JSON with ``crc``, its length, a number that is the same
in all files (both 32 bits, little-endian).
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any, Final

from lakecore.base import CorruptData, UnsupportedFormat
from lakecore.base.limits import KIB, MIB

META: Final = "meta.json"
MAX_META_BYTES: Final = 64 * MIB
_MAGIC: Final = 1337
_TAIL: Final = struct.Struct("<II")
_MAX_FOOTER_BYTES: Final = 4 * KIB
_PARTS: Final = ("fast", "fieldnorm", "idx", "pos", "store", "term")
_READ_BYTES: Final = 1 * MIB
_ATTEMPTS: Final = 8


def check_files(folder: Path) -> None:
    """Read every file of the newest commit.

    Raises:
        CorruptData: one is missing, cut, or not what was written.
        UnsupportedFormat: of another version of the engine.
    """
    for attempt in range(_ATTEMPTS):
        content = _meta_of(folder)
        try:
            for path in _listed(content, folder):
                _check(path)
        except FileNotFoundError as error:
            # A writer commits and clears away while we read: then there is a newer list.
            if attempt == _ATTEMPTS - 1 or _meta_of(folder) == content:
                raise _damaged("a file is gone", Path(error.filename)) from error
        else:
            return


def _meta_of(folder: Path) -> bytes:
    try:
        with (folder / META).open("rb") as file:
            return file.read(MAX_META_BYTES)
    except OSError as error:
        raise _damaged("its list of files cannot be read", folder / META) from error


def _listed(content: bytes, folder: Path) -> list[Path]:
    """The files of the segments that the list has."""
    try:
        meta: Any = json.loads(content)
        paths = []
        for segment in meta["segments"]:
            stem = bytes.fromhex(segment["segment_id"].replace("-", "")).hex()
            paths += [folder / f"{stem}.{part}" for part in _PARTS]
            if segment["deletes"] is not None:
                paths.append(folder / f"{stem}.{int(segment['deletes']['opstamp'])}.del")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged("its list of files is not one", folder / META) from error
    return paths


def _check(path: Path) -> None:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = max(0, size - _MAX_FOOTER_BYTES)
        file.seek(start)
        end = file.read()
        if len(end) < _TAIL.size:
            raise _damaged("a file is cut", path)
        length, magic = _TAIL.unpack(end[-_TAIL.size :])
        if magic != _MAGIC or length + _TAIL.size > len(end):
            raise _damaged("a file is cut", path)
        expected = _crc(end[-_TAIL.size - length : -_TAIL.size], path)
        file.seek(0)
        left, found = size - length - _TAIL.size, 0
        while left:
            data = file.read(min(left, _READ_BYTES))
            if not data:
                raise _damaged("a file is cut", path)
            found = zlib.crc32(data, found)
            left -= len(data)
    if found != expected:
        raise _damaged("a file is not what was written", path)


def _crc(footer: bytes, path: Path) -> int:
    try:
        stored: Any = json.loads(footer)
        version = stored["version"]["index_format_version"]
        expected = stored["crc"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged("a file has no readable end", path) from error
    if version not in SUPPORTED:
        raise UnsupportedFormat(
            "a text index of another version of the engine",
            expected=", ".join(map(str, SUPPORTED)),
            found=str(version)[:20],
            where=path,
            hint="build the index anew from its dataset",
        )
    return int(expected) if isinstance(expected, int) else -1


SUPPORTED: Final = (7,)
"""Formats of the engine's files that were tried."""


def _damaged(found: str, path: Path) -> CorruptData:
    return CorruptData(
        "the text index is damaged",
        found=found,
        where=path,
        hint="build the index anew from its dataset",
    )
