"""The engine in its folder: one writer at a time, readers on snapshots.

An update is one commit of the engine:

1. segment files are written, each synced as it is finished;
2. the folder is synced, then ``meta.json``, which lists the segments, is put in place by a rename:
   *this is the commit*;
3. the folder is synced once more, which the engine leaves out, and the update returns.

Killed before the rename, the index is what it was: what lies about belongs to no commit, and the
next writer removes it. The writer's lock is the kernel's, so a process that is gone holds none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lakecore.base import Bug, CorruptData, OutOfSpace, ReadOnly, Unavailable
from lakecore.fulltext._analysis import EXACT, STEMMED, Analysis, load_tantivy
from lakecore.fulltext._columns import KEY, Columns
from lakecore.fulltext._folder import sync
from lakecore.fulltext._rows import Row

META: Final = "meta.json"
LOCK_WAIT_S: Final = 30.0
_LOCK_PAUSE_S: Final = 0.05


def create_engine(folder: Path, columns: Columns) -> None:
    """An empty index of the engine in `folder`, which is there and empty."""
    engine = load_tantivy()
    with translated(folder):
        engine.Index(_schema(engine, columns), path=str(folder))
    sync(folder)


class Engine:
    """tantivy over one folder that has an index."""

    def __init__(self, folder: Path, columns: Columns, analysis: Analysis) -> None:
        self._folder = folder
        self._columns = columns
        self._tantivy = load_tantivy()
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self.schema: Final = _schema(self._tantivy, columns)
        if not (folder / META).is_file():
            raise CorruptData(
                "a text index has lost its files",
                where=folder / META,
                hint="build the index anew from its dataset",
            )
        with translated(folder):
            # Compares the schemas; where they differ it raises.
            self._index: Any = self._tantivy.Index(self.schema, path=str(folder))
            analysis.register(self._index)
            self._index.config_reader("manual")
        self._seen: tuple[int, int, int] | None = None

    def searcher(self) -> Any:
        """The newest snapshot, of whichever process made it."""
        with self._reading, translated(self._folder):
            found = (self._folder / META).stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen != self._seen:
                self._index.reload()
                self._seen = seen
            return self._index.searcher()

    def find(self, searcher: Any, query: Any, limit: int) -> list[tuple[str, float]]:
        """Keys and scores, the best first."""
        with translated(self._folder):
            hits = searcher.search(query, limit, count=False).hits
            return [(searcher.doc(address)[KEY][0], score) for score, address in hits]

    def write(self, rows: Iterable[Row], deletes: Sequence[str], *, heap_bytes: int) -> None:
        """Take `deletes` out, put `rows` in the place of those with their keys: one commit.

        Raises:
            Unavailable: somebody else writes, and has for `LOCK_WAIT_S`.
        """
        deadline_s = time.monotonic() + LOCK_WAIT_S
        if not self._writing.acquire(timeout=LOCK_WAIT_S):
            raise _busy(self._folder)
        try:
            with translated(self._folder):
                writer = self._writer(heap_bytes, deadline_s)
                try:
                    self._commit(writer, rows, deletes)
                except BaseException:
                    _clear_away(writer)
                    raise
                finally:
                    # Lets go of the lock, too. Merges that are under way are finished.
                    writer.wait_merging_threads()
                sync(self._folder)
        finally:
            self._writing.release()

    def _commit(self, writer: Any, rows: Iterable[Row], deletes: Sequence[str]) -> None:
        is_empty = self._is_empty()
        for key in deletes:
            writer.delete_documents_by_term(KEY, key)
        for document in self._documents(rows):
            if not is_empty:
                writer.delete_documents_by_term(KEY, document.get_first(KEY))
            writer.add_document(document)
        writer.commit()

    def close(self) -> None:
        """Let go of the files."""
        with self._writing, self._reading:
            self._index = _Closed()

    def _writer(self, heap_bytes: int, deadline_s: float) -> Any:
        while True:
            try:
                # One thread: the memory is its, and so the most that is used.
                return self._index.writer(heap_bytes, 1)
            except ValueError as error:
                if "LockBusy" not in str(error):
                    raise
                if time.monotonic() > deadline_s:
                    raise _busy(self._folder) from error
                time.sleep(_LOCK_PAUSE_S)

    def _is_empty(self) -> bool:
        """Whether there is nothing to replace; asked with the writer's lock held."""
        self._index.reload()
        return bool(self._index.searcher().num_docs == 0)

    def _documents(self, rows: Iterable[Row]) -> Iterator[Any]:
        columns = self._columns
        names = [columns.column(field, stemmed=False) for field in columns.fields]
        stems = [columns.column(field, stemmed=True) for field in columns.fields]
        for key, texts in rows:
            document = self._tantivy.Document()
            document.add_text(KEY, key)
            for name, stem, text in zip(names, stems, texts, strict=True):
                if text is not None:
                    document.add_text(name, text)
                    if columns.has_stems:
                        document.add_text(stem, text)
            yield document


class _Closed:
    """In the place of an index that was let go of."""

    def __getattr__(self, name: str) -> Any:
        raise Bug("a text index is used after it was closed", found=name)


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """What goes wrong in the engine, as errors of ours.

    Raises:
        OutOfSpace, ReadOnly, CorruptData: as the words of the engine's error say.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        raise _translated(error, folder) from error
    except BaseException as error:
        # A panic of the engine is no `Exception`, and its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise _corrupt(error, folder) from error


def _clear_away(writer: Any) -> None:
    """Remove what was written for a commit that will not be: it may have filled the disk."""
    try:
        writer.rollback()
        writer.garbage_collect_files()
    except Exception:  # noqa: S110 - the error that led here is raised
        pass


def _translated(error: Exception, folder: Path) -> Exception:
    text = str(error)
    if "No space left" in text or "StorageFull" in text or "Disk quota" in text:
        return OutOfSpace(
            "there is no room for the text index", where=folder, hint="make room, and try again"
        )
    if any(words in text for words in ("Permission denied", "PermissionDenied", "Read-only")):
        return ReadOnly("the text index cannot be written", where=folder)
    return _corrupt(error, folder)


def _corrupt(error: BaseException, folder: Path) -> CorruptData:
    return CorruptData(
        "the text index is damaged",
        found=" ".join(str(error).split())[:300],
        where=folder,
        hint="build the index anew from its dataset",
    )


def _busy(folder: Path) -> Unavailable:
    return Unavailable(
        "the text index is being written by somebody else",
        expected=f"to be let in within {LOCK_WAIT_S:g} s",
        where=folder,
        hint="try again",
    )


def _schema(engine: Any, columns: Columns) -> Any:
    builder = engine.SchemaBuilder().add_text_field(
        KEY, stored=True, tokenizer_name="raw", index_option="basic"
    )
    for field in columns.fields:
        builder = builder.add_text_field(columns.column(field, stemmed=False), tokenizer_name=EXACT)
        if columns.has_stems:
            builder = builder.add_text_field(
                columns.column(field, stemmed=True), tokenizer_name=STEMMED
            )
    return builder.build()
