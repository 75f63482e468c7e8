"""One query's DataFusion session: its tables, its limits, its plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa
from datafusion import DataFrame, SessionContext, udtf
from datafusion.catalog import Table

from lakecore.base import Bug, InvalidInput, LakecoreError, Refused
from lakecore.query._contexts import CATALOG, Bounds, allowed, new_context
from lakecore.query._dml import is_change
from lakecore.query._errors import Statement, translate
from lakecore.query._names import NOW, Moment, parse_moment, split_moment, split_schema
from lakecore.query._providers import to_table
from lakecore.query._source import MAIN, ParquetFiles, TableSource, events_of, search_of

_T = TypeVar("_T")

FUNCTIONS: Final = ("as_of", "history", "changes", "search")
"""The table functions: methods of `Tables`."""

DEFAULT_HITS: Final = 10

# Of the optimised plan: joins that compare all pairs of rows, and so may run for hours.
_PAIRWISE: Final = re.compile(r"(?m)^\s*(?:Cross Join:|\w+ Join:\s+(?:Filter:|$))")

_SWELLING: Final = re.compile(
    r"(?<!TableScan: )\b(?:repeat|[lr]pad|(?:array|list)_re(?:peat|size)|range|generate_series)\(",
    re.IGNORECASE,
)

# Where nothing is sorted, an order of the files would only keep their parts from being read
# at once: what asks for one in another way gets it by sorting.
_SORTED: Final = re.compile(r"\b(?:order|over|partition)\b", re.IGNORECASE)


class Tables:
    """The source's tables as one query sees them: each resolved once, failures remembered."""

    def __init__(self, source: TableSource, scratch: Path, params: Mapping[str, Any]) -> None:
        self._source = source
        self._scratch = scratch
        self._params = params
        self._known: dict[tuple[object, ...], Table | None] = {}
        self._checks: list[Callable[[], None]] = []
        self.planned = False
        self.is_sorted = True
        """Whether the statement may gain from files that are in order."""
        self.file_tables: set[str] = set()
        """The names of tables that are files of this machine."""
        self.failure: LakecoreError | None = None
        """DataFusion keeps only the text of an error, and of some not even that."""

    def schema_names(self) -> set[str]:
        return self._guarded(lambda: {MAIN, *self._source.schemas()}, {MAIN})

    def schema(self, name: str) -> SchemaTables:
        return SchemaTables(self, name)

    def names(self, schema: str) -> list[str]:
        return self._guarded(lambda: list(self._source.tables(schema)), [])

    def all_names(self) -> list[str]:
        """Every table as a query would write it, for suggestions."""
        return [
            name if schema == MAIN else f"{schema}.{name}"
            for schema in sorted(self.schema_names())
            for name in self.names(schema)
        ]

    def resolve(self, schema: str, name: str, moment: Moment = NOW) -> Table | None:
        key = (schema, name, moment)
        if key not in self._known:
            # Where only information_schema asks, a table that cannot be opened is still listed.
            missing = to_table(pa.table({}), self._scratch, []) if self.planned else None
            self._known[key] = self._guarded(lambda: self._find(schema, name, moment), missing)
        return self._known[key]

    def check(self) -> None:
        """Ask, at the end, whether all rows of the tables were read."""
        for check in self._checks:
            check()

    def as_of(self, *args: Any) -> Table:
        """The table function ``as_of(name, version or time)``."""
        return self._called(self._as_of, args)

    def history(self, *args: Any) -> Table:
        """The table function ``history(name, key, …)``: the events of one row."""
        return self._called(self._history, args)

    def changes(self, *args: Any) -> Table:
        """The table function ``changes(name, after, until)``: what changed between versions."""
        return self._called(self._changes, args)

    def search(self, *args: Any) -> Table:
        """The table function ``search(index, text, limit, condition)``: the rows that fit best."""
        return self._called(self._search, args)

    def _called(self, function: Callable[[list[Any]], Table | None], args: Sequence[Any]) -> Table:
        values = [self._literal(arg) for arg in args]
        table = self._guarded(lambda: function(values), None)
        if table is None:
            raise ValueError(
                f"table '{CATALOG}.{'.'.join(split_schema(str(values[0])))}' not found"
            )
        return table

    def _as_of(self, values: list[Any]) -> Table | None:
        if len(values) != 2 or not isinstance(values[0], str):
            raise InvalidInput(
                "as_of takes a table's name and a version or time",
                expected="as_of('planes', 3) or as_of('planes', '2026-01-31T12:00:00Z')",
                found=", ".join(map(repr, values)),
            )
        schema, name = split_schema(values[0])
        return self.resolve(schema, name, parse_moment(values[1]))

    def _history(self, values: list[Any]) -> Table | None:
        name, *parts = values or [None]
        if not isinstance(name, str) or not parts or any(part is None for part in parts):
            raise InvalidInput(
                "history takes a table's name and a row's key",
                expected="history('planes', 'N10156'); of several columns one value each",
                found=", ".join(map(repr, values)),
            )
        key = parts[0] if len(parts) == 1 else parts
        schema, table = split_schema(name)
        return self._once(
            ("history", name, *map(repr, parts)),
            lambda: events_of(self._source).history(schema, table, key),
        )

    def _changes(self, values: list[Any]) -> Table | None:
        if not 1 <= len(values) <= 3 or not isinstance(values[0], str):
            raise InvalidInput(
                "changes takes a table's name and two versions or times",
                expected="changes('planes', 1, 5): behind the one, up to and with the other",
                found=", ".join(map(repr, values)),
            )
        after, until = (_bound(value) for value in [*values[1:], None, None][:2])
        schema, table = split_schema(values[0])
        return self._once(
            ("changes", values[0], after, until),
            lambda: events_of(self._source).changes(schema, table, after, until),
        )

    def _search(self, values: list[Any]) -> Table | None:
        index, text, limit, where = [*values, *[None] * 4][:4]
        limit = DEFAULT_HITS if limit is None else limit
        is_number = isinstance(limit, int) and not isinstance(limit, bool)
        is_text = isinstance(index, str) and isinstance(text, str)
        if not is_text or not is_number or not isinstance(where, str | None) or len(values) > 4:
            raise InvalidInput(
                "search takes an index, a text, a number of rows and a condition",
                expected="search('planes_text', 'boeing', 10, 'seats > 100')",
                found=", ".join(map(repr, values))[:500],
            )
        return self._once(
            ("search", index, text, limit, where),
            lambda: search_of(self._source).search(index, text, limit, where),
        )

    def _once(self, key: tuple[object, ...], find: Callable[[], object | None]) -> Table | None:
        if key not in self._known:
            found = find()
            self._known[key] = (
                None if found is None else to_table(found, self._scratch, self._checks)
            )
        return self._known[key]

    def _literal(self, arg: Any) -> Any:
        """A constant argument's value. Parameters are filled in later, so they are looked up."""
        if arg.variant_name() == "Placeholder":
            value = self._params.get(str(arg.to_variant().id()).removeprefix("$"))
        elif arg.variant_name() == "Literal":
            value = arg.python_value()
        else:
            value = None
        return python_value(value) if isinstance(value, pa.Scalar) else value

    def _find(self, schema: str, name: str, moment: Moment) -> Table | None:
        if moment is NOW:
            name, moment = split_moment(name)
        try:
            found = self._source.table(schema, name, version=moment.version, time=moment.time)
        except Refused:
            # DataFusion looks for a table of a function's name, too, which nobody need be allowed.
            if schema != MAIN or name not in FUNCTIONS:
                raise
            return None
        if found is None:
            return None
        if isinstance(found, ParquetFiles):
            self.file_tables.add(name.lower())
            found = found if self.is_sorted else replace(found, sort_by=())
        return to_table(found, self._scratch, self._checks)

    def _guarded(self, call: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return call()
        except Exception as error:
            if self.planned:
                # Only information_schema still asks: one broken table must not hide the others.
                return otherwise
            if not isinstance(error, LakecoreError):
                bug = Bug("a table cannot be opened", found=f"{type(error).__name__}: {error}")
                bug.__cause__ = error
                error = bug
            self.failure = error
            raise error from error.__cause__


def _bound(value: object) -> int | datetime | None:
    """A version or a time; None where there is no bound."""
    moment = NOW if value is None else parse_moment(value)
    return moment.time if moment.version is None else moment.version


class SchemaTables:
    """One schema, in the form in which DataFusion asks a Python object for tables."""

    def __init__(self, tables: Tables, schema: str) -> None:
        self._tables = tables
        self._schema = schema

    @property
    def table_names(self) -> list[str]:
        # An attribute that is a list: that is how DataFusion 55 reads it, whatever its
        # abstract class says.
        return self._tables.names(self._schema)

    def table_exist(self, name: str) -> bool:
        return name in self.table_names

    def table(self, name: str) -> Table | None:
        return self._tables.resolve(self._schema, name)


class Session:
    """A DataFusion context for one query, with its tables.

    Args:
        context: one that was kept; without it a new one is made.
    """

    def __init__(
        self,
        source: TableSource,
        params: Mapping[str, Any],
        *,
        bounds: Bounds,
        scratch: Path,
        context: SessionContext | None = None,
    ) -> None:
        self.context = context or new_context(bounds, scratch)
        self.tables = Tables(source, scratch, params)
        self.params = params
        catalog: Any = self.tables  # it has the methods that are called, without the base class
        self.context.register_catalog_provider(CATALOG, catalog)
        for name in FUNCTIONS:
            self.context.register_udtf(udtf(getattr(self.tables, name), name))

    def release(self) -> SessionContext:
        """The context without anything of this query."""
        nothing: Any = _NoTables()
        self.context.register_catalog_provider(CATALOG, nothing)
        for name in FUNCTIONS:
            self.context.deregister_udtf(name)
        return self.context

    def plan(self, text: str, max_rows: int | None) -> DataFrame:
        """The statement as a plan that only reads; cut to `max_rows` + 1 where it can be.

        Raises:
            LakecoreError: whatever is wrong with the statement.
        """
        self.tables.is_sorted = _SORTED.search(text) is not None
        frame = self.context.sql_with_options(text, allowed(), param_values=dict(self.params))
        if max_rows is not None and _is_query(frame):
            frame = frame.limit(max_rows + 1)
        self.tables.planned = True
        return frame

    def plan_change(self, text: str) -> DataFrame | None:
        """The plan of a statement that changes rows; None: it is another one.

        It is planned, and must not be run: see `_dml`.
        """
        options = allowed(changes=True)
        frame = self.context.sql_with_options(text, options, param_values=dict(self.params))
        self.tables.planned = True
        return frame if is_change(frame) else None

    def translate(self, error: BaseException, text: str) -> LakecoreError:
        if self.tables.failure is not None:
            return self.tables.failure
        try:
            self.tables.check()  # files that are not what they were fail in many ways
        except LakecoreError as changed:
            return changed
        self.tables.planned = True  # a source that fails now must not hide the error
        return translate(error, Statement(text, self.tables.all_names))


class _NoTables:
    """A catalog without anything in it."""

    def schema_names(self) -> set[str]:
        return set()

    def schema(self, name: str) -> None:
        return None


def _is_query(frame: DataFrame) -> bool:
    return frame.logical_plan().display() not in {"Explain", "Analyze", "DescribeTable"}


def is_swelling(frame: DataFrame) -> bool:
    """Whether some function may make very much of very little, in one step and past the limit
    of memory: `repeat('x', 2000000000)` is 2 GB before anybody can stop it.
    """
    return _SWELLING.search(frame.logical_plan().display_indent()) is not None


def is_pairwise(frame: DataFrame) -> bool:
    """Whether some join has no equality to go by. DataFusion cannot interrupt such a join."""
    if "Join" not in frame.logical_plan().display_indent():
        return False
    return _PAIRWISE.search(frame.optimized_logical_plan().display_indent()) is not None


def python_value(scalar: pa.Scalar) -> Any:
    """The scalar as a Python value; nanoseconds are cut to microseconds."""
    if pa.types.is_timestamp(scalar.type) and scalar.type.unit == "ns":
        scalar = scalar.cast(pa.timestamp("us", tz=scalar.type.tz), safe=False)
    return scalar.as_py()
