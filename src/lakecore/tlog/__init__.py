"""A transparency log's arithmetic and formats: RFC 9162 trees and what C2SP builds on them.

Nothing here knows what an entry means or where anything lies: bytes and arrays go in,
bytes and decisions come out. The journal brings its leaves and keeps the objects.

==============  ========================================================================
`_digest`       SHA-256 of many rows at once
`_merkle`       trees: roots, a tree that only grows, proofs of inclusion and consistency
`_tiles`        the tree in tiles: which there are, their paths, nodes and entry bundles
`_growth`       a growing tree that leaves tiles behind
`_keys`         Ed25519 signers, cosigners and verifier keys
`_note`         signed notes
`_checkpoint`   the head of a log, as it is signed
`_proof`        offline proofs: a path and a checkpoint in one text
`_witness`      what a log and a witness say to each other
`_client`       checks of a log through its tiles, believing a checkpoint alone
`_text`         decimals, base64 and names in these formats
==============  ========================================================================

>>> import numpy as np
>>> from lakecore.tlog import Checkpoint, Frontier, SignedNote, Signer, sign_note
>>> tree = Frontier.empty()
>>> tree.append(np.zeros((3, 32), np.uint8))
>>> tree.size, len(tree.edge)
(3, 2)
>>> signer = Signer("example.com/log", bytes(32))
>>> note = sign_note(Checkpoint(signer.name, tree.size, tree.root()).text, [signer])
>>> received = SignedNote.parse(note.to_bytes())
>>> [signature.name for signature in received.verify([signer.key])]
['example.com/log']
>>> Checkpoint.of(received).size
3
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports

if TYPE_CHECKING:
    from lakecore.tlog._checkpoint import Checkpoint
    from lakecore.tlog._client import (
        Fetch,
        check_consistency,
        check_inclusion,
        fetch_entry,
        fetched_tiles,
    )
    from lakecore.tlog._digest import HASH_BYTES, Hashes, sha256_rows
    from lakecore.tlog._growth import TileTree
    from lakecore.tlog._keys import (
        COSIGNATURE_V1,
        ED25519,
        Cosigner,
        NoteSignature,
        Signer,
        VerifierKey,
    )
    from lakecore.tlog._merkle import (
        EMPTY_ROOT,
        Frontier,
        NodeSource,
        consistency_path,
        inclusion_path,
        levels,
        node_hash,
        node_source,
        parents,
        subtree_root,
        verify_consistency,
        verify_inclusion,
    )
    from lakecore.tlog._note import (
        MAX_NOTE_BYTES,
        MAX_SIGNATURES,
        SignedNote,
        parse_signatures,
        sign_note,
    )
    from lakecore.tlog._proof import PROOF_HEADER, LogProof
    from lakecore.tlog._tiles import (
        TILE_WIDTH,
        Tile,
        TileLoader,
        checked_tile,
        decode_bundle,
        encode_bundle,
        parse_tile_path,
        tile_nodes,
        tile_of,
        tiles_of,
    )
    from lakecore.tlog._witness import (
        MAX_ANSWER_BYTES,
        AddCheckpoint,
        KnownSize,
        next_old_size,
        read_answer,
    )

_HOME = {
    "AddCheckpoint": "_witness",
    "COSIGNATURE_V1": "_keys",
    "Checkpoint": "_checkpoint",
    "Cosigner": "_keys",
    "ED25519": "_keys",
    "EMPTY_ROOT": "_merkle",
    "Fetch": "_client",
    "Frontier": "_merkle",
    "HASH_BYTES": "_digest",
    "Hashes": "_digest",
    "KnownSize": "_witness",
    "LogProof": "_proof",
    "MAX_ANSWER_BYTES": "_witness",
    "MAX_NOTE_BYTES": "_note",
    "MAX_SIGNATURES": "_note",
    "NodeSource": "_merkle",
    "NoteSignature": "_keys",
    "PROOF_HEADER": "_proof",
    "SignedNote": "_note",
    "Signer": "_keys",
    "TILE_WIDTH": "_tiles",
    "Tile": "_tiles",
    "TileLoader": "_tiles",
    "TileTree": "_growth",
    "VerifierKey": "_keys",
    "check_consistency": "_client",
    "check_inclusion": "_client",
    "checked_tile": "_tiles",
    "consistency_path": "_merkle",
    "decode_bundle": "_tiles",
    "encode_bundle": "_tiles",
    "fetch_entry": "_client",
    "fetched_tiles": "_client",
    "inclusion_path": "_merkle",
    "levels": "_merkle",
    "next_old_size": "_witness",
    "node_hash": "_merkle",
    "node_source": "_merkle",
    "parents": "_merkle",
    "parse_signatures": "_note",
    "parse_tile_path": "_tiles",
    "read_answer": "_witness",
    "sha256_rows": "_digest",
    "sign_note": "_note",
    "subtree_root": "_merkle",
    "tile_nodes": "_tiles",
    "tile_of": "_tiles",
    "tiles_of": "_tiles",
    "verify_consistency": "_merkle",
    "verify_inclusion": "_merkle",
}

__all__ = [
    "COSIGNATURE_V1",
    "ED25519",
    "EMPTY_ROOT",
    "HASH_BYTES",
    "MAX_ANSWER_BYTES",
    "MAX_NOTE_BYTES",
    "MAX_SIGNATURES",
    "PROOF_HEADER",
    "TILE_WIDTH",
    "AddCheckpoint",
    "Checkpoint",
    "Cosigner",
    "Fetch",
    "Frontier",
    "Hashes",
    "KnownSize",
    "LogProof",
    "NodeSource",
    "NoteSignature",
    "SignedNote",
    "Signer",
    "Tile",
    "TileLoader",
    "TileTree",
    "VerifierKey",
    "check_consistency",
    "check_inclusion",
    "checked_tile",
    "consistency_path",
    "decode_bundle",
    "encode_bundle",
    "fetch_entry",
    "fetched_tiles",
    "inclusion_path",
    "levels",
    "next_old_size",
    "node_hash",
    "node_source",
    "parents",
    "parse_signatures",
    "parse_tile_path",
    "read_answer",
    "sha256_rows",
    "sign_note",
    "subtree_root",
    "tile_nodes",
    "tile_of",
    "tiles_of",
    "verify_consistency",
    "verify_inclusion",
]

# Arrow and NumPy are imported by who computes, not by who mentions the log.
__getattr__ = lazy_exports(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
