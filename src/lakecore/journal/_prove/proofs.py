"""Proofs that stand without the lake: of one entry, and from one checkpoint to another.

Every proof is checked before it is given away: a wrong tile or event makes no wrong proof.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lakecore.base import CorruptData, InvalidInput
from lakecore.journal._prove.checkpoints import Checkpoints, SignedCheckpoint
from lakecore.journal._prove.leaves import Lines
from lakecore.journal._prove.tiles import StoredTiles
from lakecore.tlog import (
    Checkpoint,
    LogProof,
    SignedNote,
    consistency_path,
    inclusion_path,
    tile_nodes,
    verify_consistency,
    verify_inclusion,
)

_LEAF_PREFIX = b"\x00"


@dataclass(frozen=True, slots=True)
class EntryProof:
    """That an event is in the signed journal.

    Attributes:
        entry: the canonical event; its leaf hash is SHA-256(0x00 ‖ entry).
        proof: the text of it goes into a ``.tlog-proof`` file, the entry beside it.
    """

    seq: int
    entry: bytes
    proof: LogProof

    @property
    def leaf_hash(self) -> bytes:
        """SHA-256(0x00 ‖ entry)."""
        return hashlib.sha256(_LEAF_PREFIX + self.entry).digest()

    def to_bytes(self) -> bytes:
        """The proof as c2sp.org/tlog-proof@v1 has it."""
        return self.proof.to_bytes()

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON-ready objects; hashes in hex but in the texts."""
        checkpoint = self.proof.checkpoint
        return {
            "seq": self.seq,
            "entry": self.entry.decode(),
            "leaf_hash": self.leaf_hash.hex(),
            "path": [node.hex() for node in self.proof.path],
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "proof": self.to_bytes().decode(),
        }


@dataclass(frozen=True, slots=True)
class GrowthProof:
    """That the journal of one checkpoint is the beginning of that of another (RFC 9162, 2.1.4)."""

    old: SignedNote
    new: SignedNote
    path: tuple[bytes, ...]

    def holds(self) -> bool:
        """Whether the path leads from root to root; the signatures are the notes' to show."""
        old, new = Checkpoint.of(self.old), Checkpoint.of(self.new)
        return verify_consistency(old.size, new.size, self.path, old.root, new.root)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON-ready objects; hashes in hex but in the notes."""
        old, new = Checkpoint.of(self.old), Checkpoint.of(self.new)
        return {
            "origin": new.origin,
            "old_size": old.size,
            "size": new.size,
            "old_root": old.root.hex(),
            "root": new.root.hex(),
            "path": [node.hex() for node in self.path],
            "old": self.old.to_bytes().decode(),
            "new": self.new.to_bytes().decode(),
        }


def entry_proof(
    head: SignedCheckpoint, checkpoints: Checkpoints, tiles: StoredTiles, lines: Lines, seq: int
) -> EntryProof:
    """The proof for the event at `seq`, in the tree of a checkpoint.

    Raises:
        InvalidInput: the checkpoint does not cover it.
        CorruptData: tiles or events do not give the checkpoint's root.
        NotFound: a tile is not there.
    """
    if not 0 <= seq < head.size:
        raise InvalidInput(
            "the checkpoint does not cover this event",
            expected=f"a seq of 0 to {head.size - 1}",
            found=seq,
        )
    path = tuple(inclusion_path(tile_nodes(tiles.load, head.size), seq, head.size))
    (entry,) = lines(seq, seq + 1)
    made = EntryProof(seq, entry, LogProof(seq, path, checkpoints.cosigned(head)))
    if not verify_inclusion(made.leaf_hash, seq, head.size, path, head.root):
        raise _wrong(head, f"the proof of event {seq}")
    return made


def growth_proof(
    old: SignedCheckpoint, new: SignedCheckpoint, checkpoints: Checkpoints, tiles: StoredTiles
) -> GrowthProof:
    """The proof from one checkpoint to another; raises as `entry_proof`."""
    path = growth_path(tiles, old.size, new.size)
    made = GrowthProof(checkpoints.cosigned(old), checkpoints.cosigned(new), tuple(path))
    if not made.holds():
        raise _wrong(new, f"the proof from checkpoint {old.size}")
    return made


def growth_path(tiles: StoredTiles, old_size: int, size: int) -> Sequence[bytes]:
    """The hashes of a consistency proof, unchecked."""
    return consistency_path(tile_nodes(tiles.load, size), old_size, size)


def _wrong(head: SignedCheckpoint, what: str) -> CorruptData:
    return CorruptData(
        f"{what} does not lead to the signed root",
        expected=head.root.hex(),
        where=f"checkpoint {head.size}",
        hint="`verify` tells whether events were changed; if not, the tiles are damaged: "
        "`journal repair` writes them anew",
    )
