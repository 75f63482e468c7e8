"""A lake in one principal's name: what a door hands to whoever came through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from lakecore.app._lake import Lake
from lakecore.app._serving import reading
from lakecore.base import InvalidInput, NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from lakecore.agents import Run
    from lakecore.auth import Principal
    from lakecore.catalog import Dataset
    from lakecore.changes import ChangeResult
    from lakecore.journal import Author
    from lakecore.query import QueryResult, SqlChange, TableSource
    from lakecore.search import SearchResult
    from lakecore.tables import MutationResult

_LOOKED_AT: Final = 1_000


class ActingLake(Lake):
    """The lake as a principal uses it; it shares everything with the lake it is made of.

    Whatever is written is in the principal's name, by their key. SQL, and what is answered
    by it, sees only what they may read. All else is to be asked before: see
    `lakecore.auth.authorize`.
    """

    def __init__(self, lake: Lake, principal: Principal) -> None:
        super().__init__(lake._serving, actor=principal.name)
        self._principal = principal

    @reading
    def sql(
        self,
        query: str,
        params: Mapping[str, object] | Sequence[object] | None = None,
        **limits: Any,
    ) -> QueryResult:
        """As `Lake.sql`, over what the principal may read."""
        source = self._readable(self._parts.lake_tables)
        # Rows are computed while they are read: the span ends when the first ones can be.
        with self._parts.traces.span("query.begin"):
            return self._parts.query.over(source).sql(query, params, **self._with_engine(limits))

    @reading
    def statement(
        self,
        query: str,
        params: Mapping[str, object] | Sequence[object] | None = None,
        **limits: Any,
    ) -> QueryResult | SqlChange:
        """As `sql`; of what would change rows, what that is: then ask, and `make` it.

        A dataset is named in SQL by who may read it, also where it is to be changed.
        """
        source = self._readable(self._parts.lake_tables)
        with self._parts.traces.span("query.begin"):
            return self._parts.query.over(source).statement(
                query, params, **self._with_engine(limits)
            )

    def make(self, change: SqlChange, **options: Any) -> ChangeResult:
        """Make what a statement would change: a change like every other, journaled."""
        if change.rows is not None:
            made: ChangeResult = getattr(self, change.op)(change.dataset, change.rows, **options)
            return made
        meant: dict[str, Any] = {"where": change.where, "all": change.where is None}
        if change.op == "delete":
            return self.delete(change.dataset, **meant, **options)
        from lakecore.tables import Sql

        values = {name: Sql(text) for name, text in change.set.items()}
        return self.update(change.dataset, set=values, **meant, **options)

    def search(self, index: str, text: str | None = None, **asked: Any) -> SearchResult:
        """As `Lake.search`, of an index over what the principal may read."""
        self._readable(self._parts.lake_tables).check_search(index)
        return super().search(index, text, **asked)

    def _asking(self) -> object | None:
        return self._readable(self._parts.lake_tables)

    def _readable(self, tables: TableSource) -> Readable:
        return Readable(tables, self._principal)

    def mutated(self, mutation_id: str) -> Dataset:
        """The dataset that a mutation changed: to ask whether it may be changed back.

        Raises:
            NotFound: there is no such mutation, or its dataset is gone.
            InvalidInput: an id was given to several changes.
        """
        return self._change_of(mutation_id)[0]

    def undo(
        self, reverted: str, *, skip_conflicts: bool = False, **options: Any
    ) -> MutationResult:
        """As `revert`; `mutation_id` is that of the new mutation here, as for every change."""
        entry, version = self._change_of(reverted)
        return self._change(
            self._parts.tables.revert,
            entry.name,
            reverted=reverted,
            version=version,
            skip_conflicts=skip_conflicts,
            **options,
        )

    def _change_of(self, mutation_id: str) -> tuple[Dataset, int]:
        events = self.journal.query(mutation_id=mutation_id, limit=_LOOKED_AT).items
        found = {(e.dataset_id, e.version) for e in events if e.version is not None}
        if len(found) > 1:
            raise InvalidInput("several changes have this id", found=mutation_id)
        for dataset_id, version in found:
            for entry in self.datasets():
                if entry.dataset_id == dataset_id and version is not None:
                    return entry, version
        raise NotFound("there is no such mutation of a dataset", found=mutation_id)

    def _agent_principal(self, actor: str | None) -> Principal:
        self._principal.actor(actor)
        return self._principal

    def _may_see(self, run: Run) -> bool:
        """Their own runs; who may read everything sees everybody's."""
        from lakecore.auth import may

        return run.actor == self._principal.name or may(self._principal, "read")

    def _author(self, actor: str | None, source: str, reason: str) -> Author:
        """Always the principal; `Refused` where a call names somebody else."""
        self._principal.actor(actor)
        return self._principal.author(source=source, reason=reason)


class Readable:
    """The tables that a principal may read, and no others: a source for the query engine."""

    def __init__(self, tables: TableSource, principal: Principal) -> None:
        self._tables: Any = tables
        self._principal = principal

    def schemas(self) -> list[str]:
        """Schemas with a table that may be read, and `main`."""
        return [name for name in self._tables.schemas() if name == "main" or self.tables(name)]

    def tables(self, schema: str) -> list[str]:
        """Those that may be read."""
        from lakecore.auth import may

        names = self._tables.tables(schema)
        return [name for name in names if may(self._principal, "read", f"{schema}.{name}")]

    def table(
        self, schema: str, name: str, *, version: int | None = None, time: datetime | None = None
    ) -> Any:
        """As the tables have it; `Refused` before anything is looked up."""
        self._check(schema, name)
        return self._tables.table(schema, name, version=version, time=time)

    def place(
        self, schema: str, name: str, *, version: int | None = None, time: datetime | None = None
    ) -> Any:
        """As the tables have it: what Spark is told of is what may be read, and no more."""
        self._check(schema, name)
        find = getattr(self._tables, "place", None)
        if find is None:
            raise InvalidInput(
                "Spark does not read a workspace", hint="ask with the engine datafusion"
            )
        return find(schema, name, version=version, time=time)

    def history(self, schema: str, name: str, key: object) -> Any:
        """As the tables have it."""
        self._check(schema, name)
        return self._tables.history(schema, name, key)

    def changes(
        self, schema: str, name: str, after: int | datetime | None, until: int | datetime | None
    ) -> Any:
        """As the tables have it."""
        self._check(schema, name)
        return self._tables.changes(schema, name, after, until)

    def search(self, index: str, text: str, limit: int, where: str | None) -> Any:
        """As the tables have it; a condition sees no more than the principal may read."""
        self.check_search(index)
        return self._tables.search(index, text, limit, where, asking=self)

    def check_search(self, index: str) -> None:
        """Raises `Refused` when they may not read what an index is over; `NotFound`: no index."""
        from lakecore.auth import authorize

        try:
            dataset = self._tables.searched(index)
        except NotFound as error:
            # Names that are near may be those of what they must not know of.
            raise NotFound("there is no such index", where=error.where) from None
        authorize(self._principal, "read", dataset)

    def _check(self, schema: str, name: str) -> None:
        from lakecore.auth import authorize

        authorize(self._principal, "read", f"{schema}.{name}")
