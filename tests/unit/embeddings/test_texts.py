"""What goes into an embedder and what comes out is checked; batches are even."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.base import InvalidInput
from lakecore.embeddings import _texts
from lakecore.embeddings._batches import batches_by_length
from lakecore.embeddings._texts import check_texts, unit_rows


@pytest.mark.parametrize(
    "texts", ["one", [""], [" \n"], [1], [None], ["\ud800"], ["a" * (2**20 + 1)], ["fine", ""]]
)
def test_texts_that_cannot_be_embedded(texts: list[str]) -> None:
    """Each is refused, with its place."""
    with pytest.raises(InvalidInput):
        check_texts(texts)


def test_too_many_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The texts of one call are bounded."""
    monkeypatch.setattr(_texts, "MAX_TEXTS", 2)
    assert check_texts(("a", "b")) == ["a", "b"]
    with pytest.raises(InvalidInput):
        check_texts(["a", "b", "c"])


def test_vectors_become_unit_length() -> None:
    """Also those that are very long or very short; NaN, infinity and zero are refused."""
    rows = unit_rows([[3.0, 4.0], [1e300, 0.0], [1e-300, 0.0]], "here")
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8], [1, 0], [1, 0]], rtol=1e-6)
    for bad in ([float("nan"), 1.0], [float("inf"), 1.0], [0.0, 0.0]):
        with pytest.raises(InvalidInput, match="here"):
            unit_rows([[1.0, 0.0], bad], "here")


@given(
    st.lists(st.integers(0, 100), max_size=50),
    st.integers(1, 8),
    st.none() | st.integers(1, 200),
)
def test_every_text_is_in_one_batch(lengths: list[int], size: int, most: int | None) -> None:
    """Once each, the longest first, within both bounds."""
    batches = batches_by_length(lengths, size, most_together=most)
    places = [at for batch in batches for at in batch]
    assert sorted(places) == list(range(len(lengths)))
    assert [lengths[at] for at in places] == sorted(lengths, reverse=True)
    for batch in batches:
        assert 1 <= len(batch) <= size
        assert most is None or len(batch) == 1 or sum(lengths[at] for at in batch) <= most
