"""The query language: what it means, what it refuses, and that nothing else comes of any text."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.base import InvalidInput
from lakecore.fulltext._parse import (
    MAX_CLAUSES,
    MAX_DEPTH,
    MAX_QUERY_CHARACTERS,
    Group,
    Node,
    Occur,
    Phrase,
    Prefix,
    Word,
    parse,
    parse_plain,
)

SIGNS = {Occur.SHOULD: "", Occur.MUST: "+", Occur.NOT: "-"}


def shown(node: Node) -> str:
    """A tree in one line."""
    field = f"{node.field}:" if node.field else ""
    if isinstance(node, Group):
        inner = " ".join(SIGNS[occur] + shown(clause) for occur, clause in node.clauses)
        return f"{field}[{inner}]"
    if isinstance(node, Phrase):
        return f'{field}"{node.text}"'
    return f"{field}{node.text}" + ("*" if isinstance(node, Prefix) else "")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", "[]"),
        ("red apple", "[red apple]"),
        ("red OR apple", "[red apple]"),
        ("+red -apple x", "[+red -apple x]"),
        ("NOT red apple", "[-red apple]"),
        ("a AND b c", "[[+a +b] c]"),
        ("a AND NOT b AND -c", "[[+a -b -c]]"),
        ('"red apple"', '["red apple"]'),
        ('-"red apple" x', '[-"red apple" x]'),
        ("app* **", "[app* **]"),
        ("(a b) AND c", "[[+[a b] +c]]"),
        ('title:apple other:apple title:"x y"', '[title:apple other:apple title:"x y"]'),
        ("title:(a b*) title:", "[title:[a b*] title:]"),
        ("-title:apple x", "[-title:apple x]"),
        ("don't C++ a-b - +", "[don't C++ a-b - +]"),
        ("and or not", "[and or not]"),
    ],
)
def test_what_a_text_means(text: str, tree: str) -> None:
    """Each form of the language, as a tree."""
    assert shown(parse(text, ["title"])) == tree


def test_a_field_is_told_from_a_word() -> None:
    """A colon is an operator after a field's name alone."""
    tree = parse("title:a http://x", ["title"])
    assert [clause for _, clause in tree.clauses] == [Word("a", "title"), Word("http://x")]


@pytest.mark.parametrize(
    "text",
    [
        '"open',
        "(open",
        "close)",
        "AND a",
        "a AND",
        "OR a",
        "a OR",
        "a OR OR b",
        "NOT",
        "a AND AND b",
        "NOT NOT a",
        "+a AND b",
        "(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1),
        "a" * (MAX_QUERY_CHARACTERS + 1),
        "a " * (MAX_CLAUSES + 1),
        "\ud800",
    ],
)
def test_what_is_refused(text: str) -> None:
    """What is not of the language, or beyond its bounds, is refused with a clear error."""
    with pytest.raises(InvalidInput):
        parse(text, [])


def test_the_error_says_where() -> None:
    """The place is the character's, counted from one."""
    with pytest.raises(InvalidInput, match="character 3"):
        parse('a "open', [])


def test_plain_text_has_no_operators() -> None:
    """Every piece is a word, whatever signs it has."""
    tree = parse_plain('+a -b "c (d AND e* t:f')
    assert all(occur is Occur.SHOULD for occur, _ in tree.clauses)
    texts = [node.text for _, node in tree.clauses if isinstance(node, Word)]
    assert texts == ["+a", "-b", '"c', "(d", "AND", "e*", "t:f"]


@given(st.text(alphabet=' ab"()+-*:\u00e9\ud800ANDORT', max_size=60) | st.text(max_size=200))
def test_any_text_is_a_tree_or_refused(text: str) -> None:
    """No text leads to anything else."""
    for read in (parse_plain, lambda given: parse(given, ["a", "b"])):
        with contextlib.suppress(InvalidInput):
            assert isinstance(read(text), Group)
