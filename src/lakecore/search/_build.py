"""Making a generation: all rows anew, or what changed since the one before.

    source --> rows with text or vector --> vectors --> segments --> graphs --> recall
                                   +------> text index                             |
                                                       files, create-only <--------+

A refresh writes what changed into a segment of its own, the delta, and says which rows of the
others are dead by it; files that stay are named again, not written. When the delta or the
dead are too many, the segments are written anew from what is there: no model is asked.

Nothing here is seen by anybody before the registry names it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakecore.base import Clock, InvalidInput, uuid7
from lakecore.base.limits import MIB
from lakecore.search._files import TEXT, Files
from lakecore.search._graph import build_graph
from lakecore.search._index import Generation, Index, SegmentInfo, StoredFile
from lakecore.search._merge import Merge
from lakecore.search._opened import Opened
from lakecore.search._ports import KEY, Embedder, Snapshot, Source, TextIndex, TextIndexes
from lakecore.search._recall import recall_of
from lakecore.search._segment import SegmentWriter, dead_rows
from lakecore.search._vectors import check_made, given_vectors, to_keep

MAX_SEGMENT_ROWS: Final = 262_144
"""What a graph is built of at a time: memory is bounded by it, whatever the table has."""

MAX_DELTA: Final = 0.2
"""Of the rows, in the delta or dead, before the segments are written anew."""

MIN_DELTA_ROWS: Final = 2_048
FIRST_EXPANSION: Final = 64
MAX_EXPANSION: Final = 1_024
EMBED_ROWS: Final = 1_024
_TEXT_ROWS: Final = 32_768
_TEXT_BYTES: Final = 64 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a build works with.

    Attributes:
        folder: of this build alone, on this machine; removed by whoever made it.
        pause: called between steps; it raises when the build is to end.
    """

    files: Files
    texts: TextIndexes
    embedder: Embedder | None
    clock: Clock
    folder: Path
    pause: Callable[[], None]


@dataclass(slots=True)
class _Making:
    """The files so far: those that are new, and those of the generation before that stay."""

    segments: list[SegmentInfo] = field(default_factory=list)
    new: dict[str, Path] = field(default_factory=dict)
    kept: dict[str, StoredFile] = field(default_factory=dict)


class Build:
    """One build of one index, at one snapshot of its source."""

    def __init__(self, index: Index, source: Source, snapshot: Snapshot, means: Means) -> None:
        self._source = source
        self._snapshot = snapshot
        self._means = means
        self._started_s = time.monotonic()
        self._id = uuid7(means.clock)
        self._making = _Making()
        self._text: TextIndex | None = None
        self._writer: SegmentWriter | None = None
        self._texts = _TextBatch()
        self.index = index
        """As it is with what the build found out: its dimension."""

    def anew(self) -> Index:
        """All rows. `InvalidInput` names the row that cannot be indexed."""
        if self.index.has_text:
            folder = self._text_folder()
            self._text = self._means.texts.create(folder, self.index.columns)
        for table in self._source.scan(self._snapshot, self.index.columns):
            self._means.pause()
            self._add(self._with_content(table))
        self._finish_writer()
        self._write_texts()
        return self._generation()

    def from_base(self, base: Opened) -> Index:
        """What changed since `base`, and the rest of it."""
        merge = Merge(base)
        texts_before: dict[str, tuple[int, int]] = {}
        if self.index.has_text:
            folder = self._text_folder()
            self._means.files.text_folder(base.generation.files, folder)
            texts_before = _states(folder)
            self._text = self._means.texts.open(folder)
        changed = self._source.changed(base.generation.version, self._snapshot, self.index.columns)
        for table in changed.rows:
            self._means.pause()
            merge.seen(table.column(KEY))
            rows = merge.different(self._with_content(table), self._vectors_given, self.index)
            self._add(rows, is_delta=True)
            emptied = merge.emptied(self._without_content(table))
            self._texts.delete(emptied)
        gone = merge.gone(changed.gone)
        self._texts.delete(gone)
        is_unchanged = not merge.any_dead and not self._written()
        if not is_unchanged and merge.is_too_much(self._written(), MAX_DELTA, MIN_DELTA_ROWS):
            self._rewrite(merge)
        elif is_unchanged:
            self._keep(base, merge, is_carried=False)
        else:
            self._carry_delta(merge)
            self._finish_writer(is_delta=True)
            self._keep(base, merge, is_carried=True)
        self._write_texts()
        self._keep_texts(base, texts_before)
        return self._generation(base.generation)

    # -- rows -------------------------------------------------------------------------

    def _with_content(self, table: pa.Table) -> pa.Table:
        return table.filter(self._has_content(table))

    def _without_content(self, table: pa.Table) -> pa.Table:
        return table.filter(pc.invert(self._has_content(table)))

    def _has_content(self, table: pa.Table) -> pa.ChunkedArray:
        """Which rows have a vector, or any text that is more than white space."""
        if self.index.has_vectors and self.index.model is None:
            return pc.is_valid(table.column(self.index.columns[0]))
        found = None
        for name in self.index.columns:
            length = pc.utf8_length(pc.utf8_trim_whitespace(_texts(table, name)))
            here = pc.fill_null(pc.greater(length, 0), False)
            found = here if found is None else pc.or_(found, here)
        return found

    def _add(self, table: pa.Table, *, is_delta: bool = False) -> None:
        """Write rows, a piece at a time."""
        piece_rows = EMBED_ROWS if self._means.embedder is not None else max(1, table.num_rows)
        for first in range(0, table.num_rows, piece_rows):
            self._means.pause()
            piece = table.slice(first, piece_rows)
            self._append(self._shown(piece), self._vectors(piece), is_delta=is_delta)
            if self.index.has_text:
                self._texts.upsert(piece, self.index.columns)
                if self._texts.rows >= _TEXT_ROWS or self._texts.bytes >= _TEXT_BYTES:
                    self._write_texts()

    def _shown(self, table: pa.Table) -> pa.Table:
        """What an answer has of rows."""
        stored = [(name, _texts(table, name)) for name in self.index.stored_columns]
        names = [KEY, *self.index.key]
        return pa.table(
            [table.column(name) for name in names] + [column for _, column in stored],
            names=names + [name for name, _ in stored],
        )

    def _append(
        self,
        rows: pa.Table,
        vectors: NDArray[Any] | None,
        *,
        is_delta: bool,
    ) -> None:
        writer = self._writer
        if writer is not None and writer.rows + rows.num_rows > MAX_SEGMENT_ROWS:
            self._finish_writer(is_delta=is_delta)
            writer = None
        if writer is None:
            writer = self._writer = SegmentWriter(
                self._means.folder,
                f"{self._id}-{len(self._making.segments)}",
                metric=self.index.metric,
                has_vectors=self.index.has_vectors,
            )
        writer.append(rows, vectors)

    def _vectors(self, table: pa.Table) -> NDArray[Any] | None:
        if not self.index.has_vectors:
            return None
        if self._means.embedder is None:
            return self._vectors_given(table)
        model = self._means.embedder
        texts = joined_texts(table, self.index.columns)
        made = check_made(model.embed(texts), len(texts), model.dimension, model.name)
        self._set_dimension(model.dimension)
        return to_keep(made, self.index.metric, table.column(KEY))

    def _vectors_given(self, table: pa.Table) -> NDArray[Any]:
        """The vectors of a column, as they are kept."""
        keys = table.column(KEY)
        found = given_vectors(table.column(self.index.columns[0]), keys, self.index.dimension)
        if table.num_rows:
            self._set_dimension(found.shape[1])
        return to_keep(found, self.index.metric, keys)

    def _set_dimension(self, dimension: int) -> None:
        if self.index.dimension not in (None, dimension):
            raise InvalidInput(
                "vectors of another dimension", expected=self.index.dimension, found=dimension
            )
        if self.index.dimension is None:
            self.index = replace(self.index, dimension=dimension)

    def _written(self) -> int:
        waiting = self._writer.rows if self._writer is not None else 0
        return waiting + sum(info.rows for info in self._making.segments)

    # -- segments ---------------------------------------------------------------------

    def _finish_writer(self, *, is_delta: bool = False) -> None:
        """Complete the segment that is being written, with its graph."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        writer.finish()
        names = [("rows", "arrow"), ("order", "i32")]
        is_exact = True
        if self.index.has_vectors:
            names.append(("vectors", "bin"))
            is_exact = writer.rows <= self.index.parameter("exact_rows")
        if not is_exact:
            names.append(("graph", "usearch"))
            build_graph(
                writer.mapped_vectors(),
                self.index.metric,
                writer.path("graph", "usearch"),
                connectivity=int(self.index.parameter("connectivity")),
                expansion_add=int(self.index.parameter("expansion_add")),
                expansion=FIRST_EXPANSION,
                pause=self._means.pause,
            )
        for word, ending in names:
            place = writer.path(word, ending)
            self._making.new[place.name] = place
        info = SegmentInfo(id=writer.id, rows=writer.rows, is_delta=is_delta, is_exact=is_exact)
        self._making.segments.append(info)

    def _carry_delta(self, merge: Merge) -> None:
        """What refreshes before added, and is still so, goes into the new delta."""
        for table, vectors in merge.live_rows(delta_only=True):
            self._means.pause()
            self._append(table, vectors, is_delta=True)

    def _rewrite(self, merge: Merge) -> None:
        """All that is alive goes into new segments, with the vectors that it has."""
        for table, vectors in merge.live_rows(delta_only=False):
            self._means.pause()
            self._append(table, vectors, is_delta=False)
        self._finish_writer()

    def _keep(self, base: Opened, merge: Merge, *, is_carried: bool) -> None:
        """The segments of before stay, with more dead rows."""
        for segment, alive in merge.states():
            info = segment.info
            if info.is_delta and is_carried:
                continue
            mine = {
                name: file for name, file in base.generation.files.items() if f"-{info.id}." in name
            }
            dead = dead_rows(alive)
            if len(dead) == info.rows:
                continue
            if len(dead) != info.dead:
                place = self._means.folder / f"dead-{info.id}.i32"
                dead.tofile(place)
                mine.pop(place.name, None)
                self._making.new[place.name] = place
            self._making.kept |= mine
            self._making.segments.append(replace(info, dead=len(dead)))

    # -- text -------------------------------------------------------------------------

    def _text_folder(self) -> Path:
        return self._means.folder / "text"

    def _write_texts(self) -> None:
        if self._text is not None and self._texts.any:
            self._means.pause()
            self._text.update(*self._texts.take(self.index.columns))

    def _keep_texts(self, base: Opened, before: dict[str, tuple[int, int]]) -> None:
        """Files of the text index that are as they were are named again."""
        if self._text is None:
            return
        self._text.close()
        self._text = None
        for name, state in _states(self._text_folder()).items():
            if before.get(name) == state:
                self._making.kept[TEXT + name] = base.generation.files[TEXT + name]
            else:
                self._making.new[TEXT + name] = self._text_folder() / name

    # -- the end ----------------------------------------------------------------------

    def _generation(self, before: Generation | None = None) -> Index:
        if self._text is not None:
            self._text.close()
            self._text = None
            folder = self._text_folder()
            self._making.new |= {TEXT + name: folder / name for name in _states(folder)}
        expansion, recall = self._measure(before)
        stored = dict(self._making.kept)
        for name, place in self._making.new.items():
            self._means.pause()
            stored[name] = self._means.files.put(place, f"{self.index.folder}{self._id}/{name}")
        rows = sum(info.rows - info.dead for info in self._making.segments)
        embedder = self._means.embedder
        generation = Generation(
            id=self._id,
            version=self._snapshot.version,
            rows=rows,
            skipped=max(0, self._snapshot.rows - rows),
            model=embedder.name if embedder is not None else None,
            recall=recall,
            expansion=expansion,
            built_us=self._means.clock.now_us(),
            duration_s=round(time.monotonic() - self._started_s, 3),
            segments=tuple(self._making.segments),
            files=stored,
        )
        return self.index.with_generation(generation)

    def _measure(self, before: Generation | None) -> tuple[int, float | None]:
        """How far the graphs have to be searched, and the recall that this gives.

        Graphs of the generation before have been measured.
        """
        expansion = FIRST_EXPANSION if before is None else before.expansion
        if not self.index.has_vectors:
            return expansion, None
        graphs = [info for info in self._making.segments if not info.is_exact]
        new = [info for info in graphs if f"graph-{info.id}.usearch" in self._making.new]
        recall = 1.0 if before is None or before.recall is None else before.recall
        if not new:
            return expansion, recall if graphs else 1.0
        expansion, found = recall_of(
            new,
            self._making.new.__getitem__,
            metric=self.index.metric,
            dimension=self.index.dimension or 0,
            expansion=expansion,
            max_expansion=MAX_EXPANSION,
            wanted=self.index.parameter("min_recall"),
            pause=self._means.pause,
        )
        measured, total = (sum(info.rows for info in some) for some in (new, graphs))
        return expansion, round((found * measured + recall * (total - measured)) / total, 4)


class _TextBatch:
    """Rows on their way into the text index."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._deleted: list[str] = []
        self.rows = 0
        self.bytes = 0

    @property
    def any(self) -> bool:
        return bool(self._tables or self._deleted)

    def upsert(self, table: pa.Table, columns: Sequence[str]) -> None:
        found = pa.table(
            [table.column(KEY), *(_texts(table, name) for name in columns)],
            names=["key", *columns],
        )
        self._tables.append(found)
        self.rows += found.num_rows
        self.bytes += found.nbytes

    def delete(self, keys: Sequence[str]) -> None:
        self._deleted += keys

    def take(self, columns: Sequence[str]) -> tuple[pa.Table, list[str]]:
        names = ["key", *columns]
        empty = pa.table({name: pa.array([], pa.string()) for name in names})
        found = pa.concat_tables(self._tables) if self._tables else empty
        deleted = self._deleted
        self._tables, self._deleted, self.rows, self.bytes = [], [], 0, 0
        return found, deleted


def joined_texts(table: pa.Table, columns: Sequence[str]) -> list[str]:
    """What a model is given of each row: its texts, one a line."""
    parts = [pc.fill_null(_texts(table, name), "") for name in columns]
    joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\n")
    return [text.strip() for text in joined.to_pylist()]


def _texts(table: pa.Table, name: str) -> pa.ChunkedArray:
    column = table.column(name)
    return column if column.type == pa.string() else column.cast(pa.string())


def _states(folder: Path) -> dict[str, tuple[int, int]]:
    """The files of a text index, with what tells whether one is as it was."""
    found: dict[str, tuple[int, int]] = {}
    for place in sorted(folder.rglob("*")):
        if place.is_file() and not place.name.endswith(".lock"):
            state = place.stat()
            found[place.relative_to(folder).as_posix()] = (state.st_size, state.st_mtime_ns)
    return found
