"""The tables of one workspace as readers see them: branches where touched, else the base."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from lakecore.base import NotFound
from lakecore.catalog import Dataset
from lakecore.workspaces._workspace import Base, Workspace

if TYPE_CHECKING:
    from lakecore.tables import TableView
    from lakecore.workspaces._workspaces import Workspaces

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class WorkspaceView:
    """Versions count in the workspace: 0 is the base, the first change makes 1.

    A time before the workspace was made is one of the base's table; nothing that happened
    there later is seen.
    """

    def __init__(self, workspaces: Workspaces, workspace: Workspace) -> None:
        self._workspaces = workspaces
        self.workspace = workspace

    def list_datasets(self, *, dropped: bool = False) -> list[Dataset]:
        """The datasets by name; `dropped` ones are none of the workspace's."""
        bases = self.workspace.base
        return [self.workspace.branch(bases[name]) for name in sorted(bases)]

    def find(self, name: str) -> Dataset | None:
        """A dataset as the workspace has it."""
        try:
            return self.get(name)
        except NotFound:
            return None

    def get(self, name: str) -> Dataset:
        """A dataset as the workspace has it. Raises `NotFound`."""
        return self.workspace.branch(self.base(name))

    def base(self, name: str) -> Base:
        """What the workspace began with of a dataset. Raises `NotFound`."""
        return self._workspaces.base_of(self.workspace, name)

    def open(
        self, dataset: Dataset, *, version: int | None = None, time: datetime | None = None
    ) -> TableView | None:
        """A table for reading, as `Tables.open`; None while it has no data."""
        tables = self._workspaces.tables
        base = self.base(dataset.name)
        branch = self.workspace.branch(base)
        newest = tables.newest_version(branch)
        if time is not None and base.version >= 0 and self._is_before(branch, newest, time):
            return self._before(base, time)
        if newest >= 0:
            return tables.open(branch, version=version, time=time)
        if version not in (None, 0):
            raise NotFound("no such version", expected="0", found=version, where=dataset.name)
        if base.version < 0:
            return None
        return tables.open(base.dataset(), version=base.version)

    def version_of(self, dataset: Dataset) -> int:
        """The newest version as the workspace counts; -1 while it has no data."""
        base = self.base(dataset.name)
        newest = self._workspaces.tables.newest_version(self.workspace.branch(base))
        return newest if newest >= 0 or base.version < 0 else 0

    def missing_files(self, dataset: Dataset, view: TableView) -> list[str]:
        """Files of a view of `open` that are gone, because its base was cleaned by others."""
        tables = self._workspaces.tables
        branch = self.get(dataset.name)
        if tables.newest_version(branch) < 0:
            return []
        return tables.missing_files(branch, view)

    def _is_before(self, branch: Dataset, newest: int, time: datetime) -> bool:
        if newest < 0:
            return time < _EPOCH + timedelta(microseconds=self.workspace.created_us)
        begun_us = self._workspaces.tables.commit_time_us(branch, 0)
        return time < _EPOCH + timedelta(microseconds=begun_us)

    def _before(self, base: Base, time: datetime) -> TableView | None:
        tables = self._workspaces.tables
        found = tables.open(base.dataset(), time=time)
        if found is not None and found.version > base.version:
            return tables.open(base.dataset(), version=base.version)
        return found
