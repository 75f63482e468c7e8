"""WHERE and SET over rows of one table: planned once, evaluated chunk by chunk by DataFusion.

Only expressions over the row's own columns: no subqueries, aggregates or statements, which
the planner refuses because it is given an expression and never a query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base import Bug, InvalidInput
from lakecore.tables._schema import cast_column, nearest
from lakecore.tables._types import Sql

if TYPE_CHECKING:
    from datafusion import DataFrame, Expr, SessionContext

_JARGON: Final = re.compile(
    r"^(?:DataFusion error: |Optimizer rule '\w+' failed ?|caused by |\w+ error: (?=\w+ error: ))+"
)
"""Which part of the engine an error comes from: of no use to who wrote the expression."""
_UNKNOWN_FIELD: Final = re.compile(r"No field named (?:\"((?:[^\"]|\"\")+)\"|([^\s.]+))")
_ROWS: Final = "rows"
_REFUSED: Final = ("Exists", "Subquery", "AggregateFunction", "WindowFunction")


class Condition:
    """A WHERE clause over rows of `schema`.

    Raises:
        InvalidInput: it is not a condition over these columns.
    """

    def __init__(self, text: str, schema: pa.Schema) -> None:
        self._text = text
        self._schema = schema
        self._context = _context()
        frame = _frame(self._context, schema.empty_table())
        plan = frame.select(_parse(frame, text, schema).alias("hit"))
        result = _run(plan, text, schema)
        kind = result.schema.field(0).type
        if not (pa.types.is_boolean(kind) or pa.types.is_null(kind)):
            raise InvalidInput(
                "not a condition",
                expected="an expression that is true or false",
                found=f"{text!r}, which is {kind}",
            )
        self.columns: list[str] = _columns_of(plan, schema)
        self.predicate: Expr | None = _predicate(frame.filter(_parse(frame, text, schema)))
        """What the optimiser makes of it, to compare with statistics."""

    def matches(self, rows: pa.Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """True for the rows that the condition holds for; null is not true.

        `rows` have at least `columns`.
        """
        plan = _select(self._context, rows, [self._text], self._schema)
        hits = _run(plan, self._text, self._schema).column(0)
        if pa.types.is_null(hits.type):
            return np.zeros(rows.num_rows, dtype=np.bool_)
        found: np.ndarray[Any, np.dtype[np.bool_]] = pc.fill_null(hits, False).to_numpy()
        return found


class Assignments:
    """What SET gives some columns: `Sql` is evaluated for each row, other values are literal.

    Raises:
        InvalidInput: an unknown column, or a value or expression that does not fit it.
    """

    def __init__(self, values: Mapping[str, object], schema: pa.Schema) -> None:
        if not values:
            raise InvalidInput("nothing to set", expected="at least one column and its value")
        self._full = schema
        self._context = _context()
        self._expressions: dict[str, str] = {}
        self._literals: dict[str, pa.ChunkedArray] = {}
        for name, value in values.items():
            if schema.get_field_index(name) < 0:
                raise InvalidInput("no such column", found=name, hint=nearest(name, schema.names))
            if isinstance(value, Sql):
                self._expressions[name] = value.text
            else:
                self._literals[name] = literal_column(value, schema.field(name))
        self.schema = pa.schema([field for field in schema if field.name in values])
        self.evaluate(schema.empty_table())
        self.columns = set(values) | self._read_columns()
        """What is assigned, and what the expressions read."""

    def evaluate(self, rows: pa.Table) -> pa.Table:
        """The new values of the assigned columns for every one of `rows`.

        `rows` have at least one column, and all that the expressions read.
        """
        results: dict[str, Any] = {}
        if self._expressions:
            plan = _select(self._context, rows, list(self._expressions.values()), self._full)
            text = ", ".join(self._expressions.values())
            evaluated = _run(plan, text, self._full)
            results = dict(zip(self._expressions, evaluated.columns, strict=True))
        columns = []
        for field in self.schema:
            if field.name in results:
                columns.append(cast_column(results[field.name], field))
            else:
                first = pa.array(np.zeros(rows.num_rows, dtype=np.int64))
                columns.append(self._literals[field.name].take(first))
        return pa.table(columns, schema=self.schema)

    def _read_columns(self) -> set[str]:
        if not self._expressions:
            return set()
        texts = list(self._expressions.values())
        plan = _select(self._context, self._full.empty_table(), texts, self._full)
        return set(_columns_of(plan, self._full))


def _context() -> SessionContext:
    from datafusion import SessionConfig, SessionContext

    # More than one partition would reorder rows, and results belong to rows by position.
    return SessionContext(SessionConfig().with_target_partitions(1))


def _frame(context: SessionContext, rows: pa.Table) -> DataFrame:
    batches = rows.combine_chunks().to_batches()
    if not batches:
        batches = [pa.RecordBatch.from_pylist([], schema=rows.schema)]
    # A context keeps what it was given under a name; the frame keeps its rows without one.
    context.register_record_batches(_ROWS, [batches])
    try:
        return context.table(_ROWS)
    finally:
        context.deregister_table(_ROWS)


def _select(
    context: SessionContext, rows: pa.Table, texts: Sequence[str], schema: pa.Schema
) -> DataFrame:
    """Expressions over `rows`, which have what is read of `schema`, not all that is named."""
    named = " ".join(texts).casefold()
    present = set(rows.schema.names)
    # `1 = 1 or seats > 5` names a column that nobody reads: it has to be there all the same.
    absent = [
        item
        for item in schema
        if item.name not in present and item.name.casefold().replace('"', '""') in named
    ]
    for item in absent:
        rows = rows.append_column(item, pa.nulls(rows.num_rows, item.type))
    frame = _frame(context, rows)
    plan = frame.select(
        *(_parse(frame, text, schema).alias(f"v{at}") for at, text in enumerate(texts))
    )
    if absent and (read := {item.name for item in absent} & set(_columns_of(plan, rows.schema))):
        raise Bug("a column is read that is not there", found=", ".join(sorted(read)))
    return plan


def _parse(frame: DataFrame, text: str, schema: pa.Schema) -> Expr:
    try:
        return frame.parse_sql_expr(text)
    except Exception as error:  # the bindings raise bare Exception
        raise _refusal(text, error, schema) from error


def _run(plan: DataFrame, text: str, schema: pa.Schema) -> pa.Table:
    try:
        return plan.to_arrow_table()
    except Exception as error:  # the bindings raise bare Exception
        raise _refusal(text, error, schema) from error


def _refusal(text: str, error: Exception, schema: pa.Schema) -> InvalidInput:
    message = _JARGON.sub("", " ".join(str(error).split()))
    unknown = _UNKNOWN_FIELD.search(message)
    if unknown is not None:
        name = (unknown[1] or unknown[2]).replace('""', '"')
        hint = nearest(name, schema.names)
        if any(other.casefold() == name.casefold() != other for other in schema.names):
            hint += ' Names with capitals go in double quotes: "Name".'
        return InvalidInput("no such column", found=name, where=repr(text), hint=hint)
    if any(kind in message for kind in _REFUSED):
        message = "subqueries and aggregates have no place here"
    return InvalidInput(
        "not an expression over this table's columns", found=message[:300], where=repr(text)
    )


def _columns_of(plan: DataFrame, schema: pa.Schema) -> list[str]:
    """The columns that a plan reads, from its optimised scan."""
    node = plan.optimized_logical_plan()
    while node.inputs():
        node = node.inputs()[0]
    scan = node.to_variant()
    projection = getattr(scan, "projection", None)
    if projection is None:
        # Optimised away to a constant: any column will do to count rows.
        return [str(name) for name in schema.names[:1]]
    names = [str(name) for _, name in projection()]
    return names or [str(name) for name in schema.names[:1]]


def _predicate(plan: DataFrame) -> Expr | None:
    from datafusion.expr import Filter

    node = plan.optimized_logical_plan()
    variant = node.to_variant()
    return variant.predicate() if isinstance(variant, Filter) else None


def literal_column(value: object, field: pa.Field) -> pa.ChunkedArray:
    """The value as a column of one row."""
    try:
        return _cast_literal(value, field)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, InvalidInput) as error:
        raise InvalidInput(
            "a value does not fit the column",
            expected=str(field.type),
            found=repr(value)[:100],
            where=f"column {field.name!r}",
        ) from error


def _cast_literal(value: object, field: pa.Field) -> pa.ChunkedArray:
    """By way of its own type: given the column's at once, Arrow would cut 1.5 to 1.

    Text may be what the command line gives: '3' fits a number, '2024-01-31' a date.
    """
    try:
        own = pa.array([value])
    except (pa.ArrowException, TypeError, OverflowError):
        # Pairs of a map, for one, have no type of their own.
        return pa.chunked_array([pa.array([value], field.type)])
    return cast_column(pa.chunked_array([own]), field)


def describe(where: str | None, values: Mapping[str, object] | None = None) -> dict[str, str]:
    """The condition and assignments as operation parameters of a commit."""
    parameters = {"predicate": where or "true"}
    for name, value in (values or {}).items():
        parameters[f"set.{name}"] = value.text if isinstance(value, Sql) else repr(value)[:200]
    return parameters
