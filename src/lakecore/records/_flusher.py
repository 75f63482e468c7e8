"""From the spool into the tables: each batch once.

    read the table's number -> forget the batches up to it -> append those behind it -> forget

The append is one commit. It holds on a version whose number is still the one that was read,
and leaves that of its last batch there (`tables.Once`). So:

- killed before the commit: the batches are there, the number is not: they are appended;
- killed between commit and forgetting: the number is there: they are forgotten;
- the answer to the commit was lost, or it arrives late: whichever commit comes second finds
  another number, and what is left is looked up anew.

One process of a machine flushes at a time. A batch that its table does not take is put aside
with the reason, and holds nobody up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from lakecore.base import (
    AlreadyExists,
    Bug,
    Conflict,
    CorruptData,
    FixRequest,
    Unavailable,
)
from lakecore.journal import Author, alone
from lakecore.records import _rows
from lakecore.tables import Once

if TYPE_CHECKING:
    from lakecore.catalog import Catalog, Dataset
    from lakecore.records._kind import RecordKind
    from lakecore.records._spool import Batch, Spool
    from lakecore.tables import Tables

_log = logging.getLogger(__name__)

AUTHOR: Final = Author(actor="lakecore", source="records")
LOCK: Final = "records.lock"
VERSION_DAYS: Final = 1.0
"""How long versions of such a dataset are kept, beside its rows: nobody goes back to a flush."""

_MAX_TRIES: Final = 32
_BATCHES: Final = 4_096
_POISON: Final = (
    *(FixRequest, Bug),
    *(pa.ArrowException, ValueError, TypeError, ArithmeticError, LookupError),
)
"""What may be the rows' fault. All else says nothing about them: it is tried again."""


class Flusher:
    """Flushes one spool."""

    def __init__(
        self,
        spool: Spool,
        catalog: Catalog,
        tables: Tables,
        kind_of: Callable[[str], RecordKind | None],
    ) -> None:
        self._spool = spool
        self._catalog = catalog
        self._tables = tables
        self._kind_of = kind_of
        self._lock: Path = spool.path.with_name(LOCK)
        self.refused_bytes: dict[str, int] = {}
        """What is put aside, by dataset, as of the last flush of this process."""

    def flush(self, dataset: str | None, wait_s: float) -> int:
        """Append what waits, of one dataset or of all; how many rows.

        Raises:
            Unavailable: another process flushes, for longer than `wait_s`; or the store.
        """
        if not (self._spool.datasets() if dataset is None else self._spool.is_waiting(dataset)):
            return 0
        with alone(self._lock, wait_s) as is_mine:
            if not is_mine:
                raise Unavailable(
                    "another process writes records into the lake",
                    expected=f"at most {wait_s:g} s",
                    where=self._lock,
                    hint="what is acknowledged is durable, and gets in; try again",
                )
            names = self._spool.datasets() if dataset is None else [dataset]
            rows = 0
            first: Exception | None = None
            for name in names:
                try:
                    rows += self._flush(name)
                except Exception as error:  # one must not hold up the others; raised below
                    first = first or error
            self.refused_bytes = self._spool.refused_bytes()
            if first is not None:
                raise first
            return rows

    def _flush(self, name: str) -> int:
        spool_id = self._spool.spool_id()
        if spool_id is None:
            return 0
        # What comes from now on is the next flush's: else one would never end, in small commits.
        until = self._spool.last()
        home = self._home(name)
        mark = f"lakecore-records:{spool_id}"
        flushed = tries = 0
        limit = _BATCHES
        while True:
            after = self._tables.number_of(home, mark)
            self._spool.forget(name, after)
            batches = self._spool.read(name, after, until, limit)
            if not batches:
                return flushed
            try:
                table = self._decoded(name, batches)
                if table is not None:
                    once = Once(name=mark, after=after, number=batches[-1].number)
                    self._tables.append(home, table, author=AUTHOR, once=once)
                    flushed += table.num_rows
                limit = min(_BATCHES, limit * 2)
            except Conflict:
                tries += 1
                if tries >= _MAX_TRIES:
                    raise
            except OSError:
                raise  # Arrow's own is one, too
            except _POISON as error:  # it must not wedge the rest
                if self._tables.number_of(home, mark) != after:
                    continue
                if len(batches) == 1:
                    self._refuse(name, batches[0], error)
                limit = max(1, len(batches) // 2)

    def _decoded(self, name: str, batches: list[Batch]) -> pa.Table | None:
        """The batches as one table; those that are damaged are put aside."""
        found: list[pa.Table] = []
        for batch in batches:
            try:
                if batch.damage:
                    raise CorruptData("a batch of records is damaged", found=batch.damage)
                found.append(_rows.decode(batch.data))
            except CorruptData as error:
                self._refuse(name, batch, error)
        return _rows.join(found) if found else None

    def _refuse(self, name: str, batch: Batch, error: Exception) -> None:
        _log.error("%d records of %s are put aside: %s", batch.rows, name, error)
        self._spool.refuse(batch.number, f"{type(error).__name__}: {error}"[:2_000])

    def _home(self, name: str) -> Dataset:
        found = self._catalog.find(name)
        if found is not None:
            return found
        kind = self._kind_of(name)
        proposed = self._catalog.propose(
            name,
            entity_type=(kind.entity_type or kind.name) if kind else name.rpartition(".")[2],
            system=True,
            description=kind.description if kind else "Records of another Lakecore.",
        ).with_changes(retention_days=VERSION_DAYS)
        try:
            return self._catalog.register(proposed, author=AUTHOR)
        except AlreadyExists:
            return self._catalog.get(name)
