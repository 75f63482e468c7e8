"""The object-store port: what every adapter promises and every consumer relies on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One stored object: `path` relative to the store's root, `size_bytes`, `modified_us`."""

    path: str
    size_bytes: int
    modified_us: int


class Store(Protocol):
    """Objects under a URL, addressed by relative ``/``-separated paths.

    Durability: when `create`, `put` or an upload's context returns, the object
    survives a power cut. Consistency: a reader sees an object whole or not at
    all, and a listing that starts after a write shows it. Concurrency: of any
    number of `create` calls for one path, in any number of processes, exactly
    one succeeds. Threads may share a store. Retry: adapters retry transport
    faults within a bound; a `create` whose own first try was stored may then
    raise `AlreadyExists`, so a caller who must know reads the object and compares.

    Raises, everywhere: `NotFound`, `AlreadyExists`, `ReadOnly`, `OutOfSpace`,
    `Unavailable` (transport, after retries), `InvalidInput` (a bad path).
    """

    url: str
    """Where the store is, without secrets."""

    def create(self, path: str, data: bytes) -> None:
        """Store `data` at `path` if nothing is there; else `AlreadyExists`."""
        ...

    def put(self, path: str, data: bytes) -> None:
        """Store `data` at `path`, replacing. For derived objects only."""
        ...

    def upload(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A file to write to; create-only and durable when the ``with`` block ends normally.

        A block that raises leaves nothing. On remote stores the last step of a
        large upload may replace: give such objects names of their own (a UUID).
        """
        ...

    def get(self, path: str) -> bytes: ...

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer where the object ends.

        A negative `start` counts from the end; before the beginning it means the beginning.
        """
        ...

    def head(self, path: str) -> ObjectInfo:
        """Size and time of one object; `NotFound` when it is not there."""
        ...

    def exists(self, path: str) -> bool: ...

    def open(self, path: str) -> BinaryIO:
        """A seekable reader, for Parquet and Arrow."""
        ...

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ObjectInfo]:
        """Every object whose path starts with the folder `prefix`, at any depth, sorted by path.

        `prefix` ends in ``/`` or is empty; `after` skips paths up to and including it.
        Unfinished uploads are never listed.
        """
        ...

    def list_folders(self, prefix: str) -> list[str]:
        """The names directly under `prefix` that are folders, sorted."""
        ...

    def delete(self, path: str) -> None:
        """Remove the object; nothing happens when it is not there."""
        ...

    def sweep(self) -> int:
        """Remove what uploads of dead processes left a day ago or earlier; how many files went."""
        ...

    def local_path(self, path: str) -> Path | None:
        """Where the object lies on this machine's disk, or None for a remote store."""
        ...

    def table_uri(self, path: str) -> str:
        """The location of a folder as Delta readers take it."""
        ...

    def table_options(self, path: str = "") -> dict[str, str]:
        """What Delta readers of a folder need beside its `table_uri`.

        May hold secrets, so it is never logged.
        """
        ...

    def close(self) -> None: ...
