"""Checkpoints as they are stored: ``journal/checkpoints/<size, 20 digits>``, a signed note.

Beside each, ``<size>.witness/<key id>`` has one witness's cosignature line. Both are
created, never changed.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from lakecore.base import AlreadyExists, CorruptData, InvalidInput, NotFound
from lakecore.tlog import MAX_SIGNATURES, Checkpoint, SignedNote, parse_signatures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lakecore.storage import Store
    from lakecore.tlog import NoteSignature, VerifierKey

FOLDER: Final = "journal/checkpoints/"
_NAME: Final = re.compile(re.escape(FOLDER) + r"(\d{20})")


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint and the note that it is in."""

    note: SignedNote
    checkpoint: Checkpoint

    @property
    def size(self) -> int:
        """How many entries it covers."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """The root of its tree."""
        return self.checkpoint.root

    @classmethod
    def parse(cls, data: bytes, where: str) -> SignedCheckpoint:
        """The checkpoint in stored bytes; `CorruptData` when there is none."""
        try:
            note = SignedNote.parse(data)
            return cls(note, Checkpoint.of(note))
        except InvalidInput as error:
            raise CorruptData(
                "a checkpoint does not read", expected=error.expected, found=error, where=where
            ) from error

    def verify(self, keys: Iterable[VerifierKey], where: str) -> None:
        """`CorruptData` unless one of these keys signed it."""
        try:
            self.note.verify(keys)
        except CorruptData as error:
            raise CorruptData(
                f"a checkpoint is not signed as it should be: {error.message}",
                expected=error.expected,
                found=error.found,
                where=where,
            ) from error


class Checkpoints:
    """The stored checkpoints of one log."""

    def __init__(self, store: Store, origin: str) -> None:
        self._store = store
        self._origin = origin
        self._latest: int | None = None

    def latest_size(self) -> int | None:
        """The size of the largest one; None when there is none."""
        after = None if self._latest is None else checkpoint_path(self._latest)
        for info in self._store.list_objects(FOLDER, after=after):
            if match := _NAME.fullmatch(info.path):
                self._latest = int(match[1])
        return self._latest

    def read(self, size: int) -> SignedCheckpoint:
        """The checkpoint of a size, with its signatures unchecked.

        Raises:
            NotFound: there is none.
            CorruptData: it does not read, or is of another log or size.
        """
        path = checkpoint_path(size)
        try:
            data = self._store.get(path)
        except NotFound:
            raise NotFound(
                "there is no checkpoint of this size",
                where=path,
                hint="`journal checkpoint` signs one of the present size",
            ) from None
        found = SignedCheckpoint.parse(data, path)
        if (found.checkpoint.origin, found.size) != (self._origin, size):
            raise CorruptData(
                "a checkpoint is not what its name says",
                expected=f"{self._origin}, size {size}",
                found=f"{found.checkpoint.origin[:200]}, size {found.size}",
                where=path,
            )
        return found

    def create(self, made: SignedCheckpoint) -> bool:
        """Store a checkpoint; False when one of its size is there."""
        try:
            self._store.create(checkpoint_path(made.size), made.note.to_bytes())
        except AlreadyExists:
            return False
        return True

    def cosigned(self, found: SignedCheckpoint) -> SignedNote:
        """The checkpoint's note with the cosignatures that are stored beside it."""
        more: list[NoteSignature] = []
        room = MAX_SIGNATURES - len(found.note.signatures)
        for info in islice(self._store.list_objects(_witness_folder(found.size)), room):
            # One that does not read keeps nobody from the others.
            with suppress(InvalidInput, UnicodeDecodeError, NotFound):
                more += parse_signatures(self._store.get(info.path).decode())[:1]
        return found.note.with_signatures(more)

    def add_cosignature(self, size: int, signature: NoteSignature) -> None:
        """Store a witness's cosignature, unless there is one by the same key."""
        path = f"{_witness_folder(size)}{signature.key_id.hex()}"
        with suppress(AlreadyExists):
            self._store.create(path, signature.line.encode())


def checkpoint_path(size: int) -> str:
    """Where the checkpoint of a size is."""
    return f"{FOLDER}{size:020d}"


def _witness_folder(size: int) -> str:
    return f"{checkpoint_path(size)}.witness/"
