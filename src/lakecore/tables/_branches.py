"""The part of the face that makes branches of tables, and merges them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lakecore.base import InvalidInput, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal import Author
    from lakecore.storage import Store
    from lakecore.tables._gate import DiffSink
    from lakecore.tables._state import TableState, TableStates, TableView
    from lakecore.tables._three_way import Resolutions, Side
    from lakecore.tables._types import DatasetRef, MutationResult, TableSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A branch by its place alone: what else it has is its dataset's."""

    name: str
    dataset_id: str
    location: str
    key: tuple[str, ...]
    entity_type: str
    contract: str


class BranchTables:
    """What `Tables` does with branches: tables that begin with another one's files."""

    _store: Store
    _settings: TableSettings
    _states: TableStates
    _run: Callable[..., MutationResult]

    def newest_version(self, dataset: DatasetRef) -> int:
        """The newest version, -1 without data; found by names alone, nothing is read."""
        return self._states.newest_version(dataset.location)

    def branch(
        self, branch: DatasetRef, source: DatasetRef, *, version: int, author: Author
    ) -> bool:
        """Make `branch` begin with a version of `source`, by reference; False: it is there.

        Raises:
            NotFound: there is no such version, or its files are gone.
            UnsupportedFormat: a table that Lakecore does not write.
        """
        from lakecore.tables._clone import Clone

        state = self._at(source, version)
        result = self._run(
            Clone(source, state),
            branch,
            author,
            op="clone",
            mutation_id=None,
            dry_run=False,
            before_commit=None,
            grant=None,
            diff=None,
        )
        return result.committed

    def branch_diff(
        self, branch: DatasetRef, *, version: int | None = None, from_empty: bool = False
    ) -> Iterator[pa.Table]:
        """What a branch changed since it began, as `diff` has it.

        `from_empty`: the table had no data when the branch was made, so all of it is new.
        """
        from lakecore.tables._clone import check_references
        from lakecore.tables._diff import difference

        start, end = self._ends(branch, version, from_empty)
        paths = {file.path for state in (start, end) for file in state.files}
        check_references(self._store, branch.location, paths)
        if start.empty:
            start = replace(start, schema=end.schema)
        return difference(self._store, branch, start, end, self._settings)

    def missing_files(self, branch: DatasetRef, view: TableView) -> list[str]:
        """Files of other tables that a version of a branch refers to and that are gone."""
        from lakecore.tables._clone import missing_references

        paths = [file.path for file in self._states.state_of(branch, view).files]
        return missing_references(self._store, branch.location, paths)

    def merge(
        self,
        dataset: DatasetRef,
        *,
        branch_id: str,
        branch_location: str,
        branch_version: int,
        base_version: int,
        on_conflict: Side | None = None,
        resolutions: Sequence[Sequence[str]] = (),
        author: Author,
        mutation_id: str | None = None,
        dry_run: bool = False,
        before_commit: Callable[[], None] | None = None,
        grant: object | None = None,
        diff: DiffSink | None = None,
    ) -> MutationResult:
        """Make in `dataset` what a branch of it changed, as one mutation.

        It happens once: when a version has a mutation of this id, nothing is done, and
        `version` of the result is that one.

        Args:
            base_version: of the dataset, that the branch began with; -1: it had no data.
            branch_version: of the branch; what came later is left out.
            on_conflict: the side that counts where both changed the same; None: nobody's.
            resolutions: (entity_id, field, side) for single ones; field ``*`` is a whole row.

        Raises:
            MergeConflicts: both changed the same; nothing is changed then.
            Conflict: the columns do not go together.
        """
        from lakecore.tables._branch_merge import BranchMerge

        branch = _Place(
            name=dataset.name,
            dataset_id=branch_id,
            location=branch_location,
            key=dataset.key,
            entity_type=dataset.entity_type,
            contract=dataset.contract,
        )
        start, end = self._ends(branch, branch_version, base_version < 0)
        operation = BranchMerge(
            branch,
            start,
            end,
            self._at(dataset, base_version),
            _resolutions(on_conflict, resolutions),
        )
        result = self._run(
            operation,
            dataset,
            author,
            op="merge",
            mutation_id=mutation_id,
            dry_run=dry_run,
            before_commit=before_commit,
            grant=grant,
            diff=diff,
        )
        if operation.already is not None:
            return replace(result, version=operation.already)
        return result

    def _ends(
        self, branch: DatasetRef, version: int | None, from_empty: bool
    ) -> tuple[TableState, TableState]:
        view = self._states.view(branch, version=version)
        if view is None:
            raise NotFound("the branch has no data", where=branch.location)
        return self._at(branch, -1 if from_empty else 0), self._states.state_of(branch, view)

    def _at(self, dataset: DatasetRef, version: int) -> TableState:
        from lakecore.tables._state import empty_state

        if version < 0:
            return empty_state(dataset, created_us=0)
        view = self._states.view(dataset, version=version)
        if view is None:
            raise NotFound(
                "the version that was branched from is gone", where=dataset.name, found=version
            )
        return self._states.state_of(dataset, view)


def _resolutions(on_conflict: Any, given: Sequence[Sequence[str]]) -> Resolutions:
    from lakecore.tables._three_way import SIDES, Resolutions

    cells: dict[tuple[str, str], Side] = {}
    for one in given:
        if len(one) != 3 or one[2] not in SIDES:
            raise InvalidInput(
                "not a resolution of a conflict",
                expected="a row's entity_id, a field (or '*'), and 'ours' or 'theirs'",
                found=repr(one)[:200],
            )
        cells[str(one[0]), str(one[1])] = "ours" if one[2] == "ours" else "theirs"
    if on_conflict not in (None, *SIDES):
        raise InvalidInput(
            "not a way to resolve conflicts", expected=" | ".join(SIDES), found=on_conflict
        )
    return Resolutions(on_conflict, cells)
