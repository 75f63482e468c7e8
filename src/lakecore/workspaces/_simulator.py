"""Changes tried out in a workspace of their own: `Simulator` of the changes.

The change is made there by the rules, like any other; then the checks of its dataset are
asked: SQL that must not find a row. A workspace whose change failed is dropped at once, one
whose change waits for an approval stays until it is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import Clock, LakecoreError, NotFound, Refused, Retry, Stop, uuid7
from lakecore.changes import Simulation
from lakecore.workspaces._workspace import Base, Workspace

if TYPE_CHECKING:
    from lakecore.journal import Author
    from lakecore.tables import DatasetRef, MutationResult
    from lakecore.workspaces._workspaces import Workspaces

_SHOWN: Final = 3
_MAX_TEXT: Final = 500

RunSql = Callable[[Workspace, str], Sequence[Mapping[str, Any]]]
"""Runs SQL in a workspace and gives a few of the rows that it finds."""


@dataclass(frozen=True, slots=True)
class SqlCheck:
    """A question that must find no row."""

    name: str
    sql: str


class WorkspaceSimulator:
    """Tries changes out. Threads may share it.

    Args:
        checks: those of a dataset.
        run: asks one of them.
    """

    def __init__(
        self,
        workspaces: Workspaces,
        clock: Clock,
        *,
        checks: Callable[[str], Sequence[SqlCheck]],
        run: RunSql,
    ) -> None:
        self._workspaces = workspaces
        self._clock = clock
        self._checks = checks
        self._run = run

    def simulate(
        self,
        dataset: DatasetRef,
        apply: Callable[[DatasetRef, Author], MutationResult],
        *,
        author: Author,
        mutation_id: str,
    ) -> Simulation:
        """The change made in a fresh workspace, and what the checks say of it."""
        workspace = self._workspaces.create(f"sim-{uuid7(self._clock)}", author=author)
        try:
            checks = self._try(workspace, dataset, apply, author, mutation_id)
        except BaseException:
            self.discard(workspace.name)
            raise
        if all(check["passed"] for check in checks):
            return Simulation(passed=True, workspace=workspace.name, checks=tuple(checks))
        self.discard(workspace.name)
        return Simulation(passed=False, checks=tuple(checks))

    def discard(self, workspace: str) -> None:
        """Drop a workspace of `simulate`, if it is there."""
        from lakecore.journal import Author

        with suppress(NotFound, Refused):
            self._workspaces.drop(workspace, author=Author(actor="lakecore", source="sim"))

    def _try(
        self,
        workspace: Workspace,
        dataset: DatasetRef,
        apply: Callable[[DatasetRef, Author], MutationResult],
        author: Author,
        mutation_id: str,
    ) -> list[dict[str, Any]]:
        base = workspace.base.get(dataset.name) or _new(dataset)
        here = replace(
            author,
            workspace_id=workspace.workspace_id,
            context={**author.context, "simulates": mutation_id},
        )
        try:
            branch = self._workspaces.begin(workspace, base, author=here)
            result = apply(branch, here)
        except (Retry, Stop):
            raise  # nothing is wrong with the change
        except LakecoreError as error:
            return [_check("applied", False, str(error))]
        counts = f"{result.inserted} inserted, {result.updated} updated, {result.deleted} deleted"
        return [_check("applied", True, counts), *self._asked(workspace, dataset.name)]

    def _asked(self, workspace: Workspace, dataset: str) -> list[dict[str, Any]]:
        found = []
        for check in self._checks(dataset):
            try:
                rows = self._run(workspace, check.sql)
            except (Retry, Stop):
                raise
            except LakecoreError as error:
                found.append(_check(check.name, False, f"it cannot be asked: {error}"))
                continue
            text = "no row" if not rows else f"rows such as {[dict(row) for row in rows[:_SHOWN]]}"
            found.append(_check(check.name, not rows, text))
        return found


def _check(name: str, passed: bool, text: str) -> dict[str, Any]:
    return {"name": name, "passed": passed, "text": text[:_MAX_TEXT]}


def _new(dataset: DatasetRef) -> Base:
    """A dataset that comes with the change that is tried."""
    return Base(
        name=dataset.name,
        dataset_id=dataset.dataset_id,
        location=dataset.location,
        version=-1,
        key=dataset.key,
        entity_type=dataset.entity_type,
        contract=dataset.contract,
    )
