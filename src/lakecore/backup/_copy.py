"""Bytes from one store to another: streamed, hashed on the way, several objects at a time."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from lakecore.base import AlreadyExists, CorruptData
from lakecore.base.limits import MIB
from lakecore.storage import Store

WORKERS: Final = 4
PIECE_BYTES: Final = 8 * MIB
"""What one worker holds at a time."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def pieces(store: Store, path: str, size_bytes: int) -> Iterator[bytes]:
    """An object from its beginning to its end, a piece at a time."""
    if size_bytes <= PIECE_BYTES:
        yield store.get(path)
        return
    with store.open(path) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def sha256_of(store: Store, path: str, size_bytes: int) -> tuple[str, int]:
    """An object's SHA-256 in hex, and the number of bytes that it has."""
    digest = hashlib.sha256()
    found = 0
    for piece in pieces(store, path, size_bytes):
        digest.update(piece)
        found += len(piece)
    return digest.hexdigest(), found


def copy_checked(
    source: Store, place: str, target: Store, path: str, size_bytes: int, sha256: str
) -> None:
    """Create an object with these very bytes; it is there whole or not at all.

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
            for piece in pieces(source, place, size_bytes):
                digest.update(piece)
                sink.write(piece)
            # Inside the block: an upload that raises leaves nothing.
            _check(digest.hexdigest(), sha256, place, path)
    except AlreadyExists:
        # A try of ours before this one, or somebody else's: what counts is what is there.
        if sha256_of(target, path, size_bytes)[0] != sha256:
            raise


def _check(found: str, expected: str, place: str, path: str) -> None:
    if found != expected:
        raise CorruptData(
            f"the bytes of {path} are not what was written",
            expected=f"sha256 {expected}",
            found=f"sha256 {found}",
            where=place,
        )


def side_by_side(
    work: Callable[[_Item], _Result], items: Iterable[_Item], *, workers: int = WORKERS
) -> Iterator[_Result]:
    """`work` on each item by several threads; results in order, few of them waiting."""
    with ThreadPoolExecutor(workers, "lakecore-copy") as pool:
        waiting: deque[Future[_Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
