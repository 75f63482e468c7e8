"""Workspaces made, found, branched, compared and dropped."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lakecore.base import AlreadyExists, Clock, NotFound, Refused
from lakecore.catalog import Catalog, Dataset, check_dataset_name
from lakecore.documents import Document, Documents
from lakecore.journal import Author
from lakecore.storage import Store
from lakecore.workspaces._workspace import (
    CLOSED,
    DROPPED,
    KIND,
    OPEN,
    ROOT,
    Base,
    Workspace,
    check_name,
    id_of,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.tables import Tables


@dataclass(frozen=True, slots=True)
class ClosedFolder:
    """The files of a workspace that is over, for maintenance to remove; closed at `closed_us`."""

    path: str
    workspace_id: str
    closed_us: int


class Workspaces:
    """The workspaces of one lake. Threads and processes may share them."""

    def __init__(
        self, documents: Documents, catalog: Catalog, tables: Tables, store: Store, clock: Clock
    ) -> None:
        self._documents = documents
        self._catalog = catalog
        self._store = store
        self._clock = clock
        self.tables = tables

    # -- documents --------------------------------------------------------------------

    def create(self, name: str, *, author: Author) -> Workspace:
        """A workspace over every dataset as it is now. No data is copied, none is read.

        Raises:
            AlreadyExists: one of that name is open.
        """
        check_name(name)
        base = self._base()
        now_us = self._clock.now_us()

        def enter(now: Document | None) -> dict[str, Any]:
            before = _workspace(now) if now is not None else None
            if before is not None and before.state not in CLOSED:
                raise AlreadyExists(
                    "there is a workspace of that name",
                    where=name,
                    found=before.state,
                    hint="merge or drop that one first, or choose another name",
                )
            former = () if before is None else (*before.former, before.workspace_id)
            generation = now.version + 1 if now is not None else 0
            return Workspace(
                name=name,
                workspace_id=id_of(name, generation),
                state=OPEN,
                base=base,
                actor=author.actor,
                reason=author.reason,
                created_us=now_us,
                former=former,
            ).to_body()

        # The commit point: there is nothing else.
        return _workspace(self._documents.change(KIND, name, enter, author=author, action="create"))

    def find(self, name: str) -> Workspace | None:
        """The newest workspace of that name, in whatever state."""
        document = self._documents.get(KIND, check_name(name))
        return None if document is None or document.body is None else _workspace(document)

    def get(self, name: str) -> Workspace:
        """The newest workspace of that name. Raises `NotFound` with the nearest names."""
        found = self.find(name)
        if found is not None:
            return found
        names = [one.name for one in self.list_workspaces(closed=True)]
        near = difflib.get_close_matches(name, names, n=3)
        raise NotFound(
            "there is no workspace of that name",
            where=name,
            hint=f"did you mean {' or '.join(near)}?" if near else "see `lakecore workspace list`",
        )

    def open_or_create(self, name: str, *, author: Author) -> Workspace:
        """The workspace of that name; a new one when there is none or it was dropped."""
        found = self.find(name)
        if found is not None and found.state != DROPPED:
            return found
        try:
            return self.create(name, author=author)
        except AlreadyExists:
            return self.get(name)  # somebody else made it just now

    def list_workspaces(self, *, closed: bool = False) -> list[Workspace]:
        """By name; with `closed` also those that were merged or dropped."""
        found = [
            _workspace(document)
            for document in self._documents.list_documents(KIND)
            if document.body is not None
        ]
        return [one for one in found if closed or one.state not in CLOSED]

    def change(
        self,
        name: str,
        change: Callable[[Workspace], Workspace],
        *,
        author: Author,
        action: str,
    ) -> Workspace:
        """Commit what `change` makes of the newest one; it must not have effects."""

        def step(now: Document | None) -> dict[str, Any]:
            if now is None:
                raise NotFound("there is no workspace of that name", where=name)
            return {**(now.body or {}), **change(_workspace(now)).to_body()}

        return _workspace(self._documents.change(KIND, name, step, author=author, action=action))

    def drop(self, name: str, *, author: Author) -> Workspace:
        """End it without a merge. Its files stay until maintenance removes them.

        Raises:
            Refused: it was merged.
        """
        self.get(name)
        now_us = self._clock.now_us()

        def dropped(now: Workspace) -> Workspace:
            if now.state == DROPPED:
                return now
            if now.state in CLOSED:
                raise Refused("the workspace was merged", where=name, found=now.state)
            return replace(now, state=DROPPED, closed_us=now_us)

        return self.change(name, dropped, author=author, action="drop")

    # -- datasets ---------------------------------------------------------------------

    def base_of(self, workspace: Workspace, dataset: str) -> Base:
        """What the workspace has of a dataset. Raises `NotFound`."""
        found = workspace.base.get(check_dataset_name(dataset, system=True))
        if found is not None:
            return found
        near = difflib.get_close_matches(dataset, list(workspace.base), n=3)
        hint = "it has what there was when it was made"
        raise NotFound(
            "the workspace has no such dataset",
            where=f"{workspace.name}: {dataset}",
            hint=f"did you mean {' or '.join(near)}?" if near else hint,
        )

    def begin(self, workspace: Workspace, base: Base, *, author: Author) -> Dataset:
        """The branch of a dataset, begun if it is not yet: it may be changed then.

        Raises:
            Conflict: the workspace is being merged. Refused: it is over.
            NotFound: the base's files are gone.
        """
        self.current(workspace).check_open()
        branch = workspace.branch(base)
        if base.version >= 0 and self.tables.newest_version(branch) < 0:
            self.tables.branch(branch, base.dataset(), version=base.version, author=author)
        return branch

    def current(self, workspace: Workspace) -> Workspace:
        """The same workspace as it is now. Raises `Refused` when another has its name."""
        now = self.get(workspace.name)
        if now.workspace_id != workspace.workspace_id:
            raise Refused(
                "the workspace is over, and another has its name",
                where=workspace.name,
                found=now.workspace_id,
                expected=workspace.workspace_id,
            )
        return now

    def touched(self, workspace: Workspace) -> dict[str, int]:
        """Datasets that have a branch, and the branch's newest version."""
        folders = self._folders(workspace)
        found = {}
        for name, base in sorted(workspace.base.items()):
            branch = workspace.branch(base)
            if branch.location not in folders:
                continue
            version = self.tables.newest_version(branch)
            if version >= 0:
                found[name] = version
        return found

    def diff(
        self, workspace: Workspace, dataset: str | None = None
    ) -> Iterator[tuple[str, Iterator[pa.Table]]]:
        """For each dataset that was changed, what turns the base into the workspace's."""
        names = [self.base_of(workspace, dataset).name] if dataset is not None else None
        for name, version in self.touched(workspace).items():
            if names is not None and name not in names:
                continue
            base = workspace.base[name]
            yield (
                name,
                self.tables.branch_diff(
                    workspace.branch(base), version=version, from_empty=base.version < 0
                ),
            )

    def to_table(self) -> pa.Table:
        """`system.workspaces`."""
        from lakecore.workspaces._table import workspaces_table

        found = self.list_workspaces(closed=True)
        return workspaces_table(
            (one, () if one.state == DROPPED else self.touched(one)) for one in found
        )

    # -- for maintenance --------------------------------------------------------------

    def pins(self) -> dict[str, set[int]]:
        """Versions of main's tables, by location, whose files a workspace still needs."""
        pinned: dict[str, set[int]] = {}
        for workspace in self.list_workspaces():
            for base in workspace.base.values():
                if base.version >= 0:
                    pinned.setdefault(base.location, set()).add(base.version)
        return pinned

    def closed_folders(self) -> list[ClosedFolder]:
        """Folders of workspaces that are over and still have files."""
        there = set(self._store.list_folders(ROOT))
        found = []
        for workspace in self.list_workspaces(closed=True):
            ids = list(workspace.former)
            if workspace.state in CLOSED:
                ids.append(workspace.workspace_id)
            closed_us = workspace.closed_us or workspace.created_us
            found += [ClosedFolder(f"{ROOT}{one}/", one, closed_us) for one in ids if one in there]
        return found

    # -- inside -----------------------------------------------------------------------

    def _base(self) -> Mapping[str, Base]:
        return {
            dataset.name: Base(
                name=dataset.name,
                dataset_id=dataset.dataset_id,
                location=dataset.location,
                version=self.tables.newest_version(dataset),
                key=dataset.key,
                entity_type=dataset.entity_type,
                contract=dataset.contract,
            )
            for dataset in self._catalog.list_datasets()
            if dataset.schema_name != "system"
        }

    def _folders(self, workspace: Workspace) -> set[str]:
        found = set()
        for schema in self._store.list_folders(workspace.folder):
            inside = f"{workspace.folder}{schema}/"
            found |= {f"{inside}{name}" for name in self._store.list_folders(inside)}
        return found


def _workspace(document: Document) -> Workspace:
    return Workspace.from_body(document.name, document.body or {})
