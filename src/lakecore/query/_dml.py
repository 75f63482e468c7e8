"""INSERT, UPDATE, DELETE as changes that somebody else makes: read off the plan, never executed.

DataFusion plans a statement that changes rows, and would have the table's provider carry it out.
It is never asked to: from the plan comes what is meant, and the lake makes it a change like every
other, computed, judged and journaled.

    INSERT INTO t ...           rows, from the plan below        insert
    REPLACE INTO t ...          the same                         upsert
    INSERT OVERWRITE t ...      the same                         replace
    UPDATE t SET ... WHERE ...  expressions over a row of t      update
    DELETE FROM t WHERE ...     a condition over a row of t      delete
    TRUNCATE t                  nothing                          delete

Conditions and expressions become text by DataFusion's unparser, without the table's name before
columns. That text is planned again and has to come out the same: what does not is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa

from lakecore.base import InvalidInput, Refused
from lakecore.query._contexts import CATALOG, allowed
from lakecore.query._names import split_schema
from lakecore.query._source import MAIN

if TYPE_CHECKING:
    from datafusion import DataFrame, SessionContext
    from datafusion.expr import Expr
    from datafusion.plan import LogicalPlan

    from lakecore.query._result import QueryResult

Op = Literal["insert", "upsert", "replace", "update", "delete"]

_ROWS: Final[Mapping[str, Op]] = {
    "Insert Into": "insert",
    "Replace Into": "upsert",
    "Insert Overwrite": "replace",
}
_CHANGING: Final = {"DmlStatement", "CopyTo"}
_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"(?:\.\"(?:[^\"]|\"\")*\")*")
_PART: Final = re.compile(r"\"((?:[^\"]|\"\")*)\"")
_OPERATION: Final = re.compile(r"op=\[([^\]]*)\]")
_BY_HAND: Final = (
    "select the rows' keys and give them to POST /datasets/{dataset}/mutations, "
    "or select the new rows with REPLACE INTO"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlChange:
    """What a statement would change.

    Attributes:
        dataset: its name, without `main`.
        where: a condition over one row's columns; None: all rows.
        set: column to expression over one row's columns, both as SQL.
        rows: of insert, upsert and replace; computed while they are read, to be closed.
    """

    op: Op
    dataset: str
    where: str | None = None
    set: Mapping[str, str] = field(default_factory=dict)
    rows: QueryResult | None = None

    def close(self) -> None:
        """Free what the rows hold, read or not."""
        if self.rows is not None:
            self.rows.close()

    def cancel(self) -> None:
        """End the query of the rows."""
        if self.rows is not None:
            self.rows.cancel()


def is_change(frame: DataFrame) -> bool:
    """Whether a plan is one statement that changes rows, and changes nothing below."""
    plan = frame.logical_plan()
    return _kind(plan) == "DmlStatement" and not any(map(_changes, plan.inputs()))


def read_change(
    frame: DataFrame, context: SessionContext, run: Callable[[DataFrame], QueryResult]
) -> SqlChange:
    """What a plan that `is_change` means.

    Args:
        run: starts a query.

    Raises:
        Refused: it cannot be made a change of its own table's rows, each by itself.
    """
    plan = frame.logical_plan()
    statement = plan.to_variant()
    match = _OPERATION.search(plan.display())
    operation = match[1] if match else plan.display()
    dataset = _dataset(statement.table_name())
    if operation in _ROWS:
        rows = run(_exact_rows(plan.inputs()[0], context))
        return SqlChange(op=_ROWS[operation], dataset=dataset, rows=rows)
    if operation == "Truncate":
        return SqlChange(op="delete", dataset=dataset)
    if operation not in ("Update", "Delete"):
        raise _unmapped(f"{operation} is not made a change", operation)
    below = plan.inputs()[0]
    assigned: dict[str, Any] = {}
    if operation == "Update":
        if _kind(below) != "Projection":
            raise _unmapped("this UPDATE is not made a change", below.display())
        assigned = _assigned(below.to_variant().projections())
        below = below.inputs()[0]
    row, again = _Row(below, context), _Again(dataset, context)
    where = row.where()
    if where is not None:
        again.check_where(where)
    if operation == "Delete":
        return SqlChange(op="delete", dataset=dataset, where=where)
    values = {name: row.text_of(expression) for name, expression in assigned.items()}
    for text in values.values():
        again.check_value(text)
    return SqlChange(op="update", dataset=dataset, where=where, set=values)


class _Row:
    """[Filter over] [aliases of] the scan of one table: conditions and expressions over it."""

    def __init__(self, plan: LogicalPlan, context: SessionContext) -> None:
        self._context = context
        self._filter = plan if _kind(plan) == "Filter" else None
        self._rows = plan.inputs()[0] if self._filter is not None else plan
        scan, self._names = self._rows, set[str]()
        while _kind(scan) == "SubqueryAlias":
            self._names |= _names(str(scan.to_variant().alias()))
            scan = scan.inputs()[0]
        if _kind(scan) != "TableScan":
            raise _unmapped("this is no condition over one row", scan.display())
        self._names |= _names(str(scan.to_variant().table_name()))

    def where(self) -> str | None:
        """The condition as text, None for all rows."""
        if self._filter is None:
            return None
        head, whole = f"{_sql(self._rows)} WHERE ", _sql(self._filter)
        if not whole.startswith(head):
            raise _unmapped("the condition has no text of its own", whole)
        return _bare(whole.removeprefix(head), self._names)

    def text_of(self, expression: Expr) -> str:
        """The text of an expression."""
        from datafusion import lit

        rows = self._context.create_dataframe_from_logical_plan(self._rows)
        tail = _sql(rows.select(lit(1)).logical_plan()).removeprefix("SELECT 1")
        whole = _sql(rows.select(_exact(rows, expression)).logical_plan())
        if not (whole.startswith("SELECT ") and whole.endswith(tail)):
            raise _unmapped("the value has no text of its own", whole)
        return _bare(whole.removeprefix("SELECT ").removesuffix(tail), self._names)


class _Again:
    """Plans a text anew, to see whether it is what it came from."""

    def __init__(self, dataset: str, context: SessionContext) -> None:
        quoted = ('"' + part.replace('"', '""') + '"' for part in split_schema(dataset))
        self._table = ".".join(quoted)
        self._context = context

    def check_where(self, text: str) -> None:
        plan = self._planned(f"SELECT * FROM {self._table} WHERE {text}")
        if _Row(plan.inputs()[0], self._context).where() != text:
            raise _unmapped("the condition has no text of its own", text)

    def check_value(self, text: str) -> None:
        from datafusion.expr import Expr

        plan = self._planned(f"SELECT {text} FROM {self._table}")
        (value,) = plan.to_variant().projections()
        if _Row(plan.inputs()[0], self._context).text_of(Expr(value)) != text:
            raise _unmapped("the value has no text of its own", text)

    def _planned(self, query: str) -> LogicalPlan:
        try:
            return self._context.sql_with_options(query, allowed()).logical_plan()
        except Exception as error:
            raise _unmapped("the condition or value has no text of its own", error) from error


def _names(table: str) -> set[str]:
    """How columns of a table may be qualified."""
    return {table, table.rpartition(".")[2]}


def _kind(plan: LogicalPlan) -> str:
    try:
        return type(plan.to_variant()).__name__
    except Exception:  # a node that the bindings do not know
        return ""


def _changes(plan: LogicalPlan) -> bool:
    kind = _kind(plan)
    return kind in _CHANGING or any(map(_changes, plan.inputs()))


def _sql(plan: LogicalPlan) -> str:
    from datafusion.unparser import Dialect, Unparser

    try:
        return str(Unparser(Dialect.postgres()).plan_to_sql(plan))
    except Exception as error:
        raise _unmapped("the statement has no text of its own", error) from error


def _dataset(table: str) -> str:
    """A dataset's name for the table that a statement names."""
    schema, name = split_schema(table.removeprefix(f"{CATALOG}."))
    return name if schema == MAIN else f"{schema}.{name}"


def _assigned(projections: Sequence[Any]) -> dict[str, Expr]:
    """Of all columns of an UPDATE those that do not just keep their value; at least one."""
    from datafusion.expr import Expr

    found: dict[str, Expr] = {}
    kept: dict[str, Expr] = {}
    for raw in projections:
        alias = raw.to_variant()
        if raw.variant_name() != "Alias":
            raise _unmapped("this UPDATE is not made a change", raw.canonical_name())
        name, inner = str(alias.alias()), alias.expr()
        keeps = inner.variant_name() == "Column" and str(inner.to_variant().name()) == name
        (kept if keeps else found)[name] = Expr(inner)
    return found or dict(list(kept.items())[:1])


def _exact(rows: DataFrame, expression: Expr) -> Expr:
    """An expression without the cast by which SQL would cut 1.5 to 1: the table refuses that."""
    if expression.variant_name() != "Cast":
        return expression
    from datafusion.expr import Expr

    inner = Expr(expression.to_variant().expr())
    before, after = rows.select(inner.alias("of"), expression.alias("to")).schema().types
    return inner if _cuts(before, after) else expression


def _exact_rows(plan: LogicalPlan, context: SessionContext) -> DataFrame:
    """The rows of an INSERT, again without such casts."""
    from datafusion.expr import Expr

    if _kind(plan) != "Projection":
        return context.create_dataframe_from_logical_plan(plan)
    below = plan.inputs()[0]
    rows = context.create_dataframe_from_logical_plan(below)
    if _kind(below) == "Values":
        _refuse_cut_values(below.to_variant().values(), rows.schema())
    columns = []
    for raw in plan.to_variant().projections():
        if raw.variant_name() != "Alias":
            return context.create_dataframe_from_logical_plan(plan)
        alias = raw.to_variant()
        columns.append(_exact(rows, Expr(alias.expr())).alias(str(alias.alias())))
    return rows.select(*columns)


def _refuse_cut_values(values: Sequence[Sequence[Any]], schema: pa.Schema) -> None:
    """Of VALUES the casts are within: a number that one would cut is refused."""
    for number, row in enumerate(values):
        for cell, kind in zip(row, schema.types, strict=True):
            if cell.variant_name() != "Cast" or not pa.types.is_integer(kind):
                continue
            inner = cell.to_variant().expr()
            if inner.variant_name() != "Literal":
                continue
            value = inner.python_value()
            value = value.as_py() if isinstance(value, pa.Scalar) else value
            if isinstance(value, (float, Decimal)) and value != value // 1:
                raise InvalidInput(
                    "a value does not fit the column",
                    expected=str(kind),
                    found=value,
                    where=f"VALUES, row {number}",
                )


def _cuts(before: pa.DataType, after: pa.DataType) -> bool:
    is_broken = pa.types.is_floating(before) or pa.types.is_decimal(before)
    return bool(is_broken and pa.types.is_integer(after))


def _bare(text: str, names: set[str]) -> str:
    """SQL of the unparser, whose names are all quoted, with columns by their own names alone.

    >>> print(_bare('"p"."seats" > 1 OR "note" IS NULL', {"p"}))
    "seats" > 1 OR "note" IS NULL
    """

    def bare(match: re.Match[str]) -> str:
        parts = _PART.findall(match[0]) if match[0].startswith('"') else []
        if len(parts) < 2:
            return match[0]
        if ".".join(parts[:-1]).replace('""', '"') not in names:
            raise _unmapped("a name is not one of the table's columns", match[0])
        return f'"{parts[-1]}"'

    return _TOKEN.sub(bare, text)


def _unmapped(message: str, found: object) -> Refused:
    return Refused(
        message,
        expected="a condition and values over the columns of one row",
        found=str(found)[:300],
        hint=_BY_HAND,
    )
