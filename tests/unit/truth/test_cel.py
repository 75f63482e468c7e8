"""The CEL engine: basics of the specification, its bounds, and its syntax tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.base import Bug, InvalidInput
from lakecore.truth._cel import CelFailure, Engine, parse_expression, run
from lakecore.truth._cel_syntax import every, free_names, parse_tree, paths

# From the conformance tests of the CEL specification: section, expression.
HOLDS = """
    basic: 42 == 42 && 42u == 42u && -1 == -1 && 0xff == 255
    basic: [] == [] && {} == {} && {'k': 'v'}['k'] == 'v'
    basic: "\\u270c" == '\\xe2\\x9c\\x8c' || '\\u270c' == '✌'
    comparisons: dyn(1) == 1.0 && dyn(1u) == 1 && dyn(1) < 1.5
    comparisons: [1, [2]] == [1.0, [2u]] && !({'a': 1} == {'a': 2})
    comparisons: null == null && dyn(null) != 1 && dyn('1') != 1
    comparisons: 2 in [3u, 2.0] && 'k' in {'k': 1} && !('x' in ['y'])
    fp_math: 0.1 + 0.2 > 0.3 && 1.0 / 0.0 > 1e308 && 4.9e-324 > 0.0
    integer_math: 7 / -2 == -3 && 7 % -2 == 1 && 43 % 5 == 3
    lists: [1, 2][1] == 2 && size([1] + [2]) == 2 && 0 in [0]
    logic: true || 1 / 0 > 1
    logic: 1 / 0 > 1 || true
    logic: !(false && 1 / 0 > 1)
    logic: !(1 / 0 > 1 && false)
    logic: (true ? 1 : 1 / 0) == 1
    string: size('ÿ') == 1 && size('πέντε') == 5 && size('four') == 4
    string: 'foobar'.startsWith('') && 'foobar'.endsWith('bar') && 'παρ'.contains('αρ')
    string: 'hubba'.matches('ubb') && !'hubba'.matches('^ubb') && 'mañana'.matches('a+ñ+a')
    macros: [1, 2, 3].all(e, e > 0) && [1, 2, 3].exists(e, e > 2)
    macros: ![1, 2, 3].all(e, 6 / (2 - e) == 6)
    macros: [1, 2, 3].exists_one(e, e == 2) && [1, 2].map(n, n * 2) == [2, 4]
    fields: {'foo.txt': 32}.`foo.txt` == 32 && has({'a': 1}.a) && !has({}.a)
    conversions: int('42') == 42 && double(1) == 1.0 && string(1.5) == '1.5' && int(-7.9) == -7
    timestamps: timestamp('2009-02-13T23:31:30Z').getFullYear() == 2009
    timestamps: timestamp('2009-02-13T23:31:30Z') - duration('3730s') < timestamp(1234567890)
    parse: "\\"" == '"' && r'\\n' != '\\n' && '''a''' == "a"
""".strip().splitlines()
FAILS = (
    *("1 / 0 == 1", "1 % 0 == 1", "9223372036854775807 + 1 > 0", "-(-9223372036854775808) > 0"),
    *("{'a': 1}.b == 1", "[1][1] == 1", "int('x') == 1", "dyn('a') < 1", "'a'.matches('(')"),
    *("false || 1 / 0 > 1", "true && 1 / 0 > 1", "[1, 0].all(e, 1 / e > 0)", "-dyn(true) == 1"),
    *("timestamp('x') > timestamp(0)", "dyn(1.0) + dyn(1) == 2.0", "uint(-1) == 1u"),
)


def answer(expression: str) -> bool:
    """What the engine says."""
    parse_expression(expression)
    engine = Engine(())
    return run(engine.compile(expression), engine.activate({}))


@pytest.mark.parametrize("case", HOLDS)
def test_what_the_specification_says_holds(case: str) -> None:
    """Cases of cel-spec's conformance tests."""
    assert answer(case.partition(":")[2].strip()) is True


@pytest.mark.parametrize("expression", FAILS)
def test_what_the_specification_says_fails(expression: str) -> None:
    """Errors are errors, never false."""
    with pytest.raises(CelFailure):
        answer(expression)


def test_evaluation_is_bounded() -> None:
    """Loops end, and expressions have a size and a depth."""
    engine = Engine([("a",)])
    loops = "a.all(x, a.all(y, a.all(z, true)))"
    parse_expression(loops)
    with pytest.raises(CelFailure, match="Iteration budget"):
        run(engine.compile(loops), engine.activate({"a": [1] * 1000}))
    slow = "a.matches('(a+)+$')"
    assert run(engine.compile(slow), engine.activate({"a": "a" * 50_000 + "b"})) is False
    for expression in ("[" * 40 + "]" * 40 + " == []", "+".join(["1"] * 100) + " > 0"):
        with pytest.raises(InvalidInput, match="recursion"):
            parse_expression(expression)


@pytest.mark.parametrize(
    ("expression", "read"),
    [
        ("after.a > before.b", {("after", "a"), ("before", "b")}),
        ("after['x.y'].z == 1", {("after", "x.y", "z")}),
        ("after.`x.y` == 1", {("after", "x.y")}),
        ("has(a.b.c)", {("a", "b", "c")}),
        ("a.all(x, x.y > b.c)", {("a",), ("b", "c")}),
        ("x.exists(x, x == 1)", {("x",)}),
        ("[1, 2].exists(n, n == a.b)", {("a", "b")}),
        ("a[b.c] == 1", {("a",), ("b", "c")}),
        ("{a.b: c.d}.size() == 1", {("a", "b"), ("c", "d")}),
        ("type(a) == int", {("a",)}),
        (".a.b == 1", {("a", "b")}),
        ("size(a.b) > 1 ? c : d.e.startsWith('x')", {("a", "b"), ("c",), ("d", "e")}),
        ("1.5 > -1.0 && b'x' != b'y' && 3u > 2u && null == null", set()),
    ],
)
def test_the_paths_that_an_expression_reads(expression: str, read: set[tuple[str, ...]]) -> None:
    """Whatever is bound by a loop is not one of them."""
    tree = parse_expression(expression)
    assert set(paths(tree)) == read
    assert free_names(tree) == {path[0] for path in read}
    assert next(every(tree)) is tree


def test_variables_are_converted_as_far_as_they_are_read() -> None:
    """A member that no expression reads may be anything."""
    engine = Engine(paths(parse_expression("a.b == 1 && has(a.c)")))
    program = engine.compile("a.b == 1 && has(a.c)")
    assert run(program, engine.activate({"a": {"b": 1, "c": None, "d": object()}})) is True
    with pytest.raises(CelFailure, match="kind of value"):
        engine.activate({"a": {"b": object()}})


@given(st.binary(max_size=60))
def test_a_tree_that_is_damaged_is_an_error(data: bytes) -> None:
    """Never a wrong tree without a word: a part of a message is refused."""
    try:
        parse_tree(data)
    except (Bug, KeyError, IndexError, TypeError, UnicodeDecodeError, ValueError):
        return
