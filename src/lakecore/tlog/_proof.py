"""Offline proofs (c2sp.org/tlog-proof): one text that shows an entry in a signed log.

c2sp.org/tlog-proof@v1
[extra <base64>]
index <n>
<base64(hash)>, from the leaf's sibling to the root's child

<the checkpoint, a signed note>
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lakecore.base import CorruptData, InvalidInput
from lakecore.tlog._checkpoint import Checkpoint
from lakecore.tlog._keys import VerifierKey
from lakecore.tlog._note import MAX_NOTE_BYTES, SignedNote
from lakecore.tlog._text import (
    MAX_PATH,
    decimal,
    decode_base64,
    decode_hash,
    encode_base64,
    shown,
)

PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES: Final = 2 * MAX_NOTE_BYTES


@dataclass(frozen=True, slots=True)
class LogProof:
    """That entry `index` is in the tree of a checkpoint.

    `path` has the hashes from the leaf's sibling up; `extra` is for the application, and
    nothing vouches for it.
    """

    index: int
    path: tuple[bytes, ...]
    note: SignedNote
    extra: bytes | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint, as far as it can be believed without `verify`."""
        return Checkpoint.of(self.note)

    def to_bytes(self) -> bytes:
        """The text of the proof."""
        lines = [PROOF_HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines += map(encode_base64, self.path)
        return "".join(f"{line}\n" for line in (*lines, "")).encode() + self.note.to_bytes()

    @classmethod
    def parse(cls, data: bytes) -> LogProof:
        """The parts of a proof's text.

        Raises:
            InvalidInput: it is not of that form.
        """
        head, separator, note = data.partition(b"\n\n")
        if len(data) > MAX_PROOF_BYTES or not separator:
            raise InvalidInput("not a proof", expected=f"{PROOF_HEADER}, a path, a checkpoint")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise InvalidInput("a proof's lines are not ASCII") from None
        if lines.pop(0) != PROOF_HEADER:
            raise InvalidInput("not a proof", expected=PROOF_HEADER, found=shown(str(head[:60])))
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "), "extra")
        if not lines or not lines[0].startswith("index "):
            raise InvalidInput("a proof has no index", expected="index <n>")
        index = decimal(lines.pop(0).removeprefix("index "), "an index")
        if len(lines) > MAX_PATH:
            raise InvalidInput("a proof is too long", expected=f"{MAX_PATH} hashes at most")
        path = tuple(decode_hash(line, "a proof's hash") for line in lines)
        signed = SignedNote.parse(note)
        Checkpoint.of(signed)
        return cls(index, path, signed, extra)

    def verify(
        self,
        leaf_hash: bytes,
        origin: str,
        keys: Iterable[VerifierKey],
        *,
        witnesses: Iterable[VerifierKey] = (),
        quorum: int = 0,
    ) -> Checkpoint:
        """The checkpoint, once everything in the proof is found right.

        Args:
            leaf_hash: SHA-256(0x00 ‖ entry), computed from the entry that is to be shown.
            keys: those of the log with that origin.
            witnesses: known ones; at least `quorum` of them must have cosigned.

        Raises:
            CorruptData: a signature, the origin or the path is not right, or too few witnesses
                cosigned.
        """
        from lakecore.tlog._merkle import verify_inclusion

        self.note.verify(keys)
        checkpoint = self.checkpoint
        if checkpoint.origin != origin:
            raise CorruptData(
                "the proof is of another log", expected=origin, found=shown(checkpoint.origin)
            )
        known = tuple(witnesses)
        seen: set[bytes] = set()
        if any(key.made(signature) for key in known for signature in self.note.signatures):
            verified = self.note.verify(known)
            # One witness under two names is one.
            seen = {key.public_key for key in known if any(key.made(s) for s in verified)}
        if len(seen) < quorum:
            raise CorruptData("too few witnesses cosigned", expected=quorum, found=len(seen))
        if not verify_inclusion(leaf_hash, self.index, checkpoint.size, self.path, checkpoint.root):
            raise CorruptData(
                "the entry is not in the signed log",
                expected=f"a path from entry {self.index} to the root of {checkpoint.size}",
                found="a path that leads elsewhere",
            )
        return checkpoint
