"""Conditions over columns: the same answers as `_row` gives, for many rows at once."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakecore.truth._columns import Absent, Batch, Leaf, Mask, Shared, Unsupported, truth_of
from lakecore.truth._condition import (
    All,
    Always,
    AnyOf,
    Cel,
    Condition,
    FieldEmpty,
    FieldEquals,
    FieldGreater,
    Not,
)
from lakecore.truth._rule import Missing
from lakecore.truth._values import Literal, NotComparable, is_empty
from lakecore.truth._vector_cel import evaluate_expression
from lakecore.truth._verdict import (
    FAILED,
    NO,
    YES,
    Verdict,
    conjoin,
    constant,
    disjoin,
    judge,
    negate,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def evaluate_condition(condition: Condition, missing: Missing, batch: Batch) -> Verdict:
    """The condition's answer for each row of the batch.

    Raises:
        Unsupported: it cannot be had by columns; ask row by row.
    """
    if isinstance(condition, Always):
        return YES
    if isinstance(condition, Cel):
        return evaluate_expression(condition.expression, batch)
    if isinstance(condition, Not):
        return negate(evaluate_condition(condition.part, missing, batch))
    if isinstance(condition, All | AnyOf):
        parts = (evaluate_condition(part, missing, batch) for part in condition.parts)
        return conjoin(parts) if isinstance(condition, All) else disjoin(parts)
    found = batch.find(condition.path.segments)
    if isinstance(condition, FieldEmpty):
        return _empty(found)
    equality = isinstance(condition, FieldEquals)
    if isinstance(found, Absent):
        return _absent(condition, found, missing)
    literal = Literal(condition.value)
    if isinstance(found, Shared):
        try:
            return constant((literal.equals if equality else literal.exceeded_by)(found.value))
        except (NotComparable, ArithmeticError):
            return FAILED
    if literal.value is None:
        return Verdict(np.zeros(1, dtype=np.bool_) if found.null is None else found.null)
    compared = _compare(found, literal, equality)
    if compared is None:  # no row's value has an order with the literal
        return NO if equality else judge(np.zeros(1, np.bool_), _values_of(found), null_fails=True)
    return judge(compared, found.null, null_fails=False)


def _values_of(leaf: Leaf) -> Mask | None:
    return np.ones(1, dtype=np.bool_) if leaf.null is None else ~leaf.null


def _absent(condition: FieldEquals | FieldGreater, found: Absent, missing: Missing) -> Verdict:
    null_holds = isinstance(condition, FieldEquals) and condition.value is None
    if missing is Missing.NULL:
        return constant(null_holds)
    above = found.above_null
    if above is None:
        return FAILED
    return Verdict(above if null_holds else np.zeros(1, dtype=np.bool_), ~above)


def _empty(found: Shared | Absent | Leaf) -> Verdict:
    if isinstance(found, Absent):
        return YES
    if isinstance(found, Shared):
        return constant(is_empty(found.value))
    kind, array = found.type, found.array
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind) or _is_binary(kind):
        empty = truth_of(pc.equal(pc.binary_length(array), 0))
    elif types.is_list(kind) or types.is_large_list(kind) or types.is_map(kind):
        empty = truth_of(pc.equal(pc.list_value_length(array), 0))
    elif types.is_struct(kind):  # an object, with members or without
        empty = np.full(1, kind.num_fields == 0)
    elif types.is_nested(kind) or types.is_string_view(kind) or types.is_binary_view(kind):
        raise Unsupported(f"emptiness of {kind}")
    else:
        empty = np.zeros(1, dtype=np.bool_)
    return Verdict(empty if found.null is None else empty | found.null)


def _is_binary(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    )


def _compare(leaf: Leaf, literal: Literal, equality: bool) -> Mask | None:
    """Which values equal or exceed the literal; None where the kinds have no order.

    What it says where the leaf is null is of no meaning.
    """
    kind, value, types = leaf.type, literal.value, pa.types
    never = np.zeros(1, dtype=np.bool_)
    if types.is_null(kind):
        return never
    if types.is_boolean(kind):
        if not equality:
            return None
        if not isinstance(value, bool):
            return never
        return leaf.booleans if value else ~leaf.booleans
    if types.is_integer(kind) or types.is_floating(kind):
        if literal.decimal is None:
            return never if equality else None
        compare = _integers if types.is_integer(kind) else _floats
        return compare(leaf.numbers, value, equality)
    if types.is_string(kind) or types.is_large_string(kind):
        if not isinstance(value, str):
            return never if equality else None
        kernel = pc.equal if equality else pc.greater
        return truth_of(kernel(leaf.array, pa.scalar(value, kind)))
    if types.is_decimal(kind):
        if literal.decimal is None:
            return never if equality else None
        return _decimals(leaf.array, literal.decimal, equality)
    if types.is_timestamp(kind):
        moment = literal.moment
        if moment is None or (moment.tzinfo is None) != (kind.tz is None):
            return never if equality else None
        since = moment.replace(tzinfo=UTC) - _EPOCH if moment.tzinfo is None else moment - _EPOCH
        wanted = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        return _integers(leaf.microseconds, wanted, equality)
    if types.is_date(kind):
        if literal.day is None:
            return never if equality else None
        return _integers(leaf.days, (literal.day - _EPOCH.date()).days, equality)
    raise Unsupported(f"values of {kind}")


def _integers(values: Any, wanted: int | float, equality: bool) -> Mask:
    if isinstance(wanted, float):
        if equality and not wanted.is_integer():
            return np.zeros(1, dtype=np.bool_)
        # Among integers, more than 2.5 is more than 2.
        wanted = math.floor(wanted)
    bounds = np.iinfo(values.dtype)
    if equality:
        if not bounds.min <= wanted <= bounds.max:
            return np.zeros(1, dtype=np.bool_)
        answer: Mask = values == wanted
        return answer
    if wanted < bounds.min or wanted >= bounds.max:
        return np.full(1, wanted < bounds.min)
    exceeds: Mask = values > wanted
    return exceeds


def _floats(values: Any, wanted: int | float, equality: bool) -> Mask:
    nearest = float(wanted)
    answer: Mask
    if nearest == wanted:
        answer = values == nearest if equality else values > nearest
    elif equality:
        answer = np.zeros(1, dtype=np.bool_)
    else:
        # An integer between two floats: its nearest one already exceeds it, or does not.
        answer = values >= nearest if nearest > wanted else values > nearest
    return answer


def _decimals(array: pa.Array, wanted: Decimal, equality: bool) -> Mask:
    kind = array.type
    scaled = wanted.scaleb(kind.scale)
    unscaled = math.floor(scaled)
    if equality and unscaled != scaled:
        return np.zeros(1, dtype=np.bool_)
    if abs(unscaled) >= 10**kind.precision:
        return np.full(1, not equality and unscaled < 0)
    # More than 0.125 is, in cents, more than 0.12.
    bound = pa.scalar(Decimal(unscaled).scaleb(-kind.scale), kind)
    try:
        return truth_of((pc.equal if equality else pc.greater)(array, bound))
    except pa.ArrowNotImplementedError:
        raise Unsupported(f"values of {kind}") from None
