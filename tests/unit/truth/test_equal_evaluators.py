"""The evaluator over columns answers as the one over rows does, whatever the rules and rows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lakecore.truth import ACTIONS, RuleSet, change_rows
from lakecore.truth import _bounds as bounds

TEXTS = ("", "a", "ab", "b", "é", "\U0001f600", "a\nb", "Ab", "2026-01-01", "NaN", "1")
INTEGERS = (0, 1, -1, 2, 7, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63))
FLOATS = (0.0, -0.0, 1.0, 1.5, -2.5, float("nan"), float("inf"), -float("inf"), 2.0**53, 2.0**63)
DECIMALS = tuple(map(Decimal, ("0.00", "1.00", "1.50", "-2.50", "0.10", "99999999.99")))
TIMES = (
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
)

COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "i": (pa.int64(), st.sampled_from(INTEGERS) | st.integers(-5, 5)),
    "j": (pa.int8(), st.integers(-128, 127)),
    "u": (pa.uint64(), st.sampled_from((0, 1, 2**63, 2**64 - 1))),
    "f": (pa.float64(), st.sampled_from(FLOATS) | st.floats(-3, 3)),
    "g": (pa.float32(), st.sampled_from((0.0, 0.5, 1.0, 0.10000000149011612))),
    "s": (pa.string(), st.sampled_from(TEXTS) | st.text(max_size=3)),
    "k": (pa.dictionary(pa.int32(), pa.string()), st.sampled_from(TEXTS)),
    "b": (pa.bool_(), st.booleans()),
    "d": (pa.decimal128(10, 2), st.sampled_from(DECIMALS)),
    "e": (pa.decimal128(38, 20), st.sampled_from(DECIMALS) | st.just(Decimal("1E-20"))),
    "t": (pa.timestamp("us", "UTC"), st.sampled_from(TIMES)),
    "n": (pa.timestamp("ns"), st.sampled_from([time.replace(tzinfo=None) for time in TIMES])),
    "y": (pa.date32(), st.sampled_from((date(2026, 1, 1), date(1969, 1, 1)))),
    "l": (pa.list_(pa.string()), st.lists(st.sampled_from(TEXTS) | st.none(), max_size=3)),
    "x": (pa.binary(), st.sampled_from((b"", b"a"))),
    "o": (
        pa.struct([("p", pa.int64()), ("q.r", pa.string())]),
        st.fixed_dictionaries(
            {"p": st.none() | st.integers(-2, 2), "q.r": st.none() | st.sampled_from(TEXTS)}
        ),
    ),
    "z": (pa.null(), st.none()),
}

SHARED = {
    "op": "update",
    "principal": {"name": "ada", "roles": ["admin", "ops"], "trust": None},
    "size": {"rows": 5, "fraction": 0.25},
}

PATHS = (
    *(f"after.{name}" for name in COLUMNS),
    *(f"before.{name}" for name in ("i", "f", "s", "o")),
    *("after.o.p", r"after.o.q\.r", "after.o.nothing", "after.i.deeper", "after.l.0"),
    *("op", "size.rows", "size.fraction", "principal.trust", "principal.roles", "changed"),
    *("principal.trust.more", "nothing", "after.nothing", "after", "before"),
)

literals = st.sampled_from(
    (*TEXTS, *INTEGERS, 2**64 - 1, 0.1, 1.5, -2.5, 1.0, 1e300, 9007199254740993)
) | st.sampled_from(("2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "1970-01-01T00:00:00+01:00"))
field_conditions = st.one_of(
    st.builds(lambda p: {"field_empty": {"path": p}}, st.sampled_from(PATHS)),
    st.builds(
        lambda p, v: {"field_equals": {"path": p, "value": v}},
        st.sampled_from(PATHS),
        literals | st.booleans() | st.none() | st.just(["a"]) | st.just({"p": 1, "q.r": None}),
    ),
    st.builds(
        lambda p, v: {"field_greater": {"path": p, "value": v}}, st.sampled_from(PATHS), literals
    ),
)

TERMS = (
    *("after.i", "after.j", "after.u", "after.f", "after.g", "after.s", "after.k", "after.b"),
    *(
        "after.d",
        "after.e",
        "after.t",
        "after.y",
        "after.l",
        "after.o.p",
        "after.o['q.r']",
        "after.z",
    ),
    *("before.i", "before.f", "before.s", "after.nothing", "nothing", "before.o.p"),
    *("size.rows", "size.fraction", "op", "principal.name", "principal.trust", "principal.roles"),
    *("1", "-1", "0", "7", "1.0", "1.5", "9007199254740993", "'a'", "'ab'", "''", "true", "null"),
    *("2u", "9.2e18", "'é'", "['a', 'b']", "[1, 2.0, 'a', null]", "['a','b','c','d','e','','é']"),
    *("size(after.s)", "size(after.l)", "after.i + 1", "after.f * 2.0", "-after.f", "-after.j"),
    *("after.j - before.i", "after.i * after.i", "after.f / after.g", "double(after.i)"),
    *("timestamp(after.t)", "timestamp('2026-01-01T00:00:00Z')", "timestamp(after.n)"),
    *("principal.trust.more", "after.o", "changed", "after.x", "principal['name']"),
    *("after.n", "double(after.d)", "'1.50'", "'0.00'", "size(after.d)", "size(after.n)"),
    *("'2026-01-01'", "'2026-01-01T00:00:00.000000Z'", "'1969-12-31T23:59:59.999999'"),
)
terms = st.sampled_from(TERMS)
TESTS = (
    *("has(after.i)", "has(after.nothing)", "has(after.o.p)", "has(before.s)", "has(nothing.s)"),
    *("has(principal.trust)", "has(principal.trust.more)", "has(after.i.more)", "has(op.x)"),
    *("after.s.startsWith('a')", "after.s.endsWith('b')", "after.s.contains('')", "after.b"),
    *("after.s.matches('^a.?b$')", "after.s.matches('(?i)A')", "after.s.matches('[')"),
    *("after.k.startsWith('a')", "after.i.startsWith('a')", "op.startsWith('u')", "'a' in after.l"),
    *("op.contains(after.s)", "'admin' in principal.roles", "after.s in principal.roles"),
    *("'i' in changed", "'i' in after", "1 in after.s", "after.l.exists(x, x == 'a')", "after.j"),
    *("after.b ? after.i > 1 : after.f > 1.0", "(after.i > 1) == after.b", "after.z", "!after.s"),
)
comparisons = st.builds(
    "{} {} {}".format, terms, st.sampled_from(("==", "!=", "<", "<=", ">", ">=", "in")), terms
)
expressions = st.recursive(
    comparisons | st.sampled_from(TESTS),
    lambda inner: (
        st.builds("({} && {})".format, inner, inner)
        | st.builds("({} || {})".format, inner, inner)
        | st.builds("!({})".format, inner)
    ),
    max_leaves=4,
)


def rules_of(conditions: list[Any], **members: Any) -> RuleSet:
    """A rule set of these conditions; their actions differ."""
    return RuleSet.from_dict(
        {
            "default": members.pop("default", "allow"),
            "rule": [
                {
                    "id": f"r{number}",
                    "task_class": "*",
                    "when": condition,
                    "action": ACTIONS[number % 4].value,
                    "message": "m",
                    **members,
                }
                for number, condition in enumerate(conditions)
            ],
        }
    )


cel_conditions = expressions.filter(lambda text: _compiles(text)).map(lambda text: {"cel": text})
conditions = st.recursive(
    field_conditions | cel_conditions | st.just({"always": True}),
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=5,
)


def _compiles(text: str) -> bool:
    from lakecore.base import InvalidInput

    try:
        rules_of([{"cel": text}])
    except InvalidInput:
        return False
    return True


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Changes of a few rows, some inserted, with nulls everywhere, in one or several chunks."""
    length = draw(st.integers(1, 5))

    def side() -> pa.Table:
        columns = {
            name: pa.array(
                draw(st.lists(st.none() | values, min_size=length, max_size=length)), type=kind
            )
            if not pa.types.is_dictionary(kind)
            else pa.array(
                draw(st.lists(st.none() | values, min_size=length, max_size=length)), pa.string()
            ).dictionary_encode()
            for name, (kind, values) in COLUMNS.items()
        }
        return pa.table(columns)

    existed = pa.array(draw(st.lists(st.booleans(), min_size=length, max_size=length)))
    changed = draw(
        st.lists(st.lists(st.sampled_from("ifs"), max_size=2), min_size=length, max_size=length)
    )
    after = side() if draw(st.integers(0, 9)) else None
    rows = change_rows(
        side(), after, existed=existed, changed=pa.array(changed, pa.list_(pa.string()))
    )
    if draw(st.booleans()):
        cut = draw(st.integers(0, length))
        rows = pa.concat_tables([rows.slice(0, cut), rows.slice(cut)])
    return rows


def assert_equal(rules: RuleSet, rows: pa.Table) -> None:
    """Each row's action, and each rule's counts and samples, are those of the single decisions."""
    batch = rules.evaluate_rows("any", rows, SHARED)
    decisions = [batch.decision(row) for row in range(rows.num_rows)]
    assert [ACTIONS[code] for code in batch.actions] == [d.action for d in decisions]
    for position, count in enumerate(batch.rules):
        outcomes = [decision.outcomes[position] for decision in decisions]
        context = (count.rule.when, count.reason, [outcome.error for outcome in outcomes])
        assert count.errors == sum(o.error is not None for o in outcomes), context
        assert count.fired == sum(o.fired for o in outcomes), context
        noted = [row for row, o in enumerate(outcomes) if o.fired or o.error is not None]
        assert count.samples == noted[: bounds.MAX_SAMPLES], context
        assert (count.error is None) == (count.errors == 0), context


relaxed = settings(
    max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)


@relaxed
@given(
    conditions=st.lists(conditions, min_size=1, max_size=4),
    rows=tables(),
    missing=st.sampled_from(("error", "null")),
    on_error=st.sampled_from(("deny", "warn", "require_approval", "skip")),
    default=st.sampled_from(("allow", "deny", "require_approval")),
)
def test_rows_and_columns_agree(
    conditions: list[Any], rows: pa.Table, missing: str, on_error: str, default: str
) -> None:
    """Any rules over any rows: the same actions, counts, samples and errors."""
    assert_equal(rules_of(conditions, missing=missing, on_error=on_error, default=default), rows)


@relaxed
@given(expression=expressions.filter(_compiles), rows=tables())
@example(
    expression="before.s in changed",
    rows=pa.table(
        {
            "before": pa.array([None], pa.struct({"s": pa.string()})),
            "changed": pa.array([[]], pa.list_(pa.string())),
        }
    ),
)
def test_expressions_agree_with_the_engine(expression: str, rows: pa.Table) -> None:
    """CEL over columns says what cel-cpp says of each row."""
    assert_equal(rules_of([{"cel": expression}]), rows)


EDGES = (
    *(*INTEGERS, 2**64 - 1, 2**53 + 3, -(2**53) - 3, 128, -129, 2**63 - 1024),
    *(0.5, -0.5, -2.5, 2.5, 0.1, 1e300, -1e300, 2.0**63, -(2.0**63), 2.0**53 + 2, 1e-9),
)


def test_numbers_at_the_edges_agree() -> None:
    """Every kind of number beside every literal: rounding and overflow change no answer."""
    whole = [None, *(n for n in EDGES if isinstance(n, int) and -(2**63) <= n < 2**63), -2, 3]
    floats = [None, *map(float, EDGES), float("nan"), float("inf"), 2.0**53 + 4, -(2.0**53) - 4]
    decimals = [None, *(Decimal(n) for n in ("0.50", "-2.50", "0.10", "0.11", "-99999999.99"))]
    length = len(floats)
    columns = {
        "i": pa.array((whole * length)[:length], pa.int64()),
        "j": pa.array(([-128, 127, -2, -3, 2, 3, 0, 1] * length)[:length], pa.int8()),
        "u": pa.array(([0, 2**64 - 1, 2**63, 2**53 + 1] * length)[:length], pa.uint64()),
        "f": pa.array(floats, pa.float64()),
        "g": pa.array(([0.1, 0.5, -2.5, None] * length)[:length], pa.float32()),
        "d": pa.array((decimals * length)[:length], pa.decimal128(10, 2)),
        "h": pa.array((decimals * length)[:length], pa.decimal256(50, 30)),
    }
    asked = [
        {kind: {"path": name, "value": value}}
        for kind in ("field_equals", "field_greater")
        for name in columns
        for value in EDGES
    ]
    batch_rules = rules_of(asked)
    assert_equal(batch_rules, pa.table(columns))
    counts = batch_rules.evaluate_rows("any", pa.table(columns)).rules
    assert [count.rule.when for count in counts if count.rows_one_by_one] == []


@pytest.mark.parametrize(
    "expression",
    [
        *("i * i > 0", "i + i > 0", "i - j > 0", "-i > 0", "-j > 0", "j * j > j + j", "j / i > 0"),
        *("f * f > 1.0", "f / f == 1.0", "f - f == 0.0", "i > f", "i == f", "f >= i", "j != f"),
        *("double(i) == f", "i in [1, 2.0, 9007199254740993]", "f in [1, 9007199254740992]"),
        *("i + 1.0 > 0.0", "i > 9007199254740992.0", "f < 9007199254740993", "j % i == 0"),
    ],
)
def test_arithmetic_at_the_edges_agrees(expression: str) -> None:
    """Overflow, division by zero, and comparison of integers with doubles, as the engine has it."""
    floats = [0.0, -0.0, 1.0, 2.0**53, 2.0**63, float("nan"), float("inf"), -1e300, 2.5, None]
    whole = [0, 1, -1, 2**53, 2**63 - 1, -(2**63), 2**53 + 1, 2**31, None, 2]
    rows = [
        {"i": i, "j": j, "f": f} for i in whole for f in floats for j in (-128, 0, 1, 127, None)
    ]
    schema = pa.schema({"i": pa.int64(), "j": pa.int8(), "f": pa.float64()})
    assert_equal(rules_of([{"cel": expression}]), pa.Table.from_pylist(rows, schema=schema))
    # Also where nothing is near overflow, and so all is evaluated by columns.
    small = [{**row, "i": row["j"]} for row in rows]
    assert_equal(rules_of([{"cel": expression}]), pa.Table.from_pylist(small, schema=schema))
