"""The face of the package: indexes made, kept, asked."""

from __future__ import annotations

import os
import shutil
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import Clock, CorruptData, InvalidInput, NotFound, Unavailable
from lakecore.base.limits import GIB
from lakecore.documents import Documents
from lakecore.journal import Author
from lakecore.search._answer import SearchResult
from lakecore.search._ask import Question, ask, query_vector
from lakecore.search._builder import Builder, BuilderParts, check_columns_of, is_running
from lakecore.search._files import Files
from lakecore.search._index import (
    FAILED,
    KINDS,
    METRICS,
    READY,
    STALE,
    Index,
    check_choice,
    check_columns,
    check_index_name,
    check_parameters,
)
from lakecore.search._opened import Opened
from lakecore.search._ports import Embedder, Embedders, Source, Sources, TextIndexes
from lakecore.search._registry import Registry
from lakecore.search._types import is_vector
from lakecore.storage import Store

if TYPE_CHECKING:
    import pyarrow as pa

MAX_OPEN: Final = 16
_REMOTE_FRESH_S: Final = 1.0
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """Bounds of search on this machine.

    Attributes:
        cache_bytes: of index files that are kept of a lake in a bucket.
        grace_hours: before files go that no index names any more: a build has to end by then.
    """

    cache_bytes: int = 4 * GIB
    grace_hours: float = 24.0


class Indexes:
    """The indexes of one lake. Threads and processes may use them at the same time.

    Methods that change something raise `Conflict` when others kept being first, and journal
    what they did in the author's name.
    """

    def __init__(
        self,
        store: Store,
        documents: Documents,
        state_dir: Path,
        clock: Clock,
        *,
        sources: Sources,
        embedders: Embedders,
        texts: TextIndexes,
        settings: SearchSettings | None = None,
    ) -> None:
        settings = settings or SearchSettings()
        self._store = store
        self._clock = clock
        self._sources = sources
        self._embedders = embedders
        self._texts = texts
        self._folder = state_dir / "search"
        self._files = Files(store, self._folder / "files", settings.cache_bytes)
        self._registry = Registry(documents)
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._lock = threading.Lock()
        self._fresh_s = 0.0 if store.local_path("search") is not None else _REMOTE_FRESH_S
        self._known: dict[str, tuple[float, Index, Source, int]] = {}
        self._builder = Builder(
            BuilderParts(
                store=store,
                registry=self._registry,
                files=self._files,
                sources=sources,
                embedders=embedders,
                texts=texts,
                clock=clock,
                folder=self._folder,
                grace_hours=settings.grace_hours,
                opened=self._open,
            )
        )

    # -- making and keeping -----------------------------------------------------------

    def create(
        self,
        name: str,
        dataset: str,
        columns: Sequence[str] | str,
        *,
        kind: str = "hybrid",
        model: str | None = None,
        metric: str = "cosine",
        parameters: Mapping[str, object] | None = None,
        wait: bool = True,
        author: Author,
    ) -> Index:
        """Make an index over columns of a dataset, and build it.

        Args:
            columns: of texts; or, with the kind ``vector``, one of vectors.
            kind: ``vector``, ``text``, ``hybrid``: both, their rankings fused.
            model: that makes vectors of texts; None: the one of the settings.
            metric: ``cosine``, ``dot``, ``l2``.
            parameters: see `PARAMETERS`.
            wait: False: it is built in the background; until then a search finds no index.

        Raises:
            AlreadyExists: there is one of that name.
            InvalidInput, NotFound: it cannot be made of this.
        """
        check_index_name(name)
        wanted = check_columns(columns)
        check_choice(kind, KINDS, "kind of index")
        check_choice(metric, METRICS, "metric")
        source = self._sources.named(dataset)
        snapshot = source.snapshot()
        if snapshot is None:
            raise InvalidInput(
                "the dataset has no rows yet", where=dataset, hint="index it when it has some"
            )
        places = [snapshot.schema.get_field_index(column) for column in wanted]
        is_own = (
            kind == "vector"
            and len(wanted) == 1
            and places[0] >= 0
            and is_vector(snapshot.schema.field(places[0]).type)
        )
        if is_own and model is not None:
            raise InvalidInput("vectors of a dataset need no model", found=model, where=name)
        embedder = None
        if kind != "text" and not is_own and -1 not in places:
            embedder = self._embedders.get(model)
        index = Index(
            name=name,
            id=str(uuid.uuid4()),
            dataset=source.name,
            dataset_id=source.dataset_id,
            kind=kind,
            columns=wanted,
            key=source.key,
            model=embedder.name if embedder is not None else None,
            dimension=embedder.dimension if embedder is not None else None,
            metric=metric,
            parameters=check_parameters(parameters),
            created_us=self._clock.now_us(),
        )
        check_columns_of(index, snapshot)
        entered = self._registry.add(index, author)
        return self._build(entered, author, wait=wait, anew=True)

    def refresh(self, name: str, *, wait: bool = True, author: Author) -> Index:
        """Bring an index to its dataset's newest version: only what changed is read and embedded.

        Raises:
            NotFound: the model that it was made with is not on this machine.
        """
        return self._build(self.get(name), author, wait=wait, anew=False)

    def rebuild(self, name: str, *, wait: bool = True, author: Author) -> Index:
        """Build an index from all rows; with the model of the settings, if it is another now."""
        return self._build(self.get(name), author, wait=wait, anew=True)

    def drop(self, name: str, *, author: Author) -> Index:
        """End an index, and remove its files."""
        index = self._registry.drop(name, author)
        with self._lock:
            self._known.pop(name, None)
        # Crash window: nobody names the files; they go with a later build or drop.
        for info in list(self._store.list_objects(index.folder)):
            self._store.delete(info.path)
        self._builder.collect_dropped()
        return index

    def list_indexes(self) -> list[Index]:
        """All of them, by name."""
        return self._registry.list_indexes()

    def get(self, name: str) -> Index:
        """One of them. Raises `NotFound` with the nearest names."""
        return self._registry.get(name)

    def describe(self, index: Index) -> dict[str, Any]:
        """An index and how far it is behind its dataset, JSON-ready."""
        generation = index.generation
        told: dict[str, Any] = {
            "name": index.name,
            "id": index.id,
            "dataset": index.dataset,
            "dataset_id": index.dataset_id,
            "kind": index.kind,
            "columns": list(index.columns),
            "key": list(index.key),
            "model": index.model,
            "dimension": index.dimension,
            "metric": index.metric,
            "parameters": dict(index.parameters),
            "state": index.state,
            "error": index.error,
            "covered_version": None if generation is None else generation.version,
            "version": None,
            "rows_behind": None,
            "rows": None if generation is None else generation.rows,
            "skipped": None if generation is None else generation.skipped,
            "recall": None if generation is None else generation.recall,
            "size_bytes": 0 if generation is None else generation.size_bytes,
            "built_us": None if generation is None else generation.built_us,
            "duration_s": None if generation is None else generation.duration_s,
        }
        try:
            source = self._sources.of_id(index.dataset_id, index.dataset)
        except NotFound as error:
            return {**told, "state": FAILED, "error": told["error"] or error.message}
        told["dataset"], told["version"] = source.name, source.version()
        if generation is not None and told["version"] > generation.version:
            told["rows_behind"] = source.behind(generation.version)
            told["state"] = STALE if index.state == READY else index.state
        elif generation is not None:
            told["rows_behind"] = 0
        return told

    def dataset_of(self, name: str) -> str:
        """What the dataset of an index is called by now: whoever may read it may search.

        Raises:
            NotFound: there is no such index, or its dataset was dropped.
        """
        index = self.get(name)
        return self._sources.of_id(index.dataset_id, index.dataset).name

    def is_due(self, index: Index) -> bool:
        """Whether its dataset changed since; one whose last build failed waits for somebody."""
        if index.error:
            return False
        try:
            version = self._sources.of_id(index.dataset_id, index.dataset).version()
        except NotFound:
            return False
        return index.generation is None or version > index.generation.version

    # -- asking -----------------------------------------------------------------------

    def search(
        self, name: str, question: Question, *, asking: object | None = None
    ) -> SearchResult:
        """The rows of an index that fit a text or a vector best.

        Args:
            asking: the tables that a condition may look at; None: all.

        Raises:
            InvalidInput: the question is none that this index answers.
            NotFound: there is no such index, its dataset was dropped, or its model is not here.
            Unavailable: it is being built for the first time.
            CorruptData: its files are damaged, and it has to be built again.
        """
        for attempt in range(_ATTEMPTS):
            index, source, version = self._present(name, is_new=attempt > 0)
            question.check(index)
            if index.generation is None:
                raise _not_built(index)
            try:
                opened = self._open(index)
                break
            except NotFound:
                # Another process has built it since, and removed what nobody named.
                if attempt == _ATTEMPTS - 1:
                    raise
        generation = opened.generation
        query = query_vector(question, opened.index, self._embedder(index, question))
        keys: pa.Array | None = None
        if question.where is not None:
            keys = source.keys_where(question.where, generation.version, asking)
        rows, next_offset = ask(opened, question, query, keys)
        is_behind = version > generation.version
        return SearchResult(
            index=index.name,
            dataset=source.name,
            covered_version=generation.version,
            version=version,
            rows_behind=source.behind(generation.version) if is_behind else 0,
            is_exact=opened.is_exact,
            recall=generation.recall,
            next_offset=next_offset,
            rows=rows,
        )

    def close(self) -> None:
        """Stop building and let go of what is open."""
        self._builder.close()
        with self._lock:
            opened, self._opened = list(self._opened.values()), OrderedDict()
        for one in opened:
            one.close()
        self._embedders.close()
        shutil.rmtree(self._own_folder(), ignore_errors=True)

    # -- inside -----------------------------------------------------------------------

    def _build(self, index: Index, author: Author, *, wait: bool, anew: bool) -> Index:
        if not wait:
            self._builder.submit(index.name, author, anew=anew)
            return index
        return self._builder.build(index.name, author, anew=anew, use_model_of_settings=anew)

    def _embedder(self, index: Index, question: Question) -> Embedder | None:
        if index.model is None or question.vector is not None:
            return None
        try:
            return self._embedders.get(index.model)
        except NotFound as error:
            raise NotFound(
                "the model of this index is not on this machine",
                where=index.name,
                expected=index.model,
                hint=f"`lakecore index refresh {index.name} --rebuild` builds it with the one "
                "that is; or search with a vector",
            ) from error

    def _present(self, name: str, *, is_new: bool) -> tuple[Index, Source, int]:
        """The index, what it is over, and the version of that."""
        now_s = time.monotonic()
        known = self._known.get(name)
        if known is not None and not is_new and now_s - known[0] < self._fresh_s:
            return known[1:]
        index = self._registry.get(name)
        try:
            source = self._sources.of_id(index.dataset_id, index.dataset)
        except NotFound as error:
            raise NotFound(
                "the dataset of this index was dropped", where=name, found=index.dataset
            ) from error
        found = (now_s, index, source, source.version())
        with self._lock:
            self._known[name] = found
        return found[1:]

    def _open(self, index: Index) -> Opened:
        """The generation that an index serves. Raises `CorruptData`, `NotFound`."""
        generation = index.generation
        assert generation is not None  # noqa: S101 - callers look before
        with self._lock:
            found = self._opened.get(generation.id)
            if found is not None:
                self._opened.move_to_end(generation.id)
                return found
        folder = self._own_folder() / generation.id
        try:
            made = Opened(index, generation, self._files, self._texts, folder)
        except CorruptData as error:
            raise CorruptData(
                error.message,
                expected=error.expected,
                found=error.found,
                where=error.where,
                hint=f"`lakecore index refresh {index.name} --rebuild` makes the index again",
            ) from error
        with self._lock:
            first = self._opened.setdefault(generation.id, made)
            # One that is not served any more goes first: its index has another by now.
            while len(self._opened) > MAX_OPEN:
                self._opened.popitem(last=False)
        return first

    def _own_folder(self) -> Path:
        """Text indexes that this process has open."""
        mine = self._folder / "open" / f"{os.getpid()}-{id(self):x}"
        if not mine.is_dir() and mine.parent.is_dir():
            for left in mine.parent.iterdir():
                if not is_running(left.name):
                    shutil.rmtree(left, ignore_errors=True)
        return mine


def _not_built(index: Index) -> Unavailable | CorruptData:
    if index.state == FAILED:
        return CorruptData(
            "the index could not be built",
            where=index.name,
            found=index.error,
            hint=f"`lakecore index refresh {index.name}` tries again",
        )
    return Unavailable(
        "the index is being built for the first time",
        where=index.name,
        hint=f"`lakecore index refresh {index.name}` builds it, if nobody does",
    )
