"""CEL over columns: the part of the language that compares, combines and tests fields.

Comparisons, ``&& || !``, ``?:``, ``in`` a list, `has`, `size`, `startsWith`, `endsWith`,
`contains`, `matches`, `timestamp`, `double` of integers, and arithmetic that cannot overflow.
Anything else, and columns of other types (binary, maps, unsigned 64 bits), are
`Unsupported`: rows are then looked at one by one by the engine itself, which stays the
reference. Null is a value in CEL: it equals itself, and to order it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakecore.truth import _cel_syntax as syntax
from lakecore.truth._cel import parse_expression
from lakecore.truth._columns import (
    Absent,
    Batch,
    Leaf,
    Mask,
    Shared,
    Unsupported,
    is_ascii,
    truth_of,
)
from lakecore.truth._values import NotComparable, moment_of, plain
from lakecore.truth._verdict import FAILED, Verdict, choose, conjoin, constant, disjoin, negate

_NUMBERS = ("integer", "double")
_ORDER: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "_<_": (np.less, pc.less),
    "_<=_": (np.less_equal, pc.less_equal),
    "_>_": (np.greater, pc.greater),
    "_>=_": (np.greater_equal, pc.greater_equal),
    "_==_": (np.equal, pc.equal),
    "_!=_": (np.equal, pc.equal),
}
_TEXT_TESTS = {
    "startsWith": pc.starts_with,
    "endsWith": pc.ends_with,
    "contains": pc.match_substring,
    "matches": pc.match_substring_regex,
}
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_FEW = 6
_PLAIN_SCALE = 6
"""Arrow writes decimals of more digits with an exponent where they are small."""

_INT64_MAX = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class _Operand:
    """Values of one kind, an entry for each row, or one that stands for all.

    Kinds: null, boolean, integer, double, text, timestamp, list (an Arrow array), literals (a
    list that is the same for all rows), object, and other, which nothing compares.
    """

    kind: str
    values: Any
    null: Mask | None = None
    failed: Mask | None = None


def evaluate_expression(expression: str, batch: Batch) -> Verdict:
    """The expression's answer for each row.

    Raises:
        Unsupported: it cannot be had by columns.
    """
    return _truth(parse_expression(expression), batch)


def _truth(node: syntax.Node, batch: Batch) -> Verdict:
    """The answer of a node that stands where a truth value is wanted."""
    if isinstance(node, syntax.Call):
        function, args = node.function, node.args
        if function == "_&&_":
            return conjoin(_truth(part, batch) for part in args)
        if function == "_||_":
            return disjoin(_truth(part, batch) for part in args)
        if function == "!_":
            return negate(_truth(args[0], batch))
        if function == "_?_:_":
            return choose(*(_truth(part, batch) for part in args))
        if function in _ORDER:
            left, right = (_operand(part, batch) for part in args)
            return _compare(function, left, right)
        if function == "@in":
            return _member(_operand(args[0], batch), _operand(args[1], batch))
        if function in _TEXT_TESTS:
            return _text_test(node, batch)
    if isinstance(node, syntax.Select) and node.test_only:
        return _has(node, batch)
    operand = _operand(node, batch)
    if operand.kind == "other":
        raise Unsupported("a value of this kind as a condition")
    if operand.kind != "boolean":
        return FAILED
    failed = _either(operand.null, operand.failed)
    holds = operand.values
    return Verdict(holds, None) if failed is None else Verdict(holds & ~failed, failed)


def _operand(node: syntax.Node, batch: Batch) -> _Operand:
    """The values of a node."""
    path = syntax.path_of(node)
    if path is not None and not (isinstance(node, syntax.Select) and node.test_only):
        return _at(path, batch)
    if isinstance(node, syntax.Const):
        return _single(node.value)
    if isinstance(node, syntax.Items):
        return _Operand("literals", [_literal(part) for part in node.elements])
    if isinstance(node, syntax.Call):
        function, args = node.function, node.args
        if function == "size":
            return _size(_operand(node.target or args[0], batch))
        if function in ("_+_", "_-_", "_*_", "_/_"):
            return _arithmetic(function, *(_operand(part, batch) for part in args))
        if function == "-_":
            return _arithmetic("_-_", _single(0), _operand(args[0], batch), negation=True)
        if function == "timestamp" and len(args) == 1:
            return _timestamp(args[0], batch)
        if function == "double" and len(args) == 1:
            return _double(args[0], batch)
    if isinstance(node, syntax.Call | syntax.Select):
        verdict = None
        if not isinstance(node, syntax.Call) or _is_condition(node.function):
            verdict = _truth(node, batch)
        if verdict is not None:
            return _Operand("boolean", verdict.holds, None, verdict.failed)
    name = node.function if isinstance(node, syntax.Call) else type(node).__name__.lower()
    raise Unsupported(f"{name} over columns")


def _is_condition(function: str) -> bool:
    return (
        function in _ORDER or function in _TEXT_TESTS or function in ("_&&_", "_||_", "!_", "@in")
    )


def _literal(node: syntax.Node) -> Any:
    if isinstance(node, syntax.Const) and not isinstance(node.value, syntax.Unsigned | bytes):
        return node.value
    raise Unsupported("a list of other than literals")


def _at(path: tuple[str, ...], batch: Batch) -> _Operand:
    """The values that a path leads to. In CEL, to select from null is an error."""
    found = batch.find(path)
    if isinstance(found, Absent):
        return _Operand("null", None, None, np.ones(1, dtype=np.bool_))
    if isinstance(found, Shared):
        above = batch.find(path[:-1]) if len(path) > 1 else None
        if isinstance(above, Shared) and not isinstance(above.value, Mapping):
            return _Operand("null", None, None, np.ones(1, dtype=np.bool_))
        try:
            return _single(plain(found.value))
        except NotComparable as error:
            raise Unsupported(str(error)) from None
    kind, values = _typed(found)
    return _Operand(kind, values, found.null, found.above_null)


def _typed(leaf: Leaf) -> tuple[str, Any]:
    kind, types = leaf.type, pa.types
    if types.is_null(kind):
        return "null", None
    if types.is_boolean(kind):
        return "boolean", leaf.booleans
    if types.is_uint64(kind):
        return "other", None
    if types.is_integer(kind):
        return "integer", leaf.numbers
    if types.is_floating(kind):
        return "double", leaf.numbers
    if types.is_string(kind) or types.is_large_string(kind):
        return "text", leaf.array
    if types.is_list(kind) or types.is_large_list(kind):
        return "list", leaf.array
    if types.is_struct(kind):
        return "object", None
    text = _text_of(leaf.array)
    return ("other", None) if text is None else ("text", text)


def _text_of(array: pa.Array) -> pa.Array | None:
    """The JSON text of decimals, dates and timestamps, as `plain` has it; None of anything else."""
    kind, types = array.type, pa.types
    if types.is_decimal(kind) and 0 <= kind.scale <= _PLAIN_SCALE:
        return array.cast(pa.string())
    if types.is_date(kind):
        return array.cast(pa.date32()).cast(pa.string())
    if types.is_timestamp(kind):
        moments = array.cast(pa.timestamp("us", None if kind.tz is None else "UTC"), safe=False)
        return pc.replace_substring(moments.cast(pa.string()), " ", "T")
    return None


def _single(value: Any) -> _Operand:
    """A value that is the same for all rows."""
    if value is None:
        return _Operand("null", None)
    if isinstance(value, bool):
        return _Operand("boolean", np.full(1, value))
    if isinstance(value, int):
        if not -_INT64_MAX - 1 <= value <= _INT64_MAX:
            raise Unsupported("an integer beyond 64 bits")
        return _Operand("integer", np.full(1, value, dtype=np.int64))
    if isinstance(value, float):
        return _Operand("double", np.full(1, value))
    if isinstance(value, str):
        try:
            return _Operand("text", pa.array([value], pa.string()))
        except (UnicodeEncodeError, pa.ArrowInvalid):
            raise Unsupported("a text that is not Unicode") from None
    if isinstance(value, list):
        if all(item is None or isinstance(item, str | bool | int | float) for item in value):
            return _Operand("literals", value)
        raise Unsupported("a list of lists or objects")
    if isinstance(value, dict):
        return _Operand("object", None)
    raise Unsupported("a literal of this kind")


def _compare(function: str, left: _Operand, right: _Operand) -> Verdict:
    failed = _either(left.failed, right.failed)
    equality = function in ("_==_", "_!=_")
    kinds = {left.kind, right.kind}
    if "null" in kinds:
        if not equality:
            return FAILED
        # Whatever it is compared with, only its nulls are equal to null.
        sides = [_nulls(side) for side in (left, right)]
        holds = sides[0] & sides[1]
    elif "other" in kinds or (kinds & {"list", "literals", "object"} and len(kinds) == 1):
        raise Unsupported("a comparison of values of this kind")
    elif kinds == {"list", "literals"}:
        raise Unsupported("a comparison of lists")
    elif len(kinds) == 1 or kinds <= set(_NUMBERS):
        holds = _compared(function, left, right)
        null = _either(left.null, right.null)
        if null is not None:
            if equality:
                holds = holds & ~null
                if left.null is not None and right.null is not None:
                    holds = holds | (left.null & right.null)
            else:
                failed = _either(failed, null)
    elif equality:
        sides = [_nulls(side) for side in (left, right)]
        holds = sides[0] & sides[1]
    else:
        return FAILED
    if function == "_!=_":
        holds = ~holds
    return Verdict(holds, None) if failed is None else Verdict(holds & ~failed, failed)


def _nulls(operand: _Operand) -> Mask:
    if operand.kind == "null":
        return np.ones(1, dtype=np.bool_)
    return np.zeros(1, dtype=np.bool_) if operand.null is None else operand.null


def _compared(function: str, left: _Operand, right: _Operand) -> Mask:
    by_number, by_text = _ORDER[function]
    if left.kind != "text":
        holds: Mask = by_number(left.values, right.values)
        return holds
    a, b = left.values, right.values
    if len(b) == 1:
        return truth_of(by_text(a, pa.scalar(b[0].as_py(), a.type)))
    if len(a) == 1:
        return truth_of(by_text(pa.scalar(a[0].as_py(), b.type), b))
    return truth_of(by_text(a, b if a.type == b.type else b.cast(a.type)))


def _member(item: _Operand, items: _Operand) -> Verdict:
    if items.kind == "literals":
        if not items.values:
            return _all_or_failed(constant(False), item.failed)
        # A hash of each text costs more than a few comparisons.
        if item.kind == "text" and None not in items.values and len(items.values) > _FEW:
            texts = [value for value in items.values if isinstance(value, str)]
            found = pc.is_in(item.values, pa.array(texts, item.values.type))
            return _all_or_failed(Verdict(truth_of(found)), item.failed)
        return disjoin(_compare("_==_", item, _single(value)) for value in items.values)
    single = item.kind == "text" and len(item.values) == 1 and item.null is None
    if items.kind == "list" and single:
        kind = items.values.type.value_type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return _in_lists(item.values[0].as_py(), items, item.failed)
    if items.kind in ("boolean", "integer", "double", "text", "null"):
        return FAILED
    raise Unsupported("in over values of this kind")


def _in_lists(text: str, items: _Operand, item_failed: Mask | None) -> Verdict:
    """Whether a text is in each row's list."""
    lists = items.values
    equal = truth_of(pc.equal(lists.flatten(), pa.scalar(text, lists.type.value_type)))
    holds = np.zeros(len(lists), dtype=np.bool_)
    holds[pc.list_parent_indices(lists).to_numpy()[equal]] = True
    failed = _either(item_failed, _either(items.null, items.failed))
    return Verdict(holds) if failed is None else Verdict(holds & ~failed, failed)


def _all_or_failed(verdict: Verdict, failed: Mask | None) -> Verdict:
    return verdict if failed is None else Verdict(verdict.holds & ~failed, failed)


def _has(node: syntax.Select, batch: Batch) -> Verdict:
    path = syntax.path_of(syntax.Select(node.operand, node.field, False))
    if path is None:
        raise Unsupported("has over other than a path")
    above, found = batch.find(path[:-1]), batch.find(path)
    if isinstance(above, Absent):
        return FAILED
    if isinstance(above, Shared):
        if not isinstance(above.value, Mapping):
            return FAILED
        return constant(node.field in above.value)
    if not pa.types.is_struct(above.type):
        return FAILED
    # Null cannot be selected from; a member that is null is there.
    there = constant(isinstance(found, Leaf))
    return there if above.null is None else Verdict(there.holds & ~above.null, above.null)


def _text_test(node: syntax.Call, batch: Batch) -> Verdict:
    subjects = (*((node.target,) if node.target else ()), *node.args)
    subject, pattern = (_operand(part, batch) for part in subjects)
    if "other" in (subject.kind, pattern.kind):
        raise Unsupported("a text function over values of this kind")
    if subject.kind != "text" or pattern.kind != "text":
        return FAILED
    if len(pattern.values) != 1 or pattern.null is not None:
        raise Unsupported(f"{node.function} with a text of each row's own")
    try:
        kernel = _TEXT_TESTS[node.function]
        holds = truth_of(kernel(subject.values, pattern.values[0].as_py()))
    except pa.ArrowInvalid:
        return FAILED  # not a regular expression
    failed = _either(subject.failed, _either(pattern.failed, subject.null))
    return Verdict(holds) if failed is None else Verdict(holds & ~failed, failed)


def _size(operand: _Operand) -> _Operand:
    if operand.kind == "text":
        ascii_only = is_ascii(operand.values)
        lengths = (pc.binary_length if ascii_only else pc.utf8_length)(operand.values)
    elif operand.kind == "list":
        lengths = pc.list_value_length(operand.values)
    elif operand.kind == "literals":
        return _single(len(operand.values))
    elif operand.kind in ("boolean", "integer", "double", "null", "timestamp"):
        return _Operand("null", None, None, np.ones(1, dtype=np.bool_))
    else:
        raise Unsupported("size over values of this kind")
    values = lengths.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return _Operand("integer", values, None, _either(operand.failed, operand.null))


def _arithmetic(
    function: str, left: _Operand, right: _Operand, *, negation: bool = False
) -> _Operand:
    kinds = {left.kind, right.kind}
    failed = _either(_either(left.failed, right.failed), _either(left.null, right.null))
    if negation and right.kind == "double":
        return _Operand("double", -right.values, None, failed)
    if kinds == {"double"}:
        with np.errstate(all="ignore"):
            operate = {"_+_": np.add, "_-_": np.subtract, "_*_": np.multiply, "_/_": np.divide}
            return _Operand("double", operate[function](left.values, right.values), None, failed)
    if kinds == {"integer"} and function != "_/_":
        largest = [_largest(side.values) for side in (left, right)]
        if (largest[0] * largest[1] if function == "_*_" else sum(largest)) > _INT64_MAX:
            raise Unsupported("integers that may overflow")
        whole = {"_+_": np.add, "_-_": np.subtract, "_*_": np.multiply}
        a, b = (side.values.astype(np.int64, copy=False) for side in (left, right))
        return _Operand("integer", whole[function](a, b), None, failed)
    if kinds <= {"integer", "double", "boolean", "null"} and len(kinds) == 2:
        # CEL never mixes integers and doubles in arithmetic.
        return _Operand("null", None, None, np.ones(1, dtype=np.bool_))
    raise Unsupported("arithmetic over values of this kind")


def _largest(values: Any) -> int:
    return max(abs(int(values.min())), abs(int(values.max()))) if len(values) else 0


def _double(node: syntax.Node, batch: Batch) -> _Operand:
    path = syntax.path_of(node)
    found = None if path is None else batch.find(path)
    if isinstance(found, Leaf) and pa.types.is_decimal(found.type):
        # By its text, as CEL does it: a direct cast is not always the nearest double.
        values = found.array.cast(pa.string()).cast(pa.float64()).fill_null(0.0)
        return _Operand("double", values.to_numpy(), None, found.null)
    operand = _operand(node, batch)
    if operand.kind not in _NUMBERS:
        raise Unsupported("double of other than numbers")
    failed = _either(operand.failed, operand.null)
    return _Operand("double", operand.values.astype(np.float64), None, failed)


def _timestamp(node: syntax.Node, batch: Batch) -> _Operand:
    """A column with a zone, or a literal; in both, CEL's text of it is parsed at no cost."""
    if isinstance(node, syntax.Const) and isinstance(node.value, str):
        moment = moment_of(node.value) if _RFC3339.fullmatch(node.value) else None
        if moment is not None:
            array = pa.array([moment], pa.timestamp("us", "UTC"))
            return _Operand("timestamp", Leaf(array, None).microseconds)
    path = syntax.path_of(node)
    found = None if path is None else batch.find(path)
    if isinstance(found, Leaf) and pa.types.is_timestamp(found.type) and found.type.tz is not None:
        return _Operand("timestamp", found.microseconds, None, found.null)
    raise Unsupported("timestamp of other than a literal or a column with a zone")


def _either(one: Mask | None, other: Mask | None) -> Mask | None:
    if one is None or other is None:
        return other if one is None else one
    return one | other
