"""Letters as they are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.fulltext._fold import fold, fold_with_offsets


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Plain TEXT", "Plain TEXT"),
        ("Crème Brûlée", "creme brulee"),
        ("Straße", "strasse"),
        ("ＣＡＦＥ ﬁx ①", "cafe fix 1"),
        ("İstanbul", "istanbul"),
        ("Ёлка Άλφα", "елка αλφα"),
        ("한국어", "한국어"),
        ("हिन्दी", "हिन्दी"),
        ("東京a", " 東  京 a"),
        ("ガ", " ガ "),
    ],
)
def test_folding(text: str, folded: str) -> None:
    """Case, accents and width go; letters of other scripts stay what they are."""
    assert fold(text) == folded


TEXTS = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from("aÉée\u0301\u0323ßﬁガ\u30ab\u3099東한ǆ")
)


@given(TEXTS)
def test_offsets_lead_back(text: str) -> None:
    """Each folded character has its place, places rise, and the last is the end."""
    folded, offsets = fold_with_offsets(text)
    assert len(offsets) == len(folded) + 1
    assert offsets == sorted(offsets)
    assert offsets[-1] == len(text)


@given(TEXTS)
def test_folding_twice_is_folding_once(text: str) -> None:
    """What is folded stays, but for the room around letters that are words."""
    once = fold(text)
    assert fold(once).split() == once.split()


@given(st.text(st.sampled_from("aÉée\u0301\u0323ßﬁガ\u30ab\u3099東한 ǆİ"), max_size=20))
def test_pieces_fold_as_the_whole(text: str) -> None:
    """Highlighting folds letter by letter what indexing folds at once."""
    assert fold_with_offsets(text)[0].lower() == fold(text).lower()
