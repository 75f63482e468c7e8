"""An embedder before which a cache stands: each text is computed once, also over restarts."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakecore.embeddings._cache import DEFAULT_BYTES, FOLDER, VectorCache, check_max_bytes
from lakecore.embeddings._endpoint import PROBE
from lakecore.embeddings._texts import check_texts

if TYPE_CHECKING:
    from lakecore.embeddings._texts import Embedder, Vectors

_PIECE_TEXTS: Final = 512
"""Texts between two commits of the cache: what a kill loses at most."""

_SAME: Final = 0.999
"""Cosine of a model's two answers to one text: not less, or it is another model."""


class CachedEmbedder:
    """`embedder`, with its vectors kept in a folder.

    An interrupted `embed` goes on where it was: what was computed is there. When it is first used
    after opening, the embedder answers a known text; an answer unlike the kept one means that there
    is another model behind the name, and the cache begins anew.

    Args:
        state: the lake's state directory on this machine; the cache is ``embeddings/`` in it.
        max_bytes: of the caches of all models.
    """

    def __init__(self, embedder: Embedder, state: Path, *, max_bytes: int = DEFAULT_BYTES) -> None:
        check_max_bytes(max_bytes)
        self._embedder = embedder
        self._folder = state / FOLDER
        self._max_bytes = max_bytes
        self._opening = threading.Lock()
        self._opened: VectorCache | None = None
        self._is_known = False

    @property
    def name(self) -> str:
        """The embedder's."""
        return self._embedder.name

    @property
    def dimension(self) -> int:
        """The embedder's."""
        return self._embedder.dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """As the embedder's, but that what is in the cache is not computed."""
        import numpy as np

        checked = check_texts(texts)
        vectors = np.empty((len(checked), self.dimension), np.float32)
        # In the order of their lengths, so that the embedder's batches are even.
        order = sorted(range(len(checked)), key=lambda at: (-len(checked[at]), checked[at]))
        for start in range(0, len(order), _PIECE_TEXTS):
            places = order[start : start + _PIECE_TEXTS]
            vectors[places] = self._piece([checked[at] for at in places])
        return vectors

    def close(self) -> None:
        """Close the cache; the next call opens it again."""
        with self._opening:
            opened, self._opened, self._is_known = self._opened, None, False
        if opened is not None:
            opened.close()

    @property
    def _cache(self) -> VectorCache:
        """Opened when it is needed: an endpoint may have to be asked for its dimension."""
        with self._opening:
            if self._opened is None:
                self._opened = VectorCache(
                    self._folder, self.name, self.dimension, max_bytes=self._max_bytes
                )
            return self._opened

    def _piece(self, texts: list[str]) -> Vectors:
        import numpy as np

        found = self._cache.get(texts)
        missing = list(dict.fromkeys(texts[at] for at in range(len(texts)) if at not in found))
        known: dict[str, Vectors] = {}
        if missing:
            if not self._is_known:
                found = found if self._is_same_model() else {}
                missing = missing if found else list(dict.fromkeys(texts))
            computed = self._embedder.embed(missing)
            self._cache.put(missing, computed)
            known = dict(zip(missing, computed, strict=True))
        rows = [found[at] if at in found else known[text] for at, text in enumerate(texts)]
        return np.array(rows, np.float32)

    def _is_same_model(self) -> bool:
        """Whether the embedder answers as it did when the cache was begun; begins it if not."""
        import numpy as np

        answer = self._embedder.embed([PROBE])[0]
        kept = self._cache.probe()
        self._is_known = True
        if kept is not None and len(kept) == answer.nbytes:
            cosine = float(np.frombuffer(kept, np.float32) @ answer)
            if cosine >= _SAME:
                return True
        self._cache.restart(answer.tobytes())
        return False
