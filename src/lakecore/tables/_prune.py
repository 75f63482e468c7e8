"""Which files a condition can match at all, from their statistics.

Understood are AND, OR and `column <op> literal` of the column's own type, as DataFusion's
optimiser leaves them (BETWEEN, short IN lists and casts of literals become these); anything
else may match every file.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from lakecore.tables._sql import Condition
from lakecore.tables._state import DataFile, TableState

if TYPE_CHECKING:
    from datafusion import Expr

_MATCHES: Final[dict[str, Callable[[Any, Any, Any], bool]]] = {
    "=": lambda low, high, value: low <= value <= high,
    "<": lambda low, high, value: low < value,
    "<=": lambda low, high, value: low <= value,
    ">": lambda low, high, value: high > value,
    ">=": lambda low, high, value: high >= value,
}
_JOINS: Final = {"AND": operator.and_, "OR": operator.or_}


def files_that_may_match(state: TableState, condition: Condition | None) -> list[DataFile]:
    """The files whose bounds do not rule the condition out."""
    if condition is None or condition.predicate is None or len(state.files) < 2:
        return state.files
    possible = _possible(condition.predicate, state)
    return [file for file, hit in zip(state.files, possible, strict=True) if hit]


def _possible(predicate: Expr, state: TableState) -> np.ndarray[Any, np.dtype[np.bool_]]:
    everything = np.ones(len(state.files), dtype=np.bool_)
    if predicate.variant_name() != "BinaryExpr":
        return everything
    name = predicate.rex_call_operator()
    left, right = predicate.rex_call_operands()
    if name in _JOINS:
        joined: np.ndarray[Any, np.dtype[np.bool_]] = _JOINS[name](
            _possible(left, state), _possible(right, state)
        )
        return joined
    if name not in _MATCHES or left.variant_name() != "Column" or right.variant_name() != "Literal":
        return everything
    column = left.to_variant().name()
    bounds = state.bounds(column)
    literal = right.python_value()
    value = _comparable(literal, state.schema.field(column).type)
    if bounds is None or value is None:
        return everything
    lows, highs = (side.to_pylist() for side in bounds)
    matches = _MATCHES[name]
    return np.array(
        [
            low is None or high is None or matches(low, high, value)
            for low, high in zip(lows, highs, strict=True)
        ],
        dtype=np.bool_,
    )


def _comparable(literal: Any, kind: pa.DataType) -> Any:
    """The literal as Python compares it like DataFusion does, else None."""
    if not isinstance(literal, pa.Scalar) or literal.type != kind:
        return None
    value = literal.as_py()
    if isinstance(value, float) and (value == 0 or value != value):
        # DataFusion orders -0.0 before 0.0 and NaN after everything, Python does not.
        return None
    return value
