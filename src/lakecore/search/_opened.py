"""One generation of an index, open: what is near a vector, what matches a text, what is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakecore.base import InvalidInput
from lakecore.search._excerpt import Part, excerpt, parts
from lakecore.search._files import TEXT, Files
from lakecore.search._index import Generation, Index
from lakecore.search._ports import KEY, Span, TextIndex, TextIndexes
from lakecore.search._segment import Segment
from lakecore.search._vectors import Floats, best

_PARTS: Final = {
    "rows": ("rows", "arrow"),
    "order": ("order", "i32"),
    "vectors": ("vectors", "bin"),
    "graph": ("graph", "usearch"),
}
_FILTER_KEYS: Final = 10_000
"""So many keys are handed to the text index; of more, what it finds is looked at first."""

_MOST_HITS: Final = 10_000
_MOST_KEYS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows may be found."""

    keys: pa.Array
    masks: Sequence[NDArray[np.bool_]]

    @property
    def count(self) -> int:
        """Rows of the index that are among them."""
        return int(sum(mask.sum() for mask in self.masks))


class Opened:
    """A generation whose files were found whole. Threads may share it."""

    def __init__(
        self, index: Index, generation: Generation, files: Files, texts: TextIndexes, folder: Path
    ) -> None:
        self.index = index
        self.generation = generation
        self._exact_rows = int(index.parameter("exact_rows"))
        dimension = index.dimension if index.has_vectors else None
        self.segments = [
            Segment(
                info,
                _places(generation, info.id, files),
                metric=index.metric,
                dimension=dimension,
                expansion=generation.expansion,
            )
            for info in generation.segments
        ]
        self._text: TextIndex | None = None
        if index.has_text and any(name.startswith(TEXT) for name in generation.files):
            self._text = texts.open(files.text_folder(generation.files, folder))

    @property
    def rows(self) -> int:
        """Rows that can be found."""
        return sum(segment.live for segment in self.segments)

    @property
    def is_exact(self) -> bool:
        """Whether every vector is compared, without a filter."""
        return all(segment.is_exact for segment in self.segments)

    def close(self) -> None:
        """Let go of the text index; what is mapped goes with the last that looks at it."""
        if self._text is not None:
            self._text.close()

    def filter_of(self, keys: pa.Array) -> Filter:
        """The rows with these keys."""
        return Filter(keys, [segment.mask(keys) for segment in self.segments])

    def nearest(self, query: Floats, count: int, allowed: Filter | None) -> list[tuple[str, float]]:
        """(key, score) of the nearest rows, the best first."""
        keys: list[str] = []
        found: list[Floats] = []
        few = allowed is not None and allowed.count <= self._exact_rows
        for at, segment in enumerate(self.segments):
            mask = None if allowed is None else allowed.masks[at]
            # A graph that may find few rows only is not worth its walk.
            limit = segment.info.rows if few else self._exact_rows
            rows, scores = segment.nearest(query, count, mask, limit)
            keys += segment.keys.take(pa.array(rows)).to_pylist()
            found.append(scores)
        if not found:
            return []
        scores = np.concatenate(found)
        return [(keys[at], float(scores[at])) for at in best(scores, count)]

    def matching(self, text: str, count: int, allowed: Filter | None) -> list[tuple[str, float]]:
        """(key, score) of the rows that match a text, the best first."""
        if self._text is None:
            return []
        if allowed is not None and not allowed.count:
            return []
        if allowed is None:
            return self._matching(text, min(count, _MOST_HITS))
        if len(allowed.keys) > _FILTER_KEYS:
            wanted = min(_MOST_HITS, 8 * count)
            hits = self._matching(text, wanted)
            found = self._allowed(hits, allowed)
            if len(found) >= count or len(hits) < wanted or len(allowed.keys) > _MOST_KEYS:
                return found[:count]
        keys = allowed.keys.to_pylist()
        return self._matching(text, min(count, _MOST_HITS), keys)

    def take(self, keys: Sequence[str]) -> pa.Table:
        """The rows of these keys, in this order; those that cannot be found are left out."""
        tables, where = [], np.full(len(keys), -1, np.int64)
        offset = 0
        for segment in self.segments:
            rows = segment.find(list(keys))
            there = np.flatnonzero(rows >= 0)
            where[there] = offset + np.arange(len(there))
            offset += len(there)
            tables.append(segment.rows.take(pa.array(rows[there])))
        if not tables:
            return pa.table({KEY: pa.array([], pa.string())})
        return pa.concat_tables(tables).take(pa.array(where[where >= 0]))

    def highlight(self, text: str, values: Sequence[str | None]) -> str:
        """The first excerpt in which something of the text is found; empty when there is none."""
        found = self._first(text, values)
        return "" if found is None else excerpt(*found)

    def highlight_parts(self, text: str, values: Sequence[str | None]) -> list[Part]:
        """The same in pieces."""
        found = self._first(text, values)
        return [] if found is None else parts(*found)

    def _first(
        self, text: str, values: Sequence[str | None]
    ) -> tuple[str, list[tuple[int, int]]] | None:
        """The first value in which something of the text is found, and where."""
        if self._text is None:
            return None
        for value in values:
            if value and (spans := self._spans(text, value)):
                return value, [(span.start, span.end) for span in spans]
        return None

    def _matching(
        self, text: str, count: int, keys: Sequence[str] | None = None
    ) -> list[tuple[str, float]]:
        assert self._text is not None  # noqa: S101 - callers look before
        try:
            found = self._text.search(text, count, keys=keys)
        except InvalidInput:
            # A text whose meaning is asked for as well need be no query of words.
            if not self.index.has_vectors:
                raise
            try:
                found = self._text.search(text, count, keys=keys, plain=True)
            except InvalidInput:
                return []
        return [(hit.key, hit.score) for hit in found]

    def _spans(self, text: str, value: str) -> Sequence[Span]:
        assert self._text is not None  # noqa: S101 - callers look before
        for plain in (False, True):
            try:
                return self._text.highlight(text, value, plain=plain)
            except InvalidInput:
                continue
        return ()

    def _allowed(
        self, hits: Sequence[tuple[str, float]], allowed: Filter
    ) -> list[tuple[str, float]]:
        keys = [key for key, _ in hits]
        chosen = np.zeros(len(keys), np.bool_)
        for segment, mask in zip(self.segments, allowed.masks, strict=True):
            rows = segment.find(keys)
            chosen |= (rows >= 0) & mask[rows]
        return [hit for hit, is_chosen in zip(hits, chosen, strict=True) if is_chosen]


def _places(generation: Generation, segment_id: str, files: Files) -> dict[str, Path]:
    """The files of a segment on this machine, each found whole."""
    places: dict[str, Path] = {}
    for part, (word, ending) in _PARTS.items():
        file = generation.files.get(f"{word}-{segment_id}.{ending}")
        if file is not None:
            places[part] = files.local(file)
    if dead := dead_name(generation.files, segment_id):
        places["dead"] = files.local(generation.files[dead])
    return places


def dead_name(files: Mapping[str, object], segment_id: str) -> str | None:
    """The name of the file that says which of a segment's rows are dead."""
    return next((name for name in files if name == f"dead-{segment_id}.i32"), None)
