"""Symbols, tokens, references, tests and renames in every language; texts that are broken."""

from __future__ import annotations

import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakecore.base import InvalidInput
from lakecore.code import (
    MAX_PARSED_BYTES,
    Language,
    find_tests,
    language_of,
    parse,
    renamed_symbols,
    symbols,
)

PYTHON = '''"""Module."""
import os.path as osp
from a import helper

LIMIT: int = 3


@cached
@app.route("/x")
def top(a, *, b=LIMIT):
    """Doc: helper."""
    inner = 1  # helper

    def nested():
        return helper(inner)

    return nested


class Store(Base):
    size = 0

    async def close(self):
        return helper(self.size)
'''
RUST = """use crate::a::helper;
pub const LIMIT: u64 = 3;
/// Doc helper
#[derive(Debug)]
pub struct Store<T> { pub size: u64, inner: T }
pub enum Kind { Small, Large(u8) }
pub trait Close { fn close(&self); }
impl<T> Close for Store<T> {
    fn close(&self) { helper(self.size); }
}
mod inner { pub fn deep() {} }
macro_rules! twice { ($e:expr) => { $e } }
#[cfg(test)]
mod tests {
    #[test]
    fn closes() { helper(1); }
    #[tokio::test]
    async fn later() {}
    fn not_a_test() {}
}
"""
TYPESCRIPT = """import { helper } from "./a";
export const LIMIT = 3;
export const twice = (n: number) => n * 2;
export interface Close { close(): void; size: number }
export type Name = string;
enum Kind { Small, Large }
export class Store extends Base implements Close {
  size = 0;
  close() { helper(this.size); }
}
export function top(a: number): number { const local = 1; return helper(a) + local; }
namespace inner { export function deep() {} }
describe("store", () => {
  it("closes", () => { helper(1); });
  test.each([1, 2])("many", (n) => {});
});
"""
GO = """package src

import "fmt"

const Limit = 3

var count = 0

type Store struct { size int }

type Close interface { Close() error }

func (s *Store) Close() error { return helper(s.size) }

func Top(a int) int { local := 1; return helper(a) + local }

func TestTop(t *testing.T) { t.Run("x", nil) }
"""


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        (
            PYTHON,
            Language.PYTHON,
            {
                ("variable", "LIMIT", 5, 5),
                ("function", "top", 8, 17),
                ("function", "top.nested", 14, 15),
                ("class", "Store", 20, 24),
                ("variable", "Store.size", 21, 21),
                ("method", "Store.close", 23, 24),
            },
        ),
        (
            RUST,
            Language.RUST,
            {
                ("variable", "LIMIT", 2, 2),
                ("class", "Store", 4, 5),
                ("field", "Store.size", 5, 5),
                ("field", "Store.inner", 5, 5),
                ("class", "Kind", 6, 6),
                ("variant", "Kind.Small", 6, 6),
                ("variant", "Kind.Large", 6, 6),
                ("interface", "Close", 7, 7),
                ("method", "Close.close", 7, 7),
                ("method", "Store.close", 9, 9),
                ("module", "inner", 11, 11),
                ("function", "inner.deep", 11, 11),
                ("macro", "twice", 12, 12),
                ("module", "tests", 13, 20),
                ("function", "tests.closes", 15, 16),
                ("function", "tests.later", 17, 18),
                ("function", "tests.not_a_test", 19, 19),
            },
        ),
        (
            TYPESCRIPT,
            Language.TYPESCRIPT,
            {
                ("variable", "LIMIT", 2, 2),
                ("function", "twice", 3, 3),
                ("interface", "Close", 4, 4),
                ("method", "Close.close", 4, 4),
                ("field", "Close.size", 4, 4),
                ("type", "Name", 5, 5),
                ("class", "Kind", 6, 6),
                ("class", "Store", 7, 10),
                ("field", "Store.size", 8, 8),
                ("method", "Store.close", 9, 9),
                ("function", "top", 11, 11),
                ("module", "inner", 12, 12),
                ("function", "inner.deep", 12, 12),
                ("test", "closes", 14, 14),
                ("test", "many", 15, 15),
            },
        ),
        (
            GO,
            Language.GO,
            {
                ("variable", "Limit", 5, 5),
                ("variable", "count", 7, 7),
                ("class", "Store", 9, 9),
                ("field", "Store.size", 9, 9),
                ("class", "Close", 11, 11),
                ("method", "Close.Close", 11, 11),
                ("method", "Store.Close", 13, 13),
                ("function", "Top", 15, 15),
                ("function", "TestTop", 17, 17),
            },
        ),
    ],
)
def test_symbols(text: str, language: Language, expected: set[tuple[str, str, int, int]]) -> None:
    """What each language defines: kind, container, first and last line."""
    found = {(s.kind, s.qualified, s.start_line, s.end_line) for s in symbols(text, language)}
    assert found == expected
    assert not parse(text, language).broken


@pytest.mark.parametrize(
    ("text", "language", "lines"),
    [
        (PYTHON, Language.PYTHON, [15, 24]),
        (RUST, Language.RUST, [9, 16]),
        (TYPESCRIPT, Language.TYPESCRIPT, [9, 11, 14]),
        (GO, Language.GO, [13, 15]),
    ],
)
def test_references_are_uses_alone(text: str, language: Language, lines: list[int]) -> None:
    """Neither imports nor comments, docstrings or definitions are uses."""
    assert [token.line for token in parse(text, language).references("helper")] == lines


@pytest.mark.parametrize(
    ("text", "language", "path", "expected"),
    [
        (
            "def test_a(): ...\nclass TestB:\n    def test_c(self): ...\n",
            Language.PYTHON,
            "tests/test_x.py",
            ["test_a", "TestB.test_c"],
        ),
        ("def test_a(): ...\n", Language.PYTHON, "src/x.py", []),
        (RUST, Language.RUST, "src/lib.rs", ["tests.closes", "tests.later"]),
        (TYPESCRIPT, Language.TYPESCRIPT, "src/x.test.ts", ["closes", "many"]),
        (GO, Language.GO, "src/x_test.go", ["TestTop"]),
        (GO, Language.GO, "src/x.go", []),
    ],
)
def test_tests_are_found(text: str, language: Language, path: str, expected: list[str]) -> None:
    """As the usual runner of each language finds them."""
    assert [case.qualified for case in find_tests(parse(text, language), path, text)] == expected


def test_one_test_of_several_cases_says_so() -> None:
    """Parametrized tests and subtests have no certain number."""
    text = "@pytest.mark.parametrize('a', [1, 2])\ndef test_a(a): ...\ndef test_b(): ...\n"
    cases = find_tests(parse(text, Language.PYTHON), "tests/test_a.py", text)
    assert [case.many for case in cases] == [True, False]
    assert [c.many for c in find_tests(parse(GO, Language.GO), "x_test.go", GO)] == [True]


def test_symbol_at_a_line_is_the_innermost() -> None:
    """A finding's line belongs to the smallest definition around it."""
    code = parse(PYTHON, Language.PYTHON)
    names = {
        line: s.qualified if (s := code.symbol_at(line)) else "" for line in (1, 5, 11, 15, 24)
    }
    assert names == {1: "", 5: "LIMIT", 11: "top", 15: "top.nested", 24: "Store.close"}


def test_renames_are_paired_by_their_bodies() -> None:
    """Each renamed symbol finds its own, whatever their order; a new one is no rename."""
    old = parse(
        "def a(x):\n    return x + 1\n\n\ndef b(x):\n    for y in x:\n        print(y)\n",
        Language.PYTHON,
    )
    new = parse(
        "def d(x):\n    for y in x:\n        print(y)\n\n\n"
        "def c(x):\n    return x + 1\n\n\nclass New: ...\n",
        Language.PYTHON,
    )
    assert [(o.name, n.name) for o, n in renamed_symbols(old, new)] == [("a", "c"), ("b", "d")]
    assert renamed_symbols(old, old) == ()


def test_languages_by_name_and_first_line() -> None:
    """Suffixes, interpreters; everything else is text."""
    assert language_of("a/b.PY") is Language.PYTHON
    assert language_of("x.jsx") is Language.TSX
    assert language_of("run", "#!/usr/bin/env -S node\n") is Language.TSX
    assert language_of("Makefile") is Language.TEXT
    assert language_of("a.java") is Language.TEXT


def test_text_has_words_and_no_symbols() -> None:
    """A language without a grammar is text: its words can be found."""
    code = parse("class A { void f() { g(); } }", Language.TEXT)
    assert code.symbols == ()
    assert [token.line for token in code.references("g")] == [1]


@pytest.mark.parametrize("language", [la for la in Language if la.has_symbols])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\x00\x01",
        "(" * 5_000,
        "def f(:\n  class {{{ fn",
        "\ufeffx = 1",
        "'" * 999,
        "\ud800",
    ],
)
def test_broken_texts_are_parsed_as_far_as_they_go(language: Language, text: str) -> None:
    """Nothing that a file can say is an error or a crash."""
    code = parse(text, language)
    assert code.language is language


def test_a_text_too_long_for_the_parser_is_words() -> None:
    """Beyond the bound there are no symbols, and it does not take minutes."""
    code = parse("x = 1\n" + "y" * MAX_PARSED_BYTES, Language.PYTHON)
    assert code.symbols == ()
    assert len(code.tokens) == 4


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the libraries the error says what to install."""
    from lakecore.code import _grammar

    monkeypatch.setitem(sys.modules, "tree_sitter", None)
    with pytest.raises(InvalidInput) as caught:
        _grammar.make_parser(Language.PYTHON)
    assert 'pip install "lakecore[review]"' in (caught.value.hint or "")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=300), st.sampled_from([la for la in Language if la.has_symbols]))
def test_spans_lie_in_the_text(text: str, language: Language) -> None:
    """Lines and bytes of symbols and tokens are places in the text."""
    code = parse(text, language)
    lines = text.count("\n") + 1
    size = len(text.encode("utf-8", "replace"))
    for symbol in code.symbols:
        assert 1 <= symbol.start_line <= symbol.end_line <= lines
        assert 0 <= symbol.start_byte <= symbol.end_byte <= size
    assert all(1 <= token.line <= lines for token in code.tokens)
