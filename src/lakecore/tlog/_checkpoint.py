"""Checkpoints (c2sp.org/tlog-checkpoint): what a log signs of its tree.

<origin>
<size>
<base64(root)>
[extension lines]
"""

from __future__ import annotations

from dataclasses import dataclass

from lakecore.base import InvalidInput
from lakecore.tlog._note import SignedNote
from lakecore.tlog._text import MAX_SIZE, decimal, decode_hash, encode_base64


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: `root` is the hash of the tree with the first `size` entries."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text of the note.

        Raises:
            InvalidInput: a part cannot be in a checkpoint.
        """
        if not 0 <= self.size <= MAX_SIZE or len(self.root) != 32:
            raise InvalidInput(
                "not the head of a tree",
                expected="a size below 2^63 and a root of 32 bytes",
                found=f"size {self.size}, {len(self.root)} bytes",
            )
        lines = [self.origin, str(self.size), encode_base64(self.root), *self.extensions]
        if any(not line or "\n" in line for line in lines):
            raise InvalidInput("a checkpoint's line is empty or has an end within")
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The checkpoint that a note's text is.

        Raises:
            InvalidInput: it is none.
        """
        lines = text.split("\n")
        if lines.pop() or len(lines) < 3 or not all(lines):
            raise InvalidInput(
                "not a checkpoint", expected="origin, size and root, one a line, none empty"
            )
        origin, size, root, *extensions = lines
        root_hash = decode_hash(root, "a checkpoint's root")
        return cls(origin, decimal(size, "a tree size"), root_hash, tuple(extensions))

    @classmethod
    def of(cls, note: SignedNote) -> Checkpoint:
        """The checkpoint in a note; whether it is signed is the note's to say."""
        return cls.parse(note.text)
