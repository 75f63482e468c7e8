"""Which of a file's symbols are tests; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from lakecore.code._languages import Language, is_test_path
from lakecore.code._parse import Code, Symbol

_GO_TEST: Final = re.compile(r"^(?:Test|Benchmark|Fuzz|Example)(?![a-z])")
_RUST_TEST: Final = re.compile(r"^(?:\w+::)*(?:test|bench|rstest|test_case|proptest)\b")
_MANY: Final = re.compile(r"parametri[sz]e|\beach\b|rstest|test_case|\bcase\b|given\b|\bfor\b")
_SUBTESTS: Final = re.compile(r"\bsubTest\(|\bsubtests?\b|\bt\.Run\(|parametri[sz]e")


@dataclass(frozen=True, slots=True)
class TestCase:
    """A test in a file; `many` where one definition stands for several cases.

    >>> TestCase("test_a", "A", 1).qualified
    'A.test_a'
    """

    __test__ = False

    name: str
    container: str
    line: int
    many: bool = False

    @property
    def qualified(self) -> str:
        return f"{self.container}.{self.name}" if self.container else self.name


def find_tests(code: Code, path: str, text: str) -> tuple[TestCase, ...]:
    """The tests that a file defines, as its language's usual runner would find them.

    >>> from lakecore.code import parse
    >>> text = "def test_a(): ...\\ndef helper(): ..."
    >>> [case.name for case in find_tests(parse(text, Language.PYTHON), "tests/test_a.py", text)]
    ['test_a']
    """
    data = text.encode("utf-8", "replace")
    return tuple(
        TestCase(
            symbol.name,
            symbol.container,
            symbol.start_line,
            _is_many(symbol, data),
        )
        for symbol in code.symbols
        if _is_test(symbol, code.language, path)
    )


def _is_test(symbol: Symbol, language: Language, path: str) -> bool:
    if language is Language.PYTHON:
        named = symbol.name.startswith("test") and symbol.kind in ("function", "method")
        return named and is_test_path(path) and "fixture" not in " ".join(symbol.decorators)
    if language is Language.RUST:
        return any(_RUST_TEST.match(attribute) for attribute in symbol.decorators) and (
            symbol.kind in ("function", "method")
        )
    if language is Language.GO:
        return bool(_GO_TEST.match(symbol.name)) and PurePosixPath(path).name.endswith("_test.go")
    return symbol.kind == "test"


def _is_many(symbol: Symbol, data: bytes) -> bool:
    if any(_MANY.search(decorator) for decorator in symbol.decorators):
        return True
    body = data[symbol.start_byte : symbol.end_byte].decode("utf-8", "replace")
    return bool(_SUBTESTS.search(body))
