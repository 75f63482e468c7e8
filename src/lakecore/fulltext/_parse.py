"""The query language: from a person's text to a tree. No I/O.

::

    query   = item { ["OR"] item }                       any of them; more of them rank higher
    item    = [ "+" | "-" | "NOT" ] primary { "AND" [ "-" | "NOT" ] primary }
    primary = [ field ":" ] ( word | word "*" | '"' phrase '"' | "(" query ")" )

``field:`` is one where the index has a field of that name; otherwise the colon is a part of the
word. ``AND``, ``OR`` and ``NOT`` are operators in capitals alone. Everything is bounded, and what
cannot be read is an `InvalidInput` that says where.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from lakecore.base import InvalidInput

MAX_QUERY_CHARACTERS: Final = 4_096
MAX_CLAUSES: Final = 256
"""Words, phrases and prefixes of one query."""
MAX_DEPTH: Final = 16
"""Parentheses within parentheses."""

_TOKEN: Final = re.compile(r'\s*(?:(?P<quote>")|(?P<open>\()|(?P<close>\))|(?P<word>[^\s"()]+))')
_OPERATORS: Final = frozenset({"AND", "OR", "NOT"})


class Occur(Enum):
    """What a clause means for the group that it is in."""

    SHOULD = "should"
    MUST = "must"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class Word:
    """A word; of several where its text is cut into them: then they follow each other."""

    text: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Prefix:
    """Words that begin so."""

    text: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that follow each other."""

    text: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Clauses together."""

    clauses: tuple[tuple[Occur, Node], ...]
    field: str | None = None


Node = Word | Prefix | Phrase | Group


def parse_plain(text: str) -> Group:
    """`text` as words alone: no character of it is an operator."""
    pieces = _bounded(text).split()
    if len(pieces) > MAX_CLAUSES:
        raise _too_many()
    return Group(tuple((Occur.SHOULD, Word(piece)) for piece in pieces))


def parse(text: str, fields: Sequence[str] = ()) -> Group:
    """The tree of `text`.

    Args:
        text: what somebody typed.
        fields: names that mean a field before a colon.

    Raises:
        InvalidInput: too long, too deep, too many clauses, or not of the language.

    >>> parse("red +apple", ()).clauses[1]
    (<Occur.MUST: 'must'>, Word(text='apple', field=None))
    """
    reader = _Reader(_bounded(text), frozenset(fields))
    group = reader.group(0)
    if reader.kind == "close":
        raise reader.wrong("a parenthesis is closed that was not opened")
    return group


def _bounded(text: str) -> str:
    if not isinstance(text, str):
        raise InvalidInput("the search text is no text", found=type(text).__name__)
    if len(text) > MAX_QUERY_CHARACTERS:
        raise InvalidInput(
            "the search text is too long",
            expected=f"at most {MAX_QUERY_CHARACTERS} characters",
            found=len(text),
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput("the search text is no valid text", found=ascii(text)[:80]) from None
    return text


def _too_many() -> InvalidInput:
    return InvalidInput(
        "the search text has too many words", expected=f"at most {MAX_CLAUSES}, phrases as one"
    )


class _Reader:
    """One pass over the text, a token ahead."""

    def __init__(self, text: str, fields: frozenset[str]) -> None:
        self._text = text
        self._fields = fields
        self._clauses = 0
        self._next = 0
        self._at = 0
        self.kind = ""
        self._word = ""
        self._advance()

    def group(self, depth: int) -> Group:
        """Items up to the end or a closing parenthesis."""
        clauses: list[tuple[Occur, Node]] = []
        while self.kind not in ("", "close"):
            if self._is("OR"):
                if not clauses:
                    raise self.wrong("nothing is before OR")
                self._advance()
                if self.kind in ("", "close") or self._is("OR"):
                    raise self.wrong("nothing is after OR")
                continue
            clauses.append(self._item(depth))
        return Group(tuple(clauses))

    def wrong(self, message: str) -> InvalidInput:
        """The error, with its place."""
        return InvalidInput(
            message,
            where=f"character {self._at + 1} of the search text",
            hint="put text that has no operators in quotes, or search for it as plain words",
        )

    def _item(self, depth: int) -> tuple[Occur, Node]:
        occur, node = self._signed(depth)
        if not self._is("AND"):
            return occur, node
        if occur is Occur.MUST:
            raise self.wrong("AND does not go with +")
        chain = [(Occur.NOT if occur is Occur.NOT else Occur.MUST, node)]
        while self._is("AND"):
            self._advance()
            if self.kind in ("", "close") or self._is("OR") or self._is("AND"):
                raise self.wrong("nothing is after AND")
            occur, node = self._signed(depth)
            chain.append((Occur.NOT if occur is Occur.NOT else Occur.MUST, node))
        return Occur.SHOULD, Group(tuple(chain))

    def _signed(self, depth: int) -> tuple[Occur, Node]:
        if self._is("NOT"):
            self._advance()
            if self.kind in ("", "close") or self._word in _OPERATORS:
                raise self.wrong("nothing is after NOT")
            return Occur.NOT, self._primary(depth)
        if self._is("AND"):
            raise self.wrong("nothing is before AND")
        if self.kind == "word" and self._word[0] in "+-":
            rest = self._word[1:]
            occur = Occur.MUST if self._word[0] == "+" else Occur.NOT
            if rest:
                self._word = rest
                return occur, self._primary(depth)
            if self._touches():
                self._advance()
                return occur, self._primary(depth)
        return Occur.SHOULD, self._primary(depth)

    def _primary(self, depth: int, field: str | None = None) -> Node:
        if self.kind == "quote":
            return self._phrase(field)
        if self.kind == "open":
            return self._nested(depth, field)
        word = self._word
        name, colon, rest = word.partition(":")
        if field is None and colon and name in self._fields:
            if rest:
                self._word = rest
                return self._primary(depth, name)
            if self._touches():
                self._advance()
                return self._primary(depth, name)
        self._count()
        self._advance()
        stem = word.rstrip("*")
        if stem and stem != word:
            return Prefix(stem, field)
        return Word(word, field)

    def _phrase(self, field: str | None) -> Phrase:
        end = self._text.find('"', self._next)
        if end < 0:
            raise self.wrong("a quote is not closed")
        phrase = Phrase(self._text[self._next : end], field)
        self._next = end + 1
        self._count()
        self._advance()
        return phrase

    def _nested(self, depth: int, field: str | None) -> Group:
        if depth >= MAX_DEPTH:
            raise self.wrong(f"more than {MAX_DEPTH} parentheses are open")
        opened = self._at
        self._advance()
        group = self.group(depth + 1)
        if self.kind != "close":
            self._at = opened
            raise self.wrong("a parenthesis is not closed")
        self._advance()
        return Group(group.clauses, field)

    def _touches(self) -> bool:
        """Whether a phrase or a group begins right after this token."""
        return self._text[self._next : self._next + 1] in ('"', "(")

    def _is(self, operator: str) -> bool:
        return self.kind == "word" and self._word == operator

    def _count(self) -> None:
        self._clauses += 1
        if self._clauses > MAX_CLAUSES:
            raise _too_many()

    def _advance(self) -> None:
        found = _TOKEN.match(self._text, self._next)
        if found is None:
            self.kind, self._word, self._at = "", "", len(self._text)
            return
        self.kind = found.lastgroup or ""
        self._word = found[self.kind]
        self._at = found.start(self.kind)
        self._next = found.end()
