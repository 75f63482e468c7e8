"""Where a store is: the parts of its URL; no I/O."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from lakecore.base import InvalidInput
from lakecore.storage._paths import check_path

REMOTE_SCHEMES: Final = ("s3", "gs", "az")

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_BUCKET: Final = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*")
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_FORMS: Final = "a path, file://, memory://, s3://bucket/prefix, gs://… or az://container/prefix"


@dataclass(frozen=True, slots=True)
class Location:
    """A parsed URL: `scheme` is file, memory, s3, gs or az."""

    scheme: str
    bucket: str = ""
    """The bucket, or Azure's container; empty unless remote."""
    prefix: str = ""
    """What every key starts with, without slashes around it; empty unless remote."""
    path: str = ""
    """The directory; empty unless a file."""

    def __str__(self) -> str:
        parts = [self.bucket, self.prefix] if self.prefix else [self.bucket]
        return f"{self.scheme}://{'/'.join(parts)}"


def parse_url(url: str) -> Location:
    """The parts of `url`; a text without ``://`` is a path on this machine.

    Raises:
        InvalidInput: not one of the forms that are known. The text itself is not
            repeated where it may hold a password.
    """
    match = _SCHEME.fullmatch(url)
    if match is None:
        return Location("file", path=_check_file(url))
    scheme, rest = match.group(1).lower(), match.group(2)
    scheme = "s3" if scheme == "s3a" else scheme
    if scheme == "file":
        return Location("file", path=_file_path(rest))
    if scheme == "memory":
        return _memory(rest)
    if scheme not in REMOTE_SCHEMES:
        raise InvalidInput("no store of this kind", expected=_FORMS, found=f"{scheme}://")
    return _remote(scheme, rest)


def same_place(one: str, other: str) -> bool:
    """Whether two URLs or paths are of one place; what does not parse is its own.

    >>> same_place("s3://b/lake/", "s3a://b/lake"), same_place("./lake", "lake")
    (True, True)
    """
    try:
        first, second = parse_url(one), parse_url(other)
    except InvalidInput:
        return one == other
    if first.scheme == second.scheme == "file":
        return os.path.realpath(first.path) == os.path.realpath(second.path)
    return first.scheme != "memory" and first == second


def _file_path(rest: str) -> str:
    host, slash, path = rest.partition("/")
    if host.lower() not in {"", "localhost"} or not slash:
        raise InvalidInput(
            "a file URL names a file of this machine",
            expected="file:///directory",
            found=f"file://{host}/…",
            hint="Write three slashes: file:///home/me/lake.",
        )
    if "?" in path or "#" in path:
        raise InvalidInput(
            "a file URL has a path only",
            expected="%3F for '?', %23 for '#'",
            found=f"file://{rest}",
        )
    return _check_file("/" + unquote(path, errors="surrogateescape"))


def _check_file(path: str) -> str:
    if not path.strip():
        raise InvalidInput("no place for the store", expected=_FORMS, found="an empty text")
    if "\x00" in path:
        raise InvalidInput("not a directory's path", expected="no NUL character", found=ascii(path))
    return path


def check_root(path: str) -> None:
    """Refuse a root that Delta readers would look for elsewhere: they decode ``%41`` to ``A``."""
    found = _ESCAPE.search(path)
    if found is not None:
        raise InvalidInput(
            "Delta readers cannot open tables under this path",
            expected="no '%' before two hexadecimal digits",
            found=found.group(),
            where=path,
            hint="Choose a place without percent escapes in its name.",
        )


def _memory(rest: str) -> Location:
    if rest:
        raise InvalidInput(
            "a store in memory has no name",
            expected="memory://",
            found=f"memory://{rest}",
            hint="Nobody else can open it: every memory:// is a store of its own.",
        )
    return Location("memory")


def _remote(scheme: str, rest: str) -> Location:
    bucket, _, prefix = rest.partition("/")
    if "@" in bucket or "?" in rest or "#" in rest:
        raise InvalidInput(
            "a URL of a store holds no user, password, query or fragment",
            expected=f"{scheme}://bucket/prefix",
            hint="Give keys as options or in the provider's environment variables.",
        )
    if _BUCKET.fullmatch(bucket) is None:
        raise InvalidInput(
            "no bucket in the URL",
            expected=f"{scheme}://bucket/prefix, letters, digits, '.', '-' and '_'",
            found=f"{scheme}://{bucket}",
        )
    prefix = prefix.strip("/")
    check_root(prefix)
    return Location(scheme, bucket, check_path(prefix) if prefix else "")
