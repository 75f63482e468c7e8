"""Workspaces as a lake's callers see them: the same calls inside, then diff, merge or drop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lakecore.app._time import as_moment
from lakecore.base import InvalidInput, NotFound
from lakecore.tables import to_batches

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.app._components import Components
    from lakecore.catalog import Catalog, Dataset
    from lakecore.changes import ChangeResult
    from lakecore.journal import Author, Event
    from lakecore.query import QueryEngine, QueryResult, TableSource
    from lakecore.workspaces import MergeResult, SqlCheck, Workspace

_TIERS: Final = ("auto", "preview")
_CHECK_ROWS: Final = 3


class WorkspacesFace:
    """What `Lake` does with workspaces."""

    _parts: Components
    _author: Callable[..., Author]

    def workspace(
        self,
        name: str,
        *,
        create: bool = True,
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> LakeWorkspace:
        """The workspace of that name; a new one when there is none, or it was dropped.

        A new one has every dataset as it is now, without a copy.

        Args:
            create: False: it has to be there; `NotFound` otherwise.
        """
        workspaces = self._parts.workspaces
        author = self._author(actor, source, reason)
        found = workspaces.open_or_create(name, author=author) if create else workspaces.get(name)
        return LakeWorkspace(self._parts, found, **self._hand_over(actor))

    def create_workspace(
        self, name: str, *, actor: str | None = None, source: str = "api", reason: str = ""
    ) -> LakeWorkspace:
        """A new workspace. Raises `AlreadyExists` when one of that name is open."""
        author = self._author(actor, source, reason)
        made = self._parts.workspaces.create(name, author=author)
        return LakeWorkspace(self._parts, made, **self._hand_over(actor))

    def workspaces(self, *, closed: bool = False) -> list[Workspace]:
        """The workspaces by name; with `closed` also those that were merged or dropped."""
        return self._parts.workspaces.list_workspaces(closed=closed)

    def _hand_over(self, default: str | None) -> dict[str, Any]:
        """Who changes something inside, by default `default`, and what of it may be read."""
        return {
            "author": lambda actor, source, reason: self._author(actor or default, source, reason),
            "readable": self._readable,
        }

    def _readable(self, tables: TableSource) -> TableSource:
        """The tables that SQL sees."""
        return tables


class LakeWorkspace:
    """A lake's datasets as one workspace has them. Made by `Lake.workspace`.

    Reads see what was changed here, else what was there when the workspace was made, and
    nothing that main changed later. Versions count in the workspace: 0 is the base.
    """

    def __init__(
        self,
        components: Components,
        workspace: Workspace,
        *,
        author: Callable[[str | None, str, str], Author],
        readable: Callable[[TableSource], TableSource],
    ) -> None:
        from lakecore.workspaces import WorkspaceView

        self._lake = components
        self._view = WorkspaceView(components.workspaces, workspace)
        self._source = components.workspace_source(self._view)
        self._author = author
        self._readable = readable

    @property
    def name(self) -> str:
        """What it is called."""
        return self._view.workspace.name

    @property
    def workspace_id(self) -> str:
        """What its events carry."""
        return self._view.workspace.workspace_id

    @property
    def info(self) -> Workspace:
        """Its state as of now, its base, and what came of its merge."""
        return self._lake.workspaces.current(self._view.workspace)

    # -- datasets ---------------------------------------------------------------------

    def datasets(self) -> list[Dataset]:
        """The datasets by name, as they were when the workspace was made."""
        return self._view.list_datasets()

    def dataset(self, name: str) -> Dataset:
        """One dataset as the workspace has it. Raises `NotFound`."""
        return self._view.get(name)

    def describe(self, name: str) -> dict[str, Any]:
        """A dataset with its table as the workspace has it."""
        from lakecore.app._source import facts

        entry = self.dataset(name)
        view = self._view.open(entry)
        columns = [
            {"name": field.name, "type": str(field.type), "nullable": field.nullable}
            for field in (view.schema if view else [])
        ]
        return facts(entry, view) | {"columns": columns}

    # -- changes ----------------------------------------------------------------------

    def insert(self, dataset: str, rows: object, **options: Any) -> ChangeResult:
        """Add rows. Options as for every change."""
        return self.change("append", dataset, to_batches(rows), **options)

    def upsert(self, dataset: str, rows: object, **options: Any) -> ChangeResult:
        """Insert rows whose key is new and change those whose key is there."""
        return self.change("upsert", dataset, to_batches(rows), **options)

    def replace(self, dataset: str, rows: object, **options: Any) -> ChangeResult:
        """Make the dataset hold exactly these rows."""
        return self.change("replace", dataset, to_batches(rows), **options)

    def update(
        self,
        dataset: str,
        *,
        set: Mapping[str, object],  # noqa: A002 - SQL's word
        where: str | None = None,
        keys: object | None = None,
        all: bool = False,  # noqa: A002 - as the command line's --all
        **options: Any,
    ) -> ChangeResult:
        """Set columns of some rows, as `Lake.update`."""
        return self.change(
            "update", dataset, set=set, where=where, keys=keys, all_rows=all, **options
        )

    def delete(
        self,
        dataset: str,
        *,
        where: str | None = None,
        keys: object | None = None,
        all: bool = False,  # noqa: A002 - as the command line's --all
        **options: Any,
    ) -> ChangeResult:
        """Delete some rows, as `Lake.delete`."""
        return self.change("delete", dataset, where=where, keys=keys, all_rows=all, **options)

    def restore(
        self,
        dataset: str,
        *,
        version: int | None = None,
        time: datetime | str | None = None,
        **options: Any,
    ) -> ChangeResult:
        """Make a dataset what it was at a version of the workspace (0: the base) or a time."""
        moment = as_moment(time) if time is not None else None
        return self.change("restore", dataset, version=version, time=moment, **options)

    def revert(
        self, mutation_id: str, *, skip_conflicts: bool = False, **options: Any
    ) -> ChangeResult:
        """Undo one mutation that was made in the workspace, as `Lake.revert`."""
        return self.undo(mutation_id, skip_conflicts=skip_conflicts, **options)

    def undo(self, reverted: str, **options: Any) -> ChangeResult:
        """As `revert`; `mutation_id` is that of the new mutation here, as for every change."""
        entry, version = self._change_of(reverted)
        return self.change("revert", entry.name, reverted=reverted, version=version, **options)

    def mutated(self, mutation_id: str) -> Dataset:
        """The dataset that a mutation of the workspace changed. Raises `NotFound`."""
        return self._change_of(mutation_id)[0]

    def _change_of(self, mutation_id: str) -> tuple[Dataset, int | None]:
        last = self._lake.journal.query(
            mutation_id=mutation_id, workspace_id=self.workspace_id, limit=1
        ).items
        entries = {one.dataset_id: one for one in self.datasets()}
        if not last or last[0].dataset_id not in entries:
            raise NotFound("the workspace has no such mutation", found=mutation_id, where=self.name)
        return entries[last[0].dataset_id], last[0].version

    def add_columns(self, dataset: str, columns: Mapping[str, str], **options: Any) -> ChangeResult:
        """Add columns: name to type, null in every row. Others are altered in main alone."""
        from lakecore.tables import column_changes

        return self.change("alter_columns", dataset, changes=column_changes(add=columns), **options)

    def change(
        self,
        call: str,
        dataset: str,
        *rows: Any,
        actor: str | None = None,
        source: str = "workspace",
        reason: str = "",
        tier: str = "auto",
        **options: Any,
    ) -> ChangeResult:
        """Have a method of the tables called on the workspace's own table, by the rules."""
        if tier not in _TIERS:
            raise InvalidInput(
                "in a workspace nothing waits for an approval: its merge does",
                expected=" | ".join(_TIERS),
                found=tier,
                where=self.name,
            )
        workspaces = self._lake.workspaces
        author = self._author_of(actor, source, reason)
        base = self._view.base(dataset)
        branch = workspaces.begin(self._view.workspace, base, author=author)
        options["before_commit"] = lambda: workspaces.current(self._view.workspace).check_open()
        return self._lake.changes.make(call, branch, *rows, author=author, tier=tier, **options)

    # -- reading ----------------------------------------------------------------------

    def sql(
        self,
        query: str,
        params: Mapping[str, object] | Sequence[object] | None = None,
        **limits: Any,
    ) -> QueryResult:
        """Run one read-only SQL statement over the workspace's datasets; as `Lake.sql`."""
        return self._engine.sql(query, params, **limits)

    def as_of(
        self, dataset: str, *, version: int | None = None, time: datetime | str | None = None
    ) -> QueryResult:
        """A dataset at a version of the workspace (0: the base), or at a time."""
        if (version is None) == (time is None):
            raise InvalidInput("as_of takes a version or a time", found=(version, time))
        name = self.dataset(dataset).name
        moment: object = version if version is not None else as_moment(time or "").isoformat()
        return self._engine.sql("select * from as_of($1, $2)", [name, moment])

    def history(self, dataset: str, key: object, field: str | None = None) -> list[Event]:
        """What happened to one entity up to the base, and then in the workspace, oldest first."""
        events = self._source.row_events(self.dataset(dataset), key)
        return [event for event in events if field is None or event.field in (field, "*")]

    def blame(self, dataset: str, key: object) -> dict[str, Event]:
        """The last event that set each field of an entity; '*' is the row as a whole."""
        last: dict[str, Event] = {}
        for event in self.history(dataset, key):
            if event.field == "*":
                last.clear()
            last[event.field] = event
        return last

    # -- the workspace ----------------------------------------------------------------

    def diff(self, dataset: str | None = None) -> dict[str, pa.RecordBatchReader]:
        """What was changed here, by dataset: as `Lake.diff`, from the base to now.

        Datasets without a change are left out.
        """
        import pyarrow as pa

        from lakecore.tables import DIFF_COLUMNS

        schema = pa.schema([(name, pa.string()) for name in DIFF_COLUMNS])
        found = {}
        for name, tables in self._lake.workspaces.diff(self._view.workspace, dataset):
            batches = (batch for table in tables for batch in table.to_batches())
            found[name] = pa.RecordBatchReader.from_batches(schema, batches)
        return found

    def merge(
        self,
        *,
        on_conflict: str = "refuse",
        resolve: Mapping[tuple[str, str, str], str] | Sequence[Sequence[str]] = (),
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> MergeResult:
        """Make in main what was changed here: one mutation a dataset, by the rules.

        Killed on the way, the same call again goes on. A merge that waits for an approval is
        completed by the same call after it.

        Args:
            on_conflict: which side counts where main changed the same since: ``ours`` (the
                workspace's), ``theirs`` (main's), or ``refuse``.
            resolve: (dataset, entity_id, field) to ``ours`` or ``theirs``, before
                `on_conflict`; field ``*`` is the whole row.

        Raises:
            WorkspaceConflicts: with every conflict by row and field; nothing was merged.
            Refused: the rules of main say no.
        """
        from lakecore.workspaces import Merging, resolutions_of

        lake = self._lake
        merging = Merging(
            lake.workspaces,
            lake.changes,
            lake.catalog,
            lake.journal,
            lake.clock,
            author=self._author(actor, source, reason),
            on_conflict=None if on_conflict == "refuse" else on_conflict,
            resolve=resolutions_of(resolve),
        )
        self._check_is_same()
        return merging.run(self.name)

    def drop(self, *, actor: str | None = None, source: str = "api", reason: str = "") -> Workspace:
        """End it without a merge. Its files go with the next maintenance, the base's stay."""
        self._check_is_same()
        author = self._author(actor, source, reason)
        return self._lake.workspaces.drop(self.name, author=author)

    # -- inside -----------------------------------------------------------------------

    def _check_is_same(self) -> None:
        """Raises when the name is another workspace's by now."""
        _ = self.info

    @property
    def _engine(self) -> QueryEngine:
        return self._lake.query.over(self._readable(self._source))

    def _author_of(self, actor: str | None, source: str, reason: str) -> Author:
        author = self._author(actor, source, reason)
        return replace(author, workspace_id=self.workspace_id)


def checks_of(catalog: Catalog) -> Callable[[str], list[SqlCheck]]:
    """The checks of a dataset, from its entry in the catalog."""
    from lakecore.workspaces import SqlCheck

    def checks(dataset: str) -> list[SqlCheck]:
        entry = catalog.find(dataset)
        given = (entry.checks if entry is not None else None) or {}
        return [SqlCheck(name, sql) for name, sql in sorted(given.items())]

    return checks


def run_check(components: Components) -> Callable[[Workspace, str], list[dict[str, Any]]]:
    """Asks a check in a workspace; a few of the rows that it finds."""
    from lakecore.workspaces import WorkspaceView

    def run(workspace: Workspace, sql: str) -> list[dict[str, Any]]:
        source = components.workspace_source(WorkspaceView(components.workspaces, workspace))
        with components.query.over(source).sql(sql, max_rows=_CHECK_ROWS) as result:
            return result.to_pylist()

    return run
