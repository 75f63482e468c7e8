"""`Lake.search` and `Lake.index`: what is near a text, and what makes that fast."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import LakecoreError, NotFound
from lakecore.journal import Author

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.app._components import Components
    from lakecore.config import EmbeddingSettings
    from lakecore.embeddings import CachedEmbedder
    from lakecore.search import Embedder, Index, Indexes, SearchResult, TextIndex

_Author = Callable[[str | None, str, str], Author]
REFRESH_ACTOR: Final = "lakecore"
REFRESH_SOURCE: Final = "refresh"
_log = logging.getLogger(__name__)


class SearchFace:
    """What `Lake` does with indexes."""

    _parts: Components
    _author: _Author

    @cached_property
    def index(self) -> LakeIndexes:
        """The indexes: create, list, refresh, drop."""
        return LakeIndexes(self._parts, self._author)

    def search(self, index: str, text: str | None = None, **asked: Any) -> SearchResult:
        """The rows of an index that fit a text best, the best first.

        Options: `limit` (10), `offset`, `where` (a condition in SQL over the dataset's columns,
        as of the version that is indexed), `vector` in place of the one a model makes of the
        text, `highlight` (True). The answer says which version it covers, and how many rows
        changed since.

        Raises:
            NotFound: there is no such index, or its dataset was dropped.
            InvalidInput: the index cannot answer this.
        """
        from lakecore.search import Question

        with self._parts.traces.span("search", index=index):
            question = Question(text=text, **asked)
            return self._parts.indexes.search(index, question, asking=self._asking())

    def _asking(self) -> object | None:
        """The tables that a condition may look at; None: all."""
        return None


class LakeIndexes:
    """The indexes of a lake. Every change of them is in the journal.

    An index is told JSON-ready: its `name`, `dataset`, `kind`, `columns`, `model`, `metric`,
    `state` (building, ready, stale, failed), `covered_version`, `rows_behind`, `recall`, …
    """

    def __init__(self, parts: Components, author: _Author) -> None:
        self._parts = parts
        self._author = author

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
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> dict[str, Any]:
        """Make an index over columns of a dataset with a key, and build it.

        Args:
            dataset: its name, or ``system.journal``.
            columns: of texts; or, with the kind ``vector``, one of vectors.
            kind: ``vector``, ``text``, or ``hybrid``: both, their rankings fused.
            model: that makes vectors of texts; None: the one of the settings.
            metric: ``cosine``, ``dot`` or ``l2``.
            parameters: ``exact_rows``, ``connectivity``, ``expansion_add``, ``min_recall``.
            wait: False: it is built in the background.
        """
        made = self._parts.indexes.create(
            name,
            dataset,
            columns,
            kind=kind,
            model=model,
            metric=metric,
            parameters=parameters,
            wait=wait,
            author=self._author(actor, source, reason),
        )
        return self._told(made)

    def refresh(
        self,
        name: str,
        *,
        rebuild: bool = False,
        wait: bool = True,
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> dict[str, Any]:
        """Bring an index to its dataset's newest version.

        Args:
            rebuild: from all rows, not only from those that changed; with the model of the
                settings, where that is another than before.
            wait: False: it is built in the background; what is there is served until then.
        """
        author = self._author(actor, source, reason)
        build = self._parts.indexes.rebuild if rebuild else self._parts.indexes.refresh
        return self._told(build(name, wait=wait, author=author))

    def drop(
        self, name: str, *, actor: str | None = None, source: str = "api", reason: str = ""
    ) -> dict[str, Any]:
        """End an index, and remove its files."""
        told = self.get(name)
        self._parts.indexes.drop(name, author=self._author(actor, source, reason))
        return {**told, "state": "dropped"}

    def list(self) -> list[dict[str, Any]]:
        """All of them, by name."""
        return [self._told(index) for index in self._parts.indexes.list_indexes()]

    def get(self, name: str) -> dict[str, Any]:
        """One of them. Raises `NotFound`."""
        return self._told(self._parts.indexes.get(name))

    def dataset_of(self, name: str) -> str:
        """What the dataset of an index is called by now."""
        return self._parts.indexes.dataset_of(name)

    def _told(self, index: Index) -> dict[str, Any]:
        return self._parts.indexes.describe(index)


class Models:
    """The model of the settings, made when it is first asked for."""

    def __init__(self, settings: EmbeddingSettings, state_dir: Path) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._lock = threading.Lock()
        self._made: CachedEmbedder | None = None

    def get(self, name: str | None) -> Embedder:
        """See `lakecore.search.Embedders`."""
        with self._lock:
            if self._made is None:
                from lakecore.app._embedder import make_embedder

                self._made = make_embedder(self._settings, self._state_dir)
        if name is not None and name != self._made.name:
            raise NotFound("this machine has no such model", found=name, expected=self._made.name)
        return self._made

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            if self._made is not None:
                self._made.close()


class FullTexts:
    """Text indexes in folders."""

    def create(self, folder: Path, fields: Sequence[str]) -> TextIndex:
        """See `lakecore.search.TextIndexes`."""
        from lakecore.fulltext import TextIndex

        return TextIndex.create(folder, fields)

    def open(self, folder: Path) -> TextIndex:
        """See `lakecore.search.TextIndexes`."""
        from lakecore.fulltext import TextIndex

        # Its files were found whole by the hashes of the registry.
        return TextIndex.open(folder, check=False)


def make_indexes(parts: Components) -> Indexes:
    """The indexes of a lake, as its settings say."""
    from lakecore.app._search_sources import LakeSources
    from lakecore.search import Indexes, SearchSettings

    settings = parts.settings.search
    return Indexes(
        parts.store,
        parts.documents,
        parts.state_dir,
        parts.clock,
        sources=LakeSources(parts),
        embedders=Models(settings, parts.state_dir),
        texts=FullTexts(),
        settings=SearchSettings(
            cache_bytes=settings.index_cache_bytes,
            grace_hours=parts.settings.lake.vacuum_grace_hours,
        ),
    )


class Refresher:
    """Brings indexes to their datasets' newest version, in a process that lives long."""

    def __init__(self, parts: Components) -> None:
        self._parts = parts
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lakecore-refresh", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a build under way is left at its next pause, when the lake is closed."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._parts.settings.search.refresh_interval_s):
            try:
                self._submit()
            except LakecoreError as error:
                _log.warning("indexes were not refreshed: %s", error)

    def _submit(self) -> None:
        indexes = self._parts.indexes
        author = Author(actor=REFRESH_ACTOR, source=REFRESH_SOURCE)
        for index in indexes.list_indexes():
            if self._stopped.is_set():
                return
            if indexes.is_due(index):
                indexes.refresh(index.name, wait=False, author=author)


def search_table(found: SearchResult) -> pa.Table:
    """An answer as a table of SQL: with what it covers in every row."""
    import pyarrow as pa

    count = found.rows.num_rows
    covered = pa.array([found.covered_version] * count, pa.int64())
    behind = pa.array([found.rows_behind] * count, pa.int64())
    table = found.rows.append_column("_covered_version", covered)
    return table.append_column("_rows_behind", behind)


def indexes_table(indexes: Indexes) -> pa.Table:
    """`system.indexes`: one row an index, as of now."""
    import pyarrow as pa

    schema = pa.schema(
        [
            ("name", pa.string()),
            ("dataset", pa.string()),
            ("kind", pa.string()),
            ("columns", pa.list_(pa.string())),
            ("model", pa.string()),
            ("dimension", pa.int64()),
            ("metric", pa.string()),
            ("state", pa.string()),
            ("error", pa.string()),
            ("covered_version", pa.int64()),
            ("version", pa.int64()),
            ("rows_behind", pa.int64()),
            ("rows", pa.int64()),
            ("skipped", pa.int64()),
            ("recall", pa.float64()),
            ("size_bytes", pa.int64()),
            ("built", pa.timestamp("us", tz="UTC")),
            ("duration_s", pa.float64()),
        ]
    )
    told = [indexes.describe(index) for index in indexes.list_indexes()]
    return pa.Table.from_pylist([{**one, "built": one["built_us"]} for one in told], schema=schema)
