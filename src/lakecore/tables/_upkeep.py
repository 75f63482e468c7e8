"""Upkeep of tables through the one commit path: no row changes, so no rule is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lakecore.base import Conflict, NotFound
from lakecore.tables._checkpoint import checkpoint
from lakecore.tables._commit import Request, new_mutation_id
from lakecore.tables._compact import Compact, maintenance_change
from lakecore.tables._state import KEPT_FROM, MOVED, DataFile, TableState
from lakecore.tables._supported import check_writable
from lakecore.tables._types import DatasetRef, MutationResult

if TYPE_CHECKING:
    from lakecore.journal import Author
    from lakecore.tables._attempt import Attempt
    from lakecore.tables._compact import RowSorter
    from lakecore.tables._tables import Tables


class Upkeep:
    """What `maintain` does to the tables of `tables`: the same store, queues and caches."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def state(self, dataset: DatasetRef) -> TableState | None:
        """The newest version: files, bounds, what is kept; None when there is no data yet."""
        return self._tables._states.current(dataset)

    def files_at(self, dataset: DatasetRef, version: int) -> list[DataFile]:
        """The data files of one version. Raises `NotFound`."""
        states = self._tables._states
        view = states.view(dataset, version=version, is_reading=False)
        return states.state_of(dataset, view).files if view is not None else []

    def check(self, dataset: DatasetRef, state: TableState) -> None:
        """Raises `UnsupportedFormat` for a table that is left to the engine that made it."""
        check_writable(state, dataset, removes=False)

    def compact(
        self,
        dataset: DatasetRef,
        base: TableState,
        bins: Sequence[Sequence[DataFile]],
        *,
        target_bytes: int,
        author: Author,
        stop: Callable[[], None],
        sorter: RowSorter | None = None,
    ) -> tuple[MutationResult, dict[str, Any]]:
        """Make one file of each bin, files of `base`; the result, and what was measured.

        Args:
            sorter: reads and sorts the rows in place of this process.

        Raises:
            Conflict: others changed those files meanwhile; nothing is changed.
            CorruptData: a file is damaged; nothing is changed.
        """
        tables = self._tables
        # One bin is one file, however its rows turn out when they are written together.
        settings = replace(tables._settings, file_bytes=target_bytes)
        operation = Compact(tables._store, dataset, base, bins, settings, stop, sorter)
        operation.prepare()
        result = self._run(operation, dataset, author, "compact")
        return result, operation.details()

    def forget(
        self,
        dataset: DatasetRef,
        unneeded: Callable[[TableState], tuple[int, dict[str, Any]]],
        *,
        author: Author,
    ) -> MutationResult:
        """Commit from which version on the table is kept, before files of older ones go.

        It is a version of the table like any other. So who brings back files of an older
        version commits before it, and `unneeded` sees those files in use; or behind it, and
        is told that they are not kept any more.

        Args:
            unneeded: from the newest state to the oldest version that is kept, and what the
                event says; called again after a lost race.
        """
        return self._run(_Forget(unneeded), dataset, author, "vacuum")

    def fence(self, dataset: DatasetRef, number: int, target: str, *, author: Author) -> int:
        """Commit that the table leaves its place by move `number`; the version that says so.

        Nobody commits behind it whose catalog entry has fewer moves. Safe to repeat.

        Raises:
            Conflict: another move has fenced it meanwhile.
        """
        states = self._tables._states
        newest = states.current(dataset)
        if newest is None:
            raise NotFound("the dataset has no data yet", where=dataset.name)
        if newest.moved < number:
            self._run(_Fence(number, target), dataset, author, "move")
        # Whoever committed it: the last version there is none behind of.
        newest = states.current(dataset)
        if newest is None or newest.moved != number:
            raise Conflict("another move is under way", where=dataset.name)
        return newest.version

    def checkpoint(self, dataset: DatasetRef, version: int) -> bool:
        """Write a checkpoint of a version; False when that failed."""
        return checkpoint(self._tables._store, dataset.location, version)

    def _run(
        self, operation: Compact | _Forget | _Fence, dataset: DatasetRef, author: Author, op: str
    ) -> MutationResult:
        tables = self._tables
        mutation_id = new_mutation_id(tables._clock, None)
        request = Request(
            dataset=dataset, author=author, op=op, mutation_id=mutation_id, is_upkeep=True
        )
        return tables._committer.run(operation, request)


class _Forget:
    """A version that changes nothing but says which older ones are kept."""

    name = "VACUUM START"
    removes = False

    def __init__(self, unneeded: Callable[[TableState], tuple[int, dict[str, Any]]]) -> None:
        self._unneeded = unneeded

    def parameters(self) -> dict[str, str]:
        return {}

    def discard(self) -> None:
        """Nothing is written but the log."""

    def plan(self, attempt: Attempt) -> None:
        kept_from, details = self._unneeded(attempt.base)
        attempt.keeps_rows = True
        attempt.txn = (KEPT_FROM, max(kept_from, attempt.base.kept_from))
        attempt.emit(maintenance_change(attempt, "vacuum", details))


class _Fence:
    """A version that changes nothing but says by which move the table leaves its place."""

    name = "MOVE"
    removes = False

    def __init__(self, number: int, target: str) -> None:
        self._number = number
        self._target = target

    def parameters(self) -> dict[str, str]:
        return {"move": str(self._number)}

    def discard(self) -> None:
        """Nothing is written but the log."""

    def plan(self, attempt: Attempt) -> None:
        attempt.keeps_rows = True
        attempt.txn = (MOVED, self._number)
        details = {"move": self._number, "from": attempt.dataset.location, "to": self._target}
        attempt.emit(maintenance_change(attempt, "move", details))
