"""Search: indexes over datasets, and what is near a text in them.

An index is over columns of a dataset (or over the journal itself): of texts, of vectors that a
model makes of texts, of vectors that the dataset has, or of texts and vectors both. It covers
one version of its dataset, and an answer says which one, and how many rows changed since.

    create, refresh --> source: rows, or what changed --> segments, graphs, text index
                                                                  | files, create-only
    search --> where: keys --+                                    v
               text ---------+--> vectors near it, words in it <-- generation <-- registry
                             +--> ranks fused --> rows, excerpts

The registry is documents of the lake, journaled; files are derived, found whole by their hash,
and made again from the dataset when they are lost. What builds and embeds comes through small
ports, and `app` joins them.

=================  =====================================================================
`_indexes`         the face
`_index`           an index as its document has it (pure); `_registry`: the documents
`_ports`           what is needed of models, full text, datasets
`_builder`         builds, here or in the background; the commit point; what is removed
`_build`           one build: all rows, or what changed (`_merge`), and its recall (`_recall`)
`_segment`         rows indexed together; `_vectors`: which are near (pure); `_graph`: probably
`_opened`          a generation, open; `_files`: on the store and on this machine
`_ask`, `_fuse`    one search; two rankings made one (pure)
`_answer`          what it finds
=================  =====================================================================

>>> from lakecore.search._fuse import fuse
>>> [key for key, score in fuse([["N101", "N102"], ["N102", "N103"]])]
['N102', 'N101', 'N103']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports
from lakecore.search._index import KINDS, METRICS, PARAMETERS, Generation, Index
from lakecore.search._ports import (
    KEY,
    Changed,
    Embedder,
    Embedders,
    Snapshot,
    Source,
    Sources,
    TextIndex,
    TextIndexes,
)

if TYPE_CHECKING:
    from lakecore.search._answer import SearchResult
    from lakecore.search._ask import MAX_LIMIT, Question
    from lakecore.search._indexes import Indexes, SearchSettings

_HOME = {
    "MAX_LIMIT": "_ask",
    "Question": "_ask",
    "Indexes": "_indexes",
    "SearchResult": "_answer",
    "SearchSettings": "_indexes",
}

__all__ = [
    "KEY",
    "KINDS",
    "MAX_LIMIT",
    "METRICS",
    "PARAMETERS",
    "Changed",
    "Embedder",
    "Embedders",
    "Generation",
    "Index",
    "Indexes",
    "Question",
    "SearchResult",
    "SearchSettings",
    "Snapshot",
    "Source",
    "Sources",
    "TextIndex",
    "TextIndexes",
]


# Arrow and NumPy are imported by who searches, not by who mentions an index.
__getattr__ = lazy_exports(__name__, _HOME)
