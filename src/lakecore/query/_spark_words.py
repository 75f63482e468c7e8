"""What is known to mean the same on Spark: kinds of nodes of a tree of sqlglot's, by their names.

A word enters with a query in `tests/integration/test_spark_rows.py` that has it.
"""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NODES: Final = _words(
    """
    Add Alias And Between Boolean Bracket CTE Case Column Cube DPipe DataType DataTypeParam
    Distinct Div Dot EQ Escape Except Exists Filter From GT GTE Group GroupingSets Having ILike
    Identifier If In Intersect Interval Is Join LT LTE Like Limit Literal Mod Mul NEQ Neg Not Null
    NullSafeEQ NullSafeNEQ Offset Or Order Ordered Parameter Paren Placeholder Rollup Select Star
    Sub Subquery Table TableAlias Tuple Union Values Var Where Window WindowSpec With
    """
)

FUNCTIONS: Final = _words(
    """
    Abs Avg Cast Ceil Coalesce Concat Corr Count CurrentDate CurrentTimestamp DenseRank Exp
    Extract FirstValue Floor Greatest Lag LastValue Lead Least Left Length Ln LogicalAnd LogicalOr
    Lower Max Min NthValue Ntile Nullif Pad Pow Rank Replace Reverse Right Round RowNumber
    Sign Sqrt
    StartsWith Stddev StddevPop StrPosition Substring Sum TimestampTrunc Trim TryCast
    Upper Variance VariancePop
    """
)

KNOWN: Final = NODES | FUNCTIONS

FIELDS: Final = _words("year quarter month day hour minute doy")
"""What EXTRACT takes: weeks and days of the week are counted otherwise, seconds have fractions."""

TRUNCATIONS: Final = _words("year quarter month week day hour minute second")

CASTS: Final = _words(
    "BIGINT BOOLEAN DATE DECIMAL DOUBLE INT INTERVAL SMALLINT TEXT TIMESTAMP VARCHAR"
)
"""Types to cast to: a `real` is single on one side and read as double on the other."""
