"""A transparency log's arithmetic and formats: RFC 9162 trees and what C2SP builds on them.

Nothing here knows what an entry means or where anything lies: bytes and arrays go in,
bytes and decisions come out. The journal brings its leaves and keeps the objects.

============  ==========================================================================
`_digest`     SHA-256 of many rows at once
`_merkle`     trees: roots, a tree that only grows, proofs of inclusion and consistency
============  ==========================================================================

>>> import numpy as np
>>> from lakecore.tlog import Frontier, sha256_rows
>>> tree = Frontier.empty()
>>> tree.root().hex()[:8]
'e3b0c442'
>>> tree.append(np.zeros((3, 32), np.uint8))
>>> tree.size, len(tree.edge)
(3, 2)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports

if TYPE_CHECKING:
    from lakecore.tlog._digest import HASH_BYTES, Hashes, sha256_rows
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

_HOME = {
    "EMPTY_ROOT": "_merkle",
    "Frontier": "_merkle",
    "HASH_BYTES": "_digest",
    "Hashes": "_digest",
    "NodeSource": "_merkle",
    "consistency_path": "_merkle",
    "inclusion_path": "_merkle",
    "levels": "_merkle",
    "node_hash": "_merkle",
    "node_source": "_merkle",
    "parents": "_merkle",
    "sha256_rows": "_digest",
    "subtree_root": "_merkle",
    "verify_consistency": "_merkle",
    "verify_inclusion": "_merkle",
}

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "Frontier",
    "Hashes",
    "NodeSource",
    "consistency_path",
    "inclusion_path",
    "levels",
    "node_hash",
    "node_source",
    "parents",
    "sha256_rows",
    "subtree_root",
    "verify_consistency",
    "verify_inclusion",
]

# Arrow and NumPy are imported by who computes, not by who mentions the log.
__getattr__ = lazy_exports(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
