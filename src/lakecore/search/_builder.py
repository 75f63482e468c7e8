"""Builds, one after the other: in the caller's thread, or in one behind it.

The life of a build, and what a process that dies leaves at each step:

1. Rows are written into a folder of this machine.     A folder, removed by a later build.
2. Files are stored under names of their own.          Objects that nobody names; removed later.
3. The registry's next version names them.             THE COMMIT POINT: one create-only object.
4. What nobody names any more is removed.              Objects; the next build removes them.

So whatever happens, the registry names a whole generation: the old one, or the new one. Of two
builders at once one is first; the other's step 3 is refused, and it looks what is left to do.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lakecore.base import (
    Clock,
    Conflict,
    CorruptData,
    InvalidInput,
    LakecoreError,
    NotFound,
    Retry,
    Unavailable,
)
from lakecore.journal import Author
from lakecore.search._build import Build, Means
from lakecore.search._files import Files
from lakecore.search._index import ROOT, Generation, Index
from lakecore.search._opened import Opened
from lakecore.search._ports import Embedders, Snapshot, Sources, TextIndexes
from lakecore.search._registry import Registry
from lakecore.storage import Store

_ATTEMPTS: Final = 4
_HOUR_US: Final = 3_600 * 1_000_000
MAX_WAITING: Final = 256
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderParts:
    """What a builder works with."""

    store: Store
    registry: Registry
    files: Files
    sources: Sources
    embedders: Embedders
    texts: TextIndexes
    clock: Clock
    folder: Path
    grace_hours: float
    opened: Callable[[Index], Opened]


class Builder:
    """Threads may share it. Of one index, one thread of this process builds at a time."""

    def __init__(self, parts: BuilderParts) -> None:
        self._parts = parts
        self._lock = threading.Condition()
        self._turns: dict[str, threading.Lock] = {}
        self._waiting: deque[tuple[str, Author, bool]] = deque()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def build(
        self, name: str, author: Author, *, anew: bool, use_model_of_settings: bool = False
    ) -> Index:
        """Bring an index to the newest version of its source; return it as it is then.

        Args:
            anew: from the rows alone, whatever there is.
            use_model_of_settings: with another model than before, if the settings say so.

        Raises:
            Conflict: others kept being first.
            LakecoreError: why it failed; the registry has that, too.
        """
        with self._lock:
            turn = self._turns.setdefault(name, threading.Lock())
        with turn:
            for _ in range(_ATTEMPTS):
                try:
                    return self._build(name, author, anew, use_model_of_settings)
                except Conflict as error:
                    conflict = error
            raise conflict

    def submit(self, name: str, author: Author, *, anew: bool) -> None:
        """Have it built in a thread behind the caller's. `Unavailable` when too many wait."""
        with self._lock:
            if self._is_closed:
                raise Unavailable("the lake is being closed")
            if any(waiting[0] == name for waiting in self._waiting):
                return
            if len(self._waiting) >= MAX_WAITING:
                raise Unavailable("too many indexes wait to be built", hint="try again later")
            self._waiting.append((name, author, anew))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="lakecore-index", daemon=True
                )
                self._thread.start()
            self._lock.notify()

    def close(self) -> None:
        """Stop at the next pause; what was not finished is left to a later build."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()
            self._lock.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._waiting and not self._is_closed:
                    self._lock.wait()
                if self._is_closed:
                    return
                name, author, anew = self._waiting.popleft()
            try:
                self.build(name, author, anew=anew)
            except Exception as error:
                # The registry has it; whoever asks for the index is told.
                _log.warning("index %s was not built: %s", name, error)

    def _build(self, name: str, author: Author, anew: bool, use_model: bool) -> Index:
        parts = self._parts
        index = parts.registry.get(name)
        folder = self._folder()
        try:
            source = parts.sources.of_id(index.dataset_id, index.dataset)
            snapshot = source.snapshot()
            if snapshot is None:
                raise NotFound("the dataset has no rows yet", where=source.name)
            is_covered = index.generation is not None and (
                index.generation.version >= snapshot.version
            )
            base = None if anew else self._base(index)
            if is_covered and base is not None:
                return index
            if use_model and index.model is not None:
                model = parts.embedders.get(None).name
                if model != index.model:
                    base, index = None, replace(index, model=model, dimension=None)
            if base is not None and _is_altered(base, snapshot):
                base = None
            check_columns_of(index, snapshot)
            build = Build(
                # Another build's dimension does not bind one of all rows.
                index if base is not None or index.model else replace(index, dimension=None),
                source,
                snapshot,
                Means(
                    files=parts.files,
                    texts=parts.texts,
                    embedder=None if index.model is None else parts.embedders.get(index.model),
                    clock=parts.clock,
                    folder=folder,
                    pause=self._pause,
                ),
            )
            made = build.anew() if base is None else build.from_base(base)
            generation = None if base is None else base.generation
            # The commit point. Before it nobody knows of the files; behind it, all do.
            swapped = parts.registry.swap(
                made, generation, author, "build" if base is None else "refresh"
            )
        except Retry:
            raise  # a conflict among them: nothing is wrong with the index
        except _Closed:
            raise Unavailable("the lake is being closed; the build was left") from None
        except LakecoreError as error:
            # Values of rows may be in the rest of it, and the registry is for everybody.
            parts.registry.failed(index, error.message, author)
            raise
        except Exception as error:
            parts.registry.failed(index, f"a bug: {type(error).__name__}", author)
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.collect(swapped)
        return swapped

    def _base(self, index: Index) -> Opened | None:
        """What is there, open; None where it has to be made from the rows."""
        if index.generation is None:
            return None
        try:
            return self._parts.opened(index)
        except (CorruptData, NotFound) as error:
            _log.warning("index %s is built anew: %s", index.name, error)
            return None

    def _folder(self) -> Path:
        """A folder for one build; those of processes that are gone go."""
        building = self._parts.folder / "building"
        building.mkdir(parents=True, exist_ok=True)
        for left in building.iterdir():
            if not is_running(left.name):
                shutil.rmtree(left, ignore_errors=True)
        folder = building / f"{os.getpid()}-{uuid.uuid4().hex}"
        folder.mkdir()
        return folder

    def _pause(self) -> None:
        if self._is_closed:
            raise _Closed

    def collect(self, index: Index) -> int:
        """Remove files of an index that nobody names, once no build can be at work on them."""
        generation: Generation | None = index.generation
        named = {file.path for file in generation.files.values()} if generation else set()
        return self._remove(index.folder, named)

    def collect_dropped(self) -> int:
        """Remove what is left of indexes that are no more."""
        living = {index.id for index in self._parts.registry.list_indexes()}
        folders = self._parts.store.list_folders(ROOT)
        return sum(self._remove(f"{ROOT}{one}/", set()) for one in folders if one not in living)

    def _remove(self, folder: str, named: set[str]) -> int:
        oldest_us = self._parts.clock.now_us() - int(self._parts.grace_hours * _HOUR_US)
        gone = [
            info.path
            for info in self._parts.store.list_objects(folder)
            if info.path not in named and info.modified_us < oldest_us
        ]
        for path in gone:
            self._parts.store.delete(path)
        return len(gone)


class _Closed(Exception):
    """The lake is being closed."""


def is_running(name: str) -> bool:
    """Whether the process lives whose number a folder's name begins with."""
    number, _, _ = name.partition("-")
    if not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_altered(base: Opened, snapshot: Snapshot) -> bool:
    """Whether columns of the key changed their type: then rows cannot be put together."""
    if not base.segments:
        return False
    before = base.segments[0].rows.schema
    key = base.index.key
    now = snapshot.schema
    return any(
        now.get_field_index(name) < 0 or before.field(name).type != now.field(name).type
        for name in key
    )


def check_columns_of(index: Index, snapshot: Snapshot) -> None:
    """Raises `InvalidInput` when a table cannot have this index."""
    import difflib

    from lakecore.search._types import is_text, is_vector

    for name in (*index.columns, *index.key):
        if snapshot.schema.get_field_index(name) < 0:
            near = difflib.get_close_matches(name, snapshot.schema.names, n=3)
            raise InvalidInput(
                "no such column",
                found=name,
                where=index.dataset,
                hint=f"did you mean {' or '.join(near)}?" if near else None,
            )
    types = [snapshot.schema.field(name).type for name in index.columns]
    if index.has_vectors and index.model is None:
        if len(types) != 1 or not is_vector(types[0]):
            raise InvalidInput(
                "not a column of vectors",
                expected="one column of lists of numbers, or texts and a model",
                found=", ".join(map(str, types)),
                where=", ".join(index.columns),
            )
        return
    for name, kind in zip(index.columns, types, strict=True):
        if not is_text(kind):
            raise InvalidInput("not a column of texts", found=str(kind), where=name)
