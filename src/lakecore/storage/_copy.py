"""One object from a store to another: streamed, hashed on the way, there whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lakecore.base import AlreadyExists, CorruptData
from lakecore.base.limits import MIB

if TYPE_CHECKING:
    from lakecore.storage._port import Store

PIECE_BYTES: Final = 8 * MIB
"""What is in memory at a time."""


def sha256_of(store: Store, path: str, size_bytes: int) -> tuple[str, int]:
    """An object's SHA-256 in hex, and the number of bytes that it has."""
    digest = hashlib.sha256()
    found = 0
    for piece in _pieces(store, path, size_bytes):
        digest.update(piece)
        found += len(piece)
    return digest.hexdigest(), found


def copy_object(
    source: Store, place: str, target: Store, path: str, size_bytes: int, sha256: str
) -> None:
    """Create an object with these very bytes, unless it is there with them already.

    Raises:
        AlreadyExists: there is an object, with other bytes.
        CorruptData: the source does not have these bytes.
    """
    try:
        if size_bytes <= PIECE_BYTES:
            data = source.get(place)
            _check(hashlib.sha256(data).hexdigest(), sha256, place, path)
            target.create(path, data)
            return
        digest = hashlib.sha256()
        with target.upload(path) as sink:
            for piece in _pieces(source, place, size_bytes):
                digest.update(piece)
                sink.write(piece)
            # Inside the block: an upload that raises leaves nothing.
            _check(digest.hexdigest(), sha256, place, path)
    except AlreadyExists:
        # A try of ours before this one, or somebody else's: what counts is what is there.
        if sha256_of(target, path, size_bytes)[0] != sha256:
            raise


def mirror_object(
    source: Store, place: str, target: Store, path: str, size_bytes: int, *, replace: bool = False
) -> str:
    """Have `target` hold at `path` the bytes that `source` has at `place`; their SHA-256 in hex.

    Args:
        replace: other bytes at `path` give way, at once or not at all; for an object that is in
            memory as a whole.

    Raises:
        AlreadyExists: there is an object, with other bytes.
        CorruptData: the source has not `size_bytes` bytes, or they change while they are read.
    """
    if size_bytes <= PIECE_BYTES or replace:
        data = source.get(place)
        sha256 = hashlib.sha256(data).hexdigest()
        _check_size(len(data), size_bytes, place)
        if replace:
            target.put(path, data)
            return sha256
        try:
            target.create(path, data)
        except AlreadyExists:
            if target.get(path) != data:
                raise
        return sha256
    # Twice through large objects: what is written is held against what was read before.
    sha256, found = sha256_of(source, place, size_bytes)
    _check_size(found, size_bytes, place)
    copy_object(source, place, target, path, size_bytes, sha256)
    return sha256


def _check_size(found: int, expected: int, place: str) -> None:
    if found != expected:
        raise CorruptData(
            "an object is not as it was listed",
            expected=f"{expected:,} bytes",
            found=f"{found:,} bytes",
            where=place,
        )


def _pieces(store: Store, path: str, size_bytes: int) -> Iterator[bytes]:
    if size_bytes <= PIECE_BYTES:
        yield store.get(path)
        return
    with store.open(path) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _check(found: str, expected: str, place: str, path: str) -> None:
    if found != expected:
        raise CorruptData(
            f"the bytes of {path} are not what was written",
            expected=f"sha256 {expected}",
            found=f"sha256 {found}",
            where=place,
        )
