"""How far two texts of one language are the same program; pure.

Comments, docstrings and white space never count. Beyond that a formatter may move brackets,
commas and semicolons, change the quotes of strings, join strings, sort imports: such texts
are `LAYOUT` apart. Texts whose trees are alike but for the value of a number or constant, or an
operator, are `VALUES` apart; those in which only strings differ `STRINGS`.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from lakecore.code._languages import Language
from lakecore.code._parse import Code, Token, parse

_BRACKETS: Final = frozenset("()[]{},;")
_COMPARED: Final = frozenset(
    [
        "<",
        "<=",
        ">",
        ">=",
        "==",
        "!=",
        "===",
        "!==",
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "&&",
        "||",
        "and",
        "or",
        "+=",
        "-=",
        "*=",
        "<<",
        ">>",
        "&",
        "|",
        "^",
        "is",
        "in",
    ]
)
_QUOTES: Final = re.compile(r"^[A-Za-z]*#*(\"\"\"|'''|\"|'|`)(.*)\1#*$", re.S)
_RAW_NUMBER: Final = re.compile(r"[_]")


class Sameness(IntEnum):
    """How much the same two programs are, most first."""

    EQUAL = 0
    LAYOUT = 1
    STRINGS = 2
    VALUES = 3
    DIFFERENT = 4


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A number, constant or operator that another one stands in place of."""

    line: int
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far two programs are the same; `changes` where only values differ."""

    sameness: Sameness
    changes: tuple[ValueChange, ...] = ()


def compare(old: str, new: str, language: Language) -> Comparison:
    """Compare two texts; as text, only white space is looked through.

    A text that its grammar does not accept is compared by its tokens, and is then never
    more alike than it can be told.

    >>> compare("x = 1  # one", "x = (1)", Language.PYTHON).sameness.name
    'EQUAL'
    >>> compare("x = 1", "x = 2", Language.PYTHON).changes
    (ValueChange(line=1, old='1', new='2'),)
    """
    if old == new:
        return Comparison(Sameness.EQUAL)
    if not language.has_symbols:
        alike = "".join(old.split()) == "".join(new.split())
        return Comparison(Sameness.LAYOUT if alike else Sameness.DIFFERENT)
    if language is Language.PYTHON and _same_python(old, new):
        return Comparison(Sameness.EQUAL)
    before, after = parse(old, language), parse(new, language)
    if [(t.kind, t.text) for t in before.tokens] == [(t.kind, t.text) for t in after.tokens]:
        # White space means something in Python: then its trees are asked, not its tokens.
        if language is not Language.PYTHON:
            return Comparison(Sameness.EQUAL)
        shape = [t.depth for t in before.tokens] == [t.depth for t in after.tokens]
        return Comparison(Sameness.EQUAL if shape else Sameness.DIFFERENT)
    if language is not Language.PYTHON and _layout(before) == _layout(after):
        return Comparison(Sameness.LAYOUT)
    if _imports_aside(before) == _imports_aside(after):
        return Comparison(Sameness.LAYOUT)
    return _by_values(before, after)


def _same_python(old: str, new: str) -> bool:
    """Whether Python itself reads both as one program; what it does not read is not the same."""
    try:
        return _python_tree(old) == _python_tree(new)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _python_tree(text: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [statement for statement in body if not _is_text(statement)]
            node.body = kept  # type: ignore[attr-defined]  # a node that has a list as its body
    return ast.dump(tree)


def _is_text(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _plain(token: Token) -> str:
    """A token without what formatters change about it."""
    if token.kind == "string":
        match = _QUOTES.match(token.text)
        return re.sub(r"\\(['\"])", r"\1", match[2]) if match else token.text
    if token.kind == "number":
        return _RAW_NUMBER.sub("", token.text).lower()
    return token.text


def _layout(code: Code) -> list[str]:
    return [_plain(token) for token in code.tokens if token.text not in _BRACKETS]


def _imports_aside(code: Code) -> tuple[Counter[str], frozenset[str]]:
    """Tokens of the program by number, and what it imports, whatever the order."""
    words: Counter[str] = Counter()
    imported = set()
    for token in code.tokens:
        if token.role == "import":
            imported.add(token.text)
        elif token.kind == "string":
            # Strings may be joined: their letters are compared.
            words["'"] += 0
            words.update(_plain(token).replace("\n", ""))
        elif token.text not in _BRACKETS:
            words[_plain(token)] += 1
    return words, frozenset(imported - _BRACKETS - {"from", "import", "as", "use", "type"})


def _by_values(before: Code, after: Code) -> Comparison:
    """The programs token by token: alike in shape, or not."""
    if len(before.tokens) != len(after.tokens):
        return Comparison(Sameness.DIFFERENT)
    changes = []
    strings = False
    for old, new in zip(before.tokens, after.tokens, strict=True):
        if old.text == new.text:
            continue
        if old.kind == new.kind == "string":
            strings = True
        elif _is_value(old) and _is_value(new) and _plain(old) != _plain(new):
            changes.append(ValueChange(new.line, old.text, new.text))
        elif _plain(old) != _plain(new):
            return Comparison(Sameness.DIFFERENT)
    if changes:
        return Comparison(Sameness.VALUES, tuple(changes))
    return Comparison(Sameness.STRINGS if strings else Sameness.LAYOUT)


def _is_value(token: Token) -> bool:
    return token.kind in ("number", "constant") or token.text in _COMPARED
