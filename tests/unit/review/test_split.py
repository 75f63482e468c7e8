"""Every line is in a part, no part is too long, or the file says that it is clipped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lakecore.review._split import CHARACTERS_PER_TOKEN, split, tokens_of

LINES = st.lists(st.text("ab \t", max_size=40), max_size=120)


@given(LINES, st.integers(5, 60), st.sets(st.integers(1, 120)), st.integers(1, 9))
def test_parts(lines: list[str], max_tokens: int, starts: set[int], max_parts: int) -> None:
    """Parts cover the text within their bound, or it is clipped."""
    text = "\n".join(lines)
    found = split(text, max_tokens, starts, max_parts=max_parts)
    have = text.splitlines(keepends=True)
    covered: set[int] = set()
    for part in found.parts:
        assert len(part.text) <= max_tokens * CHARACTERS_PER_TOKEN
        whole = "".join(have[part.first - 1 : part.last])
        if part.text == whole:
            covered |= set(range(part.first, part.last + 1))
        else:
            assert found.is_clipped
    assert len(found.parts) <= max_parts
    assert found.is_clipped is (covered != set(range(1, len(have) + 1)))


def test_cuts_are_where_definitions_begin() -> None:
    """A part ends before a definition where it can."""
    text = "".join(f"line {n:03}\n" for n in range(1, 101))
    parts = split(text, 120, starts=(31, 61)).parts
    assert [part.last for part in parts][:2] == [30, 60]
    assert parts[1].first < 31


def test_a_line_that_is_too_long_is_clipped() -> None:
    """A line beyond the bound is cut, and said to be."""
    found = split("x" * 1_000 + "\nshort\n", 10)
    assert found.is_clipped
    assert [len(part.text) for part in found.parts] == [30, 6]


def test_tokens_are_estimated_from_above() -> None:
    """Never fewer than there are."""
    assert tokens_of("") == 0
    assert tokens_of("abcd") == 2
