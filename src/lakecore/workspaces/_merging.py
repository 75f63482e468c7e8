"""A workspace merged into main: one mutation a dataset, each exactly once.

    1. look: each dataset in a preview; conflicts and refusals end it here, nothing changed
    2. document: merging, with the version of each branch      nothing new comes in from here
    3. each dataset: its one mutation, through the gate        killed here: the next call goes on
    4. document: merged, with the version of each dataset

Not atomic over datasets: killed in 3., some are merged and some are not, until somebody
merges again. Which ones are is told by the tables themselves: a dataset's merge has an id of
its own, and is not made where a version has it already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from lakecore.base import (
    Clock,
    Conflict,
    FixRequest,
    InvalidInput,
    LakecoreError,
    NotFound,
    Refused,
)
from lakecore.journal import Author
from lakecore.workspaces._workspace import CLOSED, MERGED, MERGING, OPEN, Base, Workspace

if TYPE_CHECKING:
    from lakecore.catalog import Catalog, Dataset
    from lakecore.changes import ChangeResult
    from lakecore.journal import Event, Journal
    from lakecore.tables import CellConflict
    from lakecore.workspaces._workspaces import Workspaces

MAX_EXPLAINED: Final = 100
"""Conflicts for which it is looked up who changed main."""
_MAX_NAMED: Final = 3

Resolution = Sequence[str]
"""(dataset, entity_id, field, side): field ``*`` is a whole row, side ours or theirs."""


class MakesChanges(Protocol):
    """Makes changes by the rules; `lakecore.changes.Changes` does."""

    def make(
        self,
        call: str,
        dataset: Dataset,
        *,
        author: Author,
        tier: str = "auto",
        mutation_id: str | None = None,
        **arguments: Any,
    ) -> ChangeResult: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundConflict:
    """One conflict; values are JSON text, None where the row is not there.

    `by` is the last event that changed it in main, where that is known.
    """

    dataset: str
    entity_id: str
    field: str
    base: str | None
    ours: str | None
    theirs: str | None
    by: Event | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "dataset": self.dataset,
            "entity_id": self.entity_id,
            "field": self.field,
            "base": self.base,
            "ours": self.ours,
            "theirs": self.theirs,
            "by": self.by.to_dict() if self.by is not None else None,
        }


class WorkspaceConflicts(Conflict):
    """Main and the workspace changed the same; `conflicts` has the first of `count`.

    Nothing was merged of the datasets that it names.
    """

    def __init__(self, name: str, conflicts: Sequence[FoundConflict], count: int) -> None:
        self.conflicts = tuple(conflicts)
        self.count = count
        texts = [_told(one) for one in conflicts[:_MAX_NAMED]]
        more = count - len(texts)
        super().__init__(
            "main and the workspace changed the same",
            where=name,
            found="; ".join(texts) + (f"; and {more:,} more" if more > 0 else ""),
            hint="say which side counts, for each (resolve) or for all (on_conflict)",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetMerge:
    """What came of one dataset.

    `version` is the one that the merge made, None when nothing was left to change or it
    waits for an approval (`held`).
    """

    dataset: str
    mutation_id: str
    version: int | None
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """What came of a merge.

    `late` names datasets that were changed in the workspace after the merge had begun, by
    somebody who had looked before: those changes are not merged.
    """

    workspace: str
    state: str
    datasets: tuple[DatasetMerge, ...] = ()
    late: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Whether a dataset waits for an approval; merge again when it has it."""
        return any(one.held for one in self.datasets)


class Merging:
    """One call of merge."""

    def __init__(
        self,
        workspaces: Workspaces,
        changes: MakesChanges,
        catalog: Catalog,
        journal: Journal,
        clock: Clock,
        *,
        author: Author,
        on_conflict: str | None = None,
        resolve: Sequence[Resolution] = (),
    ) -> None:
        self._workspaces = workspaces
        self._changes = changes
        self._catalog = catalog
        self._journal = journal
        self._clock = clock
        self._author = author
        self._on_conflict = on_conflict
        self._resolve = resolve

    def run(self, name: str) -> MergeResult:
        """Merge, or go on with a merge.

        Raises:
            WorkspaceConflicts: nothing of those datasets was merged.
            Refused: the rules of main say no.
            NotFound: a dataset that was changed here is gone from main.
            Conflict: columns do not go together.
            Refused, also: the workspace was dropped.
        """
        workspace = self._workspaces.get(name)
        if workspace.state in CLOSED:
            if workspace.state == MERGED:
                return _merged_before(workspace)
            workspace.check_open()
        is_mine = workspace.state == OPEN
        branches = self._branches(workspace)
        mains = {dataset: self._main(workspace.base[dataset]) for dataset in branches}
        order = self._looked_at(workspace, branches, mains)
        # Crash window: the workspace takes no changes; whoever merges next goes on.
        workspace = self._begin(workspace, branches)
        done: list[DatasetMerge] = []
        try:
            for dataset in order:
                self._merge(workspace, dataset, branches[dataset], mains[dataset], done)
        except (Conflict, FixRequest):
            # After other errors it may not be known whether a commit was made.
            self._stopped(workspace, done, may_reopen=is_mine)
            raise
        return self._end(workspace, done)

    # -- 1. ---------------------------------------------------------------------------

    def _branches(self, workspace: Workspace) -> dict[str, int]:
        if workspace.branches is not None:
            return dict(workspace.branches)
        touched = self._workspaces.touched(workspace)
        # A branch that is as it began has nothing to merge.
        return {
            name: version
            for name, version in touched.items()
            if version > 0 or workspace.base[name].version < 0
        }

    def _main(self, base: Base) -> Dataset:
        """The dataset as main has it: by its id, whatever its name is now."""
        for dataset in self._catalog.list_datasets():
            if dataset.dataset_id == base.dataset_id:
                return dataset
        raise NotFound(
            "a dataset that was changed in the workspace is gone from main",
            where=base.name,
            hint=f"bring it back (lakecore undrop {base.name}), or drop the workspace",
        )

    def _looked_at(
        self, workspace: Workspace, branches: Mapping[str, int], mains: Mapping[str, Dataset]
    ) -> list[str]:
        """The datasets in the order to merge them: what is refused first, before anything is."""
        if len(branches) < 2:
            return list(branches)
        conflicts: list[FoundConflict] = []
        count = 0
        blocked: list[str] = []
        others: list[str] = []
        for dataset, version in branches.items():
            try:
                found = self._make(workspace, dataset, version, mains[dataset], tier="preview")
            except WorkspaceConflicts as error:
                conflicts += error.conflicts
                count += error.count
                continue
            (blocked if found.tier == "block" else others).append(dataset)
        if conflicts:
            raise WorkspaceConflicts(workspace.name, conflicts, count)
        return blocked + others

    # -- 2. ---------------------------------------------------------------------------

    def _begin(self, workspace: Workspace, branches: Mapping[str, int]) -> Workspace:
        if workspace.state == MERGING:
            return workspace

        def begun(now: Workspace) -> Workspace:
            if now.workspace_id != workspace.workspace_id or now.state in CLOSED:
                raise Refused("the workspace is over", where=now.name, found=now.state)
            if now.state == MERGING:
                return now  # somebody else merges it, too: with these branches
            return replace(now, state=MERGING, branches=dict(branches))

        begun_now = self._change(workspace, begun, "merging")
        if dict(begun_now.branches or {}) != dict(branches):
            raise Conflict(
                "somebody else merges the workspace", where=workspace.name, hint="try again"
            )
        return begun_now

    # -- 3. ---------------------------------------------------------------------------

    def _merge(
        self,
        workspace: Workspace,
        dataset: str,
        version: int,
        main: Dataset,
        done: list[DatasetMerge],
    ) -> None:
        result = self._make(workspace, dataset, version, main)
        done.append(
            DatasetMerge(
                dataset=main.name,
                mutation_id=result.mutation_id,
                version=result.version,
                inserted=result.inserted,
                updated=result.updated,
                deleted=result.deleted,
                held=result.held,
            )
        )

    def _make(
        self,
        workspace: Workspace,
        dataset: str,
        version: int,
        main: Dataset,
        *,
        tier: str = "auto",
    ) -> ChangeResult:
        from lakecore.tables import MergeConflicts

        base = workspace.base[dataset]
        branch = workspace.branch(base)
        author = self._author
        context = {**author.context, "workspace": workspace.workspace_id}
        names = (dataset, main.name)
        try:
            return self._changes.make(
                "merge",
                main,
                author=replace(author, workspace_id="", context=context),
                tier=tier,
                mutation_id=workspace.mutation_id(base),
                branch_id=branch.dataset_id,
                branch_location=branch.location,
                branch_version=version,
                base_version=base.version,
                on_conflict=self._on_conflict,
                resolutions=[list(one[1:]) for one in self._resolve if one[0] in names],
            )
        except MergeConflicts as error:
            found = self._explained(error.conflicts, main, base)
            raise WorkspaceConflicts(workspace.name, found, error.count) from error

    def _explained(
        self, conflicts: Sequence[CellConflict], main: Dataset, base: Base
    ) -> list[FoundConflict]:
        found = []
        for number, one in enumerate(conflicts):
            by = None
            if number < MAX_EXPLAINED and main.key:
                with suppress(LakecoreError):
                    by = self._last_change(one, main, base)
            found.append(
                FoundConflict(
                    dataset=main.name,
                    entity_id=one.entity_id,
                    field=one.field,
                    base=one.base,
                    ours=one.ours,
                    theirs=one.theirs,
                    by=by,
                )
            )
        return found

    def _last_change(self, one: CellConflict, main: Dataset, base: Base) -> Event | None:
        events = self._journal.entity_history(one.entity_id, dataset_id=main.dataset_id)
        for event in reversed(events):
            is_later = event.version is not None and event.version > base.version
            if is_later and (one.field == "*" or event.field in (one.field, "*")):
                return event
        return None

    # -- 4. ---------------------------------------------------------------------------

    def _stopped(
        self, workspace: Workspace, done: Sequence[DatasetMerge], *, may_reopen: bool
    ) -> None:
        """Open again, if this call began it and nothing came of it."""
        if done or not may_reopen:
            return

        def opened(now: Workspace) -> Workspace:
            mine = now.workspace_id == workspace.workspace_id and now.state == MERGING
            return replace(now, state=OPEN, branches=None) if mine else now

        with suppress(LakecoreError):
            self._change(workspace, opened, "open")

    def _end(self, workspace: Workspace, done: Sequence[DatasetMerge]) -> MergeResult:
        touched = self._workspaces.touched(workspace)
        branches = workspace.branches or {}
        late = [
            name
            for name, version in touched.items()
            if version > branches.get(name, 0 if workspace.base[name].version >= 0 else -1)
        ]
        result = MergeResult(
            workspace=workspace.name, state=MERGING, datasets=tuple(done), late=tuple(late)
        )
        if result.held:
            return result
        now_us = self._clock.now_us()
        versions = {one.dataset: one.version for one in done}

        def ended(now: Workspace) -> Workspace:
            if now.workspace_id != workspace.workspace_id or now.state in CLOSED:
                return now
            return replace(now, state=MERGED, merged=versions, closed_us=now_us)

        return replace(result, state=self._change(workspace, ended, "merge").state)

    def _change(self, workspace: Workspace, change: Any, action: str) -> Workspace:
        return self._workspaces.change(workspace.name, change, author=self._author, action=action)


def _merged_before(workspace: Workspace) -> MergeResult:
    ids = {base.name: workspace.mutation_id(base) for base in workspace.base.values()}
    return MergeResult(
        workspace=workspace.name,
        state=workspace.state,
        datasets=tuple(
            DatasetMerge(dataset=name, mutation_id=ids.get(name, ""), version=version)
            for name, version in (workspace.merged or {}).items()
        ),
    )


def _told(one: FoundConflict) -> str:
    row = one.entity_id or "a row"
    by = f", by {one.by.actor}" if one.by is not None else ""
    sides = [_short(value) for value in (one.base, one.ours, one.theirs)]
    return (
        f"{one.dataset} {row} {one.field}: {sides[0]} became {sides[1]} here "
        f"and {sides[2]} in main{by}"
    )


def _short(text: str | None) -> str:
    return "absent" if text is None else text if len(text) <= 40 else f"{text[:39]}…"


def resolutions_of(given: object) -> list[list[str]]:
    """Resolutions as callers write them: sequences of four texts, or a mapping.

    >>> resolutions_of({("planes", "N10156", "seats"): "ours"})
    [['planes', 'N10156', 'seats', 'ours']]
    """
    rows = [(*key, side) for key, side in given.items()] if isinstance(given, Mapping) else given
    found = [list(one) for one in rows] if isinstance(rows, Sequence) else []
    if not isinstance(rows, Sequence) or any(
        len(one) != 4 or not all(isinstance(part, str) for part in one) for one in found
    ):
        raise InvalidInput(
            "not resolutions of conflicts",
            expected="(dataset, entity_id, field) to 'ours' or 'theirs'",
            found=repr(given)[:200],
        )
    return found
