"""A backup's manifest: ``backups/<number>.json``, and whose backups a place holds.

The manifest is JSON with one line per object, ``[path, size, sha256, modified_us]``, in order
of the path. Its last member, ``checksum``, is the SHA-256 of the file in which these 64 digits
are zeros: a manifest that lost a line is not a smaller backup.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lakecore.base import AlreadyExists, CorruptData, InvalidInput, NotFound, UnsupportedFormat
from lakecore.storage import Store

FORMAT: Final = 1
IDENTITY: Final = "lakecore-backup.json"
FOLDER: Final = "backups/"
OBJECTS: Final = "objects/"
MAX_OBJECTS: Final = 4_000_000
"""Of one backup: a manifest is read whole."""

_NAME: Final = re.compile(re.escape(FOLDER) + r"(\d{20})\.json")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_ZEROS: Final = b"0" * 64
_CHECKSUM: Final = re.compile(rb'"checksum": "([0-9a-f]{64})"\s*}\s*\Z')


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of the lake as it is in a backup; `modified_us` is the lake's."""

    path: str
    size_bytes: int
    sha256: str
    modified_us: int

    @property
    def place(self) -> str:
        """Where its bytes are in the backup's store."""
        return place_of(self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One finished backup.

    Attributes:
        number: counts from 0, in the order in which backups were finished.
        at: when it was made, RFC 3339.
        tree_size, root: the journal in it, root in hex.
        checkpoint: the newest signed note about it, if there is one.
        warnings: what of the lake is in it only as damaged as it was, and why.
        entries: its objects, by path.
    """

    number: int
    at: str
    lake_id: str
    origin: str
    tree_size: int
    root: str
    checkpoint: str | None = None
    warnings: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = field(default=(), repr=False)

    @property
    def path(self) -> str:
        return manifest_path(self.number)

    @property
    def size_bytes(self) -> int:
        """Of all objects in it, shared with other backups or not."""
        return sum(entry.size_bytes for entry in self.entries)

    def to_dict(self) -> dict[str, Any]:
        """What it is, without the list of objects; JSON-ready."""
        return {
            "number": self.number,
            "at": self.at,
            "lake_id": self.lake_id,
            "origin": self.origin,
            "tree_size": self.tree_size,
            "root": self.root,
            "objects": len(self.entries),
            "size_bytes": self.size_bytes,
            "warnings": list(self.warnings),
        }

    def encode(self) -> bytes:
        """The bytes of the manifest."""
        head = {
            "format": FORMAT,
            "number": self.number,
            "at": self.at,
            "lake_id": self.lake_id,
            "origin": self.origin,
            "tree_size": self.tree_size,
            "root": self.root,
            "checkpoint": self.checkpoint,
            "warnings": list(self.warnings),
        }
        members = "".join(
            f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)},\n"
            for name, value in head.items()
        )
        lines = ",\n".join(
            json.dumps(
                [entry.path, entry.size_bytes, entry.sha256, entry.modified_us],
                ensure_ascii=False,
            )
            for entry in self.entries
        )
        tail = f'"objects": [\n{lines}\n],\n"checksum": "'
        before = f"{{{members}{tail}".encode()
        after = b'"}\n'
        return before + _digest(before, after).encode() + after


def manifest_path(number: int) -> str:
    return f"{FOLDER}{number:020d}.json"


def place_of(sha256: str) -> str:
    return f"{OBJECTS}{sha256[:2]}/{sha256}"


def numbers(store: Store) -> list[int]:
    """The numbers of the finished backups."""
    names = (_NAME.fullmatch(info.path) for info in store.list_objects(FOLDER))
    return [int(match[1]) for match in names if match]


def list_backups(store: Store) -> Iterator[Manifest]:
    """The finished backups, oldest first."""
    for number in numbers(store):
        yield read_manifest(store, number)


def read_manifest(store: Store, number: int | None = None) -> Manifest:
    """One backup's manifest, by default the newest one's.

    Raises:
        NotFound: there is no such backup, or none at all.
        CorruptData: the manifest is damaged.
        UnsupportedFormat: it was written by a newer Lakecore.
    """
    if number is None:
        there = numbers(store)
        if not there:
            raise NotFound("there is no finished backup here", where=store.url)
        number = there[-1]
    path = manifest_path(number)
    try:
        data = store.get(path)
    except NotFound:
        known = ", ".join(map(str, numbers(store)[-20:]))
        raise NotFound(
            "there is no such backup", expected=known or None, found=number, where=store.url
        ) from None
    return _decoded(data, number, path)


def _decoded(data: bytes, number: int, path: str) -> Manifest:
    try:
        content = json.loads(data)
        format_ = content["format"]
        if type(format_) is int and format_ > FORMAT:
            raise UnsupportedFormat(
                "a backup of a newer Lakecore", expected=FORMAT, found=format_, where=path
            )
        match = _CHECKSUM.search(data)
        if match is None:
            raise ValueError("no checksum")
        found = _digest(data[: match.start(1)], data[match.end(1) :])
        if match[1].decode() != found:
            raise CorruptData(
                "a manifest is not what was written",
                expected=match[1].decode(),
                found=found,
                where=path,
            )
        manifest = Manifest(
            number=int(content["number"]),
            at=str(content["at"]),
            lake_id=str(content["lake_id"]),
            origin=str(content["origin"]),
            tree_size=int(content["tree_size"]),
            root=str(content["root"]),
            checkpoint=content["checkpoint"],
            warnings=tuple(content["warnings"]),
            entries=tuple(_entry(item) for item in content["objects"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptData("a manifest does not decode", found=repr(error), where=path) from error
    if manifest.number != number:
        raise CorruptData(
            "a manifest lies under another's name",
            expected=number,
            found=manifest.number,
            where=path,
        )
    return manifest


def _entry(item: list[Any]) -> Entry:
    path, size_bytes, sha256, modified_us = item[:4]
    if not isinstance(path, str) or not _SHA256.fullmatch(sha256):
        raise ValueError(f"not an object: {item!r:.100}")
    return Entry(path, int(size_bytes), sha256, int(modified_us))


def _digest(before: bytes, after: bytes) -> str:
    digest = hashlib.sha256(before)
    digest.update(_ZEROS)
    digest.update(after)
    return digest.hexdigest()


def claim(store: Store, lake: Mapping[str, Any], at: str) -> None:
    """Make a place the place of one lake's backups, or find that it is.

    Raises:
        InvalidInput: it holds the backups of another lake.
    """
    content = {"format": FORMAT, "lake_id": lake["lake_id"], "origin": lake["origin"], "at": at}
    try:
        store.create(IDENTITY, (json.dumps(content, indent=1) + "\n").encode())
        return
    except AlreadyExists:
        pass
    try:
        found = json.loads(store.get(IDENTITY))
        format_, lake_id = found["format"], found["lake_id"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptData("not readable", found=repr(error), where=IDENTITY) from error
    if format_ != FORMAT:
        raise UnsupportedFormat("a place of a newer Lakecore", found=format_, where=IDENTITY)
    if lake_id != lake["lake_id"]:
        raise InvalidInput(
            "this place holds the backups of another lake",
            expected=f"lake {lake['lake_id']}",
            found=f"lake {lake_id}",
            where=store.url,
            hint="Give each lake a place of its own.",
        )
