"""A statement in Spark's words: parsed, held against what is known to mean the same, rewritten.

Only what `_spark_words` lists is said to Spark: kinds of nodes and functions of which a test has
compared the rows with DataFusion's. The rest is refused with its name: a function that both
engines have, and that means something else in one of them, is worse than none.

What is made explicit, because the engines mean something else by the same text:

- tables, and the steps of WITH, get names that nobody can guess; their own become aliases;
- `a / b` of integers is Spark's DIV (types are followed from the tables' columns; where they
  cannot be, the query is refused);
- `1.5` is a double, and an integer in arithmetic a bigint: Spark takes a decimal, and an int;
- NULLS FIRST or LAST stands at every ORDER BY (sqlglot writes it);
- parameters are literals of their types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.qualify import qualify
from sqlglot.tokenizer_core import TokenType

from lakecore.base import InvalidInput
from lakecore.base.limits import KIB
from lakecore.query._names import NOW, parse_moment, split_moment, split_schema
from lakecore.query._session import python_value
from lakecore.query._source import MAIN
from lakecore.query._spark_words import CASTS, FIELDS, KNOWN, TRUNCATIONS

MAX_CHARACTERS: Final = 64 * KIB


class _Words(Postgres):
    """DataFusion's words: PostgreSQL's, but that its FLOAT is a single one."""

    class Tokenizer(Postgres.Tokenizer):
        KEYWORDS = Postgres.Tokenizer.KEYWORDS | {"FLOAT": TokenType.FLOAT}


_READ: Final = _Words
_WRITE: Final = "spark"

_TYPES: Final[list[tuple[Callable[[Any], bool], str]]] = [
    (pa.types.is_boolean, "BOOLEAN"),
    (pa.types.is_integer, "BIGINT"),
    (pa.types.is_floating, "DOUBLE"),
    (pa.types.is_date, "DATE"),
    (pa.types.is_timestamp, "TIMESTAMP"),
    (pa.types.is_string, "TEXT"),
    (pa.types.is_large_string, "TEXT"),
]

_ARITHMETIC: Final = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Select, exp.Alias, exp.Neg)

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A query for Spark, and which table of the source each of its views is."""

    text: str
    views: dict[str, Key]


def to_spark(
    text: str,
    values: Mapping[str, Any],
    tables: Mapping[Key, pa.Schema],
    new_name: Callable[[], str],
) -> Spoken:
    """Say a planned statement in Spark's SQL.

    Args:
        text: one query that DataFusion planned.
        values: the parameters, Arrow scalars.
        tables: the columns of each table that was found while it was planned.
        new_name: a name that is no other's.

    Raises:
        InvalidInput: it has something that is not known to mean the same on Spark.
    """
    tree = _parsed(text)
    try:
        tree = normalize_identifiers(tree, dialect=_READ)
        return _Speaker(tree, values, tables, new_name).speak()
    except RecursionError:
        raise InvalidInput(
            "the statement is nested too deeply", hint="name the steps with WITH"
        ) from None
    except SqlglotError as error:
        raise InvalidInput(
            "the statement has no words of Spark's", found=" ".join(str(error).split())[:300]
        ) from error


def _parsed(text: str) -> Any:
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(
            "the statement is too long for Spark",
            expected=f"at most {MAX_CHARACTERS} characters",
            found=len(text),
        )
    try:
        found = [one for one in sqlglot.parse(text, read=_READ) if one is not None]
    except (SqlglotError, RecursionError) as error:
        raise InvalidInput(
            "the statement cannot be said to Spark",
            found=" ".join(str(error).split())[:300],
            hint="ask with the engine datafusion",
        ) from error
    if len(found) != 1 or not isinstance(found[0], exp.Query):
        raise _unknown("a statement that is no query")
    return found[0]


def _unknown(what: str) -> InvalidInput:
    return InvalidInput(
        "this is not known to mean the same on Spark",
        found=what,
        hint="ask with the engine datafusion; docs/spark.md lists what runs on Spark",
    )


class _Speaker:
    def __init__(
        self,
        tree: Any,
        values: Mapping[str, Any],
        tables: Mapping[Key, pa.Schema],
        new_name: Callable[[], str],
    ) -> None:
        self._tree = tree
        self._values = values
        self._tables = tables
        self._new_name = new_name
        self._views: dict[Key, str] = {}
        self._steps: dict[str, str] = {}

    def speak(self) -> Spoken:
        self._rename_tables()
        self._check()
        self._index()
        self._put_values()
        self._typed()
        self._widen()
        text = self._tree.sql(
            _WRITE, identify=True, comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE
        )
        return Spoken(text, {name: key for key, name in self._views.items()})

    # -- what may be said -----------------------------------------------------------------

    def _check(self) -> None:
        for node in self._tree.walk():
            kind = type(node).__name__
            if isinstance(node, exp.Anonymous):
                raise _unknown(f"the function {node.name}")
            if kind not in KNOWN:
                is_function = isinstance(node, exp.Func)
                said = node.sql(_READ)[:200]
                raise _unknown(f"the function {said}" if is_function else f"{kind}: {said}")
            if isinstance(node, exp.DataType) and not _is_known(node):
                raise _unknown(f"the type {node.sql(_READ)}")
            if isinstance(node, exp.Extract) and node.name.lower() not in FIELDS:
                raise _unknown(f"extract of {node.name.lower()}")
            if isinstance(node, exp.TimestampTrunc):
                unit = node.args.get("unit")
                if unit is None or unit.name.lower() not in TRUNCATIONS:
                    raise _unknown("date_trunc to such a part")
            if isinstance(node, exp.Substring | exp.Left | exp.Right) and not _counts(node):
                raise _unknown(
                    f"{node.sql_name().lower()} with a position that is no positive literal"
                )
            if isinstance(node, exp.Bracket) and not _is_plain(node.expressions):
                raise _unknown("an index that is no literal")

    # -- tables -----------------------------------------------------------------------------

    def _rename_tables(self) -> None:
        names = {key[:2] for key in self._tables if len(key) == 4 and key[2:] == (None, None)}
        for step in self._tree.find_all(exp.CTE):
            name = step.alias
            if name in self._steps or (MAIN, name) in names:
                raise InvalidInput(
                    "a step of WITH has the name of another table",
                    found=name,
                    hint="on Spark every step has a name of its own",
                )
            self._steps[name] = self._new_name()
        for table in list(self._tree.find_all(exp.Table)):
            self._rename(table)
        for step in self._tree.find_all(exp.CTE):
            step.args["alias"].set("this", exp.to_identifier(self._steps[step.alias], quoted=True))
        for column in self._tree.find_all(exp.Column):
            column.set("db", None)
            column.set("catalog", None)

    def _rename(self, table: exp.Table) -> None:
        strange = {name for name, value in table.args.items() if value} - {"this", "db", "alias"}
        if strange - {"catalog"} or table.args.get("catalog"):
            raise _unknown(f"a table with {', '.join(sorted(strange))}")
        if isinstance(table.this, exp.Anonymous):
            key, name = self._called(table.this)
        else:
            name = table.name
            if not table.db and name in self._steps:
                key = None
            else:
                base, moment = split_moment(name) if "@" in name else (name, NOW)
                key = (table.db or MAIN, base, moment.version, moment.time)
        new = self._steps[name] if key is None else self._view(key)
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name, quoted=True))
        table.replace(exp.Table(this=exp.to_identifier(new, quoted=True), alias=alias))

    def _view(self, key: Key) -> str:
        if key not in self._tables:
            raise _unknown(f"the table {key[1] if len(key) > 1 else key}")
        return self._views.setdefault(key, self._new_name())

    def _called(self, call: exp.Anonymous) -> tuple[Key, str]:
        """The table that as_of, history or changes is."""
        name = str(call.this).lower()
        given = [self._literal(argument) for argument in call.expressions]
        if not given or not isinstance(given[0], str):
            raise _unknown(f"the table function {name}")
        schema, table = split_schema(given[0])
        if name == "as_of" and len(given) == 2:
            moment = parse_moment(given[1])
            return (schema, table, moment.version, moment.time), name
        if name == "history" and len(given) >= 2:
            key = given[1] if len(given) == 2 else given[1:]
            return ("history", schema, table, repr(key)), name
        if name == "changes":
            bounds = []
            for value in [*given[1:], None, None][:2]:
                moment = NOW if value is None else parse_moment(value)
                bounds.append(moment.time if moment.version is None else moment.version)
            return ("changes", schema, table, *bounds), name
        raise _unknown(f"the table function {name}")

    def _literal(self, node: exp.Expression) -> Any:
        if isinstance(node, exp.Parameter | exp.Placeholder):
            value = self._values[_parameter(node)]
            return python_value(value) if isinstance(value, pa.Scalar) else value
        if isinstance(node, exp.Neg):
            return -self._literal(node.this)
        if isinstance(node, exp.Null):
            return None
        if isinstance(node, exp.Boolean):
            return bool(node.this)
        if isinstance(node, exp.Literal):
            if node.is_string:
                return str(node.this)
            return int(node.this) if node.is_int else float(node.this)
        raise _unknown("an argument of a table function that is no literal")

    # -- values -------------------------------------------------------------------------------

    def _put_values(self) -> None:
        for node in list(self._tree.find_all(exp.Parameter, exp.Placeholder)):
            node.replace(_as_literal(self._values[_parameter(node)]))

    def _widen(self) -> None:
        for literal in list(self._tree.find_all(exp.Literal)):
            if literal.is_string or isinstance(literal.parent, exp.Cast | exp.Interval):
                continue
            if not literal.is_int:
                literal.replace(exp.cast(literal.copy(), "DOUBLE"))
            elif isinstance(literal.parent, _ARITHMETIC) and _is_value(literal):
                literal.replace(exp.cast(literal.copy(), "BIGINT"))

    def _index(self) -> None:
        """What is behind the end of a list is null: in Spark's brackets it is an error."""
        for bracket in list(self._tree.find_all(exp.Bracket)):
            [index] = bracket.expressions
            if not index.is_string:  # counted from 0 by now: sqlglot knows where each begins
                bracket.replace(exp.Anonymous(this="get", expressions=[bracket.this, index]))

    def _typed(self) -> None:
        """Divisions of integers, and texts of values: what they are depends on types."""
        nodes = [node for node in self._tree.walk() if _depends_on_types(node)]
        if not nodes:
            return
        for number, node in enumerate(nodes):
            node.meta["number"] = number
        types = self._types()
        for number, node in enumerate(nodes):
            kinds = types.get(number, ())
            if isinstance(node, exp.Div):
                _divide(node, kinds)
            elif not kinds or any(kind not in _PLAIN_TEXTS for kind in kinds):
                raise _unknown(f"the text of such a value: {node.sql(_READ)[:200]}")

    def _types(self) -> dict[int, tuple[Any, ...]]:
        """The types of what each numbered node is made of."""
        schema: dict[str, Any] = {
            name: {column.name: _sql_type(column.type) for column in self._tables[key]}
            for key, name in self._views.items()
        }
        copy: Any = self._tree.copy()
        for literal in list(copy.find_all(exp.Literal)):
            if not literal.is_string and not literal.is_int:
                literal.replace(exp.cast(literal.copy(), "DOUBLE"))
        try:
            copy = qualify(
                copy, dialect=_READ, schema=schema, validate_qualify_columns=False, identify=True
            )
            copy = annotate_types(copy, schema=schema, dialect=_READ)
        except SqlglotError:
            return {}
        found = {}
        for node in copy.walk():
            number = node.meta.get("number")
            if number is not None and _depends_on_types(node):
                sides: Any = (node.left, node.right) if isinstance(node, exp.Div) else (node.this,)
                if all(side.type is not None for side in sides):
                    found[number] = tuple(side.type.this for side in sides)
        return found


_Type = exp.DataType.Type
_NUMBERS: Final = frozenset(exp.DataType.NUMERIC_TYPES)
_PLAIN_TEXTS: Final = frozenset(
    {
        *exp.DataType.INTEGER_TYPES,
        *exp.DataType.TEXT_TYPES,
        _Type.BOOLEAN,
        _Type.DATE,
        _Type.DECIMAL,
    }
)
"""Types whose values both engines write alike: of times and floating numbers they do not."""


def _depends_on_types(node: Any) -> bool:
    if isinstance(node, exp.Div):
        return True
    is_text: bool = isinstance(node, exp.Cast) and node.to.this in exp.DataType.TEXT_TYPES
    return is_text


def _divide(division: exp.Div, kinds: tuple[Any, ...]) -> None:
    if len(kinds) != 2 or any(kind not in _NUMBERS for kind in kinds):
        raise InvalidInput(
            "whether this is a division of integers cannot be told",
            found=division.sql(_READ)[:200],
            hint="cast one side: to double, or to bigint",
        )
    if all(kind in exp.DataType.INTEGER_TYPES for kind in kinds):
        this, other = exp.paren(division.this), exp.paren(division.expression)
        division.replace(exp.IntDiv(this=this, expression=other))
    else:
        division.set("typed", False)


def _is_known(kind: exp.DataType) -> bool:
    """Whether both engines mean this type by its name; a decimal needs its digits."""
    is_decimal = kind.this == exp.DataType.Type.DECIMAL
    return kind.this.value in CASTS and is_decimal == bool(kind.expressions)


def _is_plain(indexes: list[exp.Expression]) -> bool:
    return len(indexes) == 1 and isinstance(indexes[0], exp.Literal)


def _counts(call: exp.Expression) -> bool:
    """Whether the positions and lengths of a call are literals that both engines count alike."""
    least = {"start": 1, "length": 0, "expression": 0}
    return all(
        isinstance(given, exp.Literal) and given.is_int and int(given.this) >= least[name]
        for name in least
        if (given := call.args.get(name)) is not None
    )


def _is_value(literal: exp.Expression) -> bool:
    """Whether a literal is computed with, or is a column of the result: no position, no count."""
    parent = literal.parent
    return not isinstance(parent, exp.Select) or literal.arg_key == "expressions"


def _parameter(node: exp.Expression) -> str:
    return str(node.name or node.this)


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    return next((name for fits, name in _TYPES if fits(kind)), "UNKNOWN")


def _as_literal(scalar: Any) -> exp.Expression:
    """A parameter's value as SQL."""
    kind = scalar.type
    if not scalar.is_valid:
        return exp.Null()
    value = python_value(scalar)
    if pa.types.is_boolean(kind):
        return exp.Boolean(this=value)
    if pa.types.is_integer(kind):
        return exp.cast(exp.Literal.number(value), "BIGINT")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return exp.Literal.string(value)
    if pa.types.is_floating(kind):
        return exp.cast(exp.Literal.string(repr(value)), "DOUBLE")
    if pa.types.is_decimal(kind):
        return exp.cast(exp.Literal.string(str(value)), _sql_type(kind))
    if pa.types.is_date(kind):
        return exp.cast(exp.Literal.string(value.isoformat()), "DATE")
    if pa.types.is_timestamp(kind):
        return exp.cast(exp.Literal.string(value.isoformat(" ")), "TIMESTAMP")
    raise _unknown(f"a parameter of type {kind}")
