"""Writes what signing leaves in lakes and in people's hands, of format 1, from fixed keys.

Every later release reads and verifies these. Run it after a deliberate change of a format,
which is a new format number and new files; never to make a test pass:

    python -m tests.golden.generate_proofs_v1
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from lakecore.tlog import (
    AddCheckpoint,
    Checkpoint,
    Cosigner,
    LogProof,
    Signer,
    Tile,
    TileTree,
    consistency_path,
    inclusion_path,
    levels,
    node_source,
    sign_note,
    subtree_root,
)

GOLDEN = Path(__file__).with_name("proofs_v1.json")
ORIGIN = "lakecore/0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c2d"
SEED = bytes(range(32))
SIZE, OLD_SIZE, INDEX = 70_000, 1_000, 777

SIGNER = Signer(ORIGIN, SEED)
WITNESS = Cosigner("witness.example/w1", bytes(range(32, 64)))


def entry(number: int) -> bytes:
    """The entry at an index."""
    return f'{{"entity_id":"{number}"}}'.encode()


def document() -> dict[str, object]:
    """Texts as they are, bytes of tiles as their SHA-256."""
    data = b"".join(hashlib.sha256(b"\x00" + entry(n)).digest() for n in range(SIZE))
    leaves = np.frombuffer(data, np.uint8).reshape(-1, 32)
    node = node_source(levels(leaves))
    checkpoint = Checkpoint(ORIGIN, SIZE, subtree_root(node, 0, SIZE))
    note = sign_note(checkpoint.text, [SIGNER])
    cosigned = note.with_signatures([WITNESS.sign(note.text, 1_769_860_800)])
    path = tuple(inclusion_path(node, INDEX, SIZE))
    request = AddCheckpoint(OLD_SIZE, tuple(consistency_path(node, OLD_SIZE, SIZE)), note)
    tree = TileTree.empty()
    tree.append(leaves)
    tiles: list[tuple[Tile, bytes]] = [*tree.take_full(), *tree.partial()]
    return {
        "vkey": SIGNER.vkey,
        "witness_vkey": WITNESS.vkey,
        "checkpoint": cosigned.to_bytes().decode(),
        "proof": LogProof(INDEX, path, cosigned).to_bytes().decode(),
        "request": request.to_bytes().decode(),
        "tiles": {tile.path: hashlib.sha256(content).hexdigest() for tile, content in tiles},
    }


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(document(), ensure_ascii=False, indent=1) + "\n")
