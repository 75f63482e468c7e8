"""What search stands on, without a model and without tables: rows of versions, hashed words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tests.fakes.faulty_store import FaultyStore

from lakecore.base import ManualClock, NotFound
from lakecore.documents import Documents
from lakecore.fulltext import TextIndex
from lakecore.journal import Author, Journal
from lakecore.search import KEY, Changed, Indexes, SearchSettings, Snapshot
from lakecore.storage import Store

ADA = Author(actor="ada", reason="test")


class HashEmbedder:
    """Texts to vectors by hashed words: texts with the same words are near each other."""

    def __init__(self, dimension: int = 32, name: str = "hash@1") -> None:
        self.dimension = dimension
        self.name = name
        self.embedded = 0

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """One row of unit length for each text."""
        self.embedded += len(texts)
        found = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split() or [""]:
                seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
                found[row] += np.random.default_rng(seed).standard_normal(self.dimension)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return found.astype(np.float32)


class FakeEmbedders:
    """The models of a machine: one."""

    def __init__(self, model: HashEmbedder | None = None) -> None:
        self.model = model or HashEmbedder()

    def get(self, name: str | None) -> HashEmbedder:
        """The model, if it has this name."""
        if name not in (None, self.model.name):
            raise NotFound("this machine has no such model", found=name)
        return self.model

    def close(self) -> None:
        """Nothing is held."""


class FullTexts:
    """The real full text."""

    def create(self, folder: Path, fields: Sequence[str]) -> TextIndex:
        """A new one."""
        return TextIndex.create(folder, fields)

    def open(self, folder: Path) -> TextIndex:
        """One that is there."""
        return TextIndex.open(folder)


class FakeSource:
    """A dataset whose versions are tables in memory.

    Attributes:
        forgets: versions before the newest are not kept: what changed is not known.
    """

    name = "docs"
    dataset_id = "docs-id"
    key = ("id",)

    def __init__(self, rows: pa.Table) -> None:
        self.versions = [rows]
        self.forgets = False

    def version(self) -> int:
        """The newest one."""
        return len(self.versions) - 1

    def snapshot(self) -> Snapshot | None:
        """The newest one."""
        rows = self.versions[-1]
        return Snapshot(self.version(), rows.schema, rows.num_rows, rows)

    def scan(self, snapshot: Snapshot, columns: Sequence[str]) -> Iterator[pa.Table]:
        """All rows, a hundred at a time."""
        yield from _pieces(snapshot.handle, columns)

    def changed(self, since: int, snapshot: Snapshot, columns: Sequence[str]) -> Changed:
        """Rows that came or are different, and as many that are as they were."""
        if self.forgets:
            return Changed(self.scan(snapshot, columns), None)
        before = {row["id"]: row for row in self.versions[since].to_pylist()}
        now = {row["id"]: row for row in snapshot.handle.to_pylist()}
        ids = [key for number, key in enumerate(now) if before.get(key) != now[key] or number < 9]
        rows = snapshot.handle.filter(pc.is_in(snapshot.handle["id"], pa.array(ids, pa.int64())))
        gone = pa.array([str(key) for key in before if key not in now], pa.string())
        return Changed(_pieces(rows, columns), gone)

    def behind(self, since: int) -> int | None:
        """Rows that are different."""
        before, now = (
            {row["id"]: row for row in rows.to_pylist()}
            for rows in (self.versions[since], self.versions[-1])
        )
        return sum(before.get(key) != now.get(key) for key in before.keys() | now.keys())

    def keys_where(self, condition: str, version: int, asking: object | None) -> pa.Array:
        """Keys of rows where ``column = number`` or ``column < number``."""
        column, sign, number = condition.split()
        rows = self.versions[version]
        compare = {"=": pc.equal, "<": pc.less}[sign]
        chosen = rows.filter(compare(rows[column], int(number)))
        return chosen["id"].combine_chunks().cast(pa.string())


class FakeSources:
    """One dataset."""

    def __init__(self, source: FakeSource) -> None:
        self.source = source
        self.is_dropped = False

    def named(self, dataset: str) -> FakeSource:
        """It."""
        if dataset != self.source.name:
            raise NotFound("there is no dataset of that name", where=dataset)
        return self.source

    def of_id(self, dataset_id: str, called: str) -> FakeSource:
        """It, if it is still there."""
        if self.is_dropped:
            raise NotFound("the dataset of an index was dropped", where=called)
        return self.source


class Bucket(FaultyStore):
    """A store whose objects are not on this machine."""

    def local_path(self, path: str) -> Path | None:
        """Nowhere."""
        return None


class SearchLab:
    """Indexes over one dataset in one store. `reopen` is another process."""

    def __init__(self, store: Store, folder: Path, rows: pa.Table) -> None:
        self.store = store
        self.folder = folder
        self.clock = ManualClock()
        self.source = FakeSource(rows)
        self.sources = FakeSources(self.source)
        self.embedders = FakeEmbedders()
        self.journal = Journal.open(store, folder / "state")
        self.opened: list[Indexes] = []
        self.indexes = self.reopen()

    def reopen(self, store: Store | None = None, **settings: Any) -> Indexes:
        """Indexes as another process has them."""
        store = store or self.store
        indexes = Indexes(
            store,
            Documents(store, self.journal, self.clock),
            self.folder / f"state-{len(self.opened)}",
            self.clock,
            sources=self.sources,
            embedders=self.embedders,
            texts=FullTexts(),
            settings=SearchSettings(**settings),
        )
        self.opened.append(indexes)
        return indexes

    def close(self) -> None:
        """End all of it."""
        for indexes in self.opened:
            indexes.close()
        self.journal.close()


def docs(rows: Mapping[int, str | None], n: Mapping[int, int] | None = None) -> pa.Table:
    """A version: ids to texts."""
    ids = list(rows)
    numbers = [(n or {}).get(key, key % 7) for key in ids]
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "text": pa.array(list(rows.values()), pa.string()),
            "n": pa.array(numbers, pa.int64()),
        }
    )


def _pieces(rows: pa.Table, columns: Sequence[str]) -> Iterator[pa.Table]:
    names = list(dict.fromkeys(["id", *columns]))
    for first in range(0, rows.num_rows, 100):
        piece = rows.select(names).slice(first, 100)
        yield piece.add_column(0, KEY, piece["id"].cast(pa.string()))
