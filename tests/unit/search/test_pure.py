"""What does no I/O: fusion, excerpts, an index's document, vectors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import CorruptData, InvalidInput, UnsupportedFormat
from lakecore.documents import Document
from lakecore.journal import CommitRecord
from lakecore.search._excerpt import excerpt, parts
from lakecore.search._fuse import CONSTANT, fuse
from lakecore.search._index import (
    Generation,
    Index,
    SegmentInfo,
    StoredFile,
    check_columns,
    check_index_name,
    check_parameters,
    read_index,
)
from lakecore.search._recall import exact
from lakecore.search._vectors import best, check_query, given_vectors, scores, to_keep

RECORD = CommitRecord(commit_id="c", event_count=0, digest="", mutations=())
GENERATION = Generation(
    id="g1",
    version=3,
    rows=9,
    skipped=1,
    model="hash@1",
    recall=0.97,
    expansion=64,
    built_us=5,
    duration_s=0.5,
    segments=(SegmentInfo(id="s", rows=10, dead=1, is_delta=True, is_exact=False),),
    files={"rows-s.arrow": StoredFile("search/i/g1/rows-s.arrow", 7, "ab")},
)
INDEX = Index(
    name="planes_text",
    id="i",
    dataset="planes",
    dataset_id="d",
    kind="hybrid",
    columns=("model",),
    key=("tailnum",),
    model="hash@1",
    dimension=32,
    metric="cosine",
    parameters={"exact_rows": 10},
    created_us=1,
    state="ready",
    generation=GENERATION,
)


def _document(body: dict[str, Any]) -> Document:
    body = json.loads(json.dumps(body))
    return Document(kind="indexes", name="planes_text", version=4, body=body, record=RECORD)


def test_an_index_is_read_as_it_was_written() -> None:
    """Every member comes back; unknown ones do no harm."""
    assert read_index(_document({**INDEX.to_body(), "later": 1})) == INDEX


@pytest.mark.parametrize(
    "damage",
    [
        {"id": 3},
        {"columns": None},
        {"kind": "other"},
        {"metric": "other"},
        {"parameters": {"exact_rows": -1}},
        {"generation": {"id": "g"}},
    ],
)
def test_a_damaged_document_is_said(damage: dict[str, Any]) -> None:
    """A part that is missing or of another form is no index."""
    with pytest.raises(CorruptData):
        read_index(_document(INDEX.to_body() | damage))


@pytest.mark.parametrize("path", ["tables/main/planes/part-1.parquet", "search/../lakecore.json"])
def test_a_document_names_files_of_indexes_alone(path: str) -> None:
    """Nothing else of the lake is read through an index."""
    body = INDEX.to_body()
    body["generation"]["files"]["rows-s.arrow"]["path"] = path
    with pytest.raises(CorruptData):
        read_index(_document(body))


def test_a_newer_format_is_not_read() -> None:
    """A newer Lakecore is asked for."""
    with pytest.raises(UnsupportedFormat):
        read_index(_document({**INDEX.to_body(), "format": 2}))


@pytest.mark.parametrize("name", ["", "A", "1x", "a-b", "a/b", "x" * 129, "indexes", None, "ä"])
def test_not_a_name(name: object) -> None:
    """A name can stand in a path and in SQL, and is no route of its own."""
    with pytest.raises(InvalidInput):
        check_index_name(name)


def test_what_is_asked_of_an_index_is_checked() -> None:
    """Columns each once and none of an answer's own; parameters known and in bounds."""
    assert check_columns("text") == ("text",)
    for columns in ([], ["a", "a"], ["_score"], [f"c{n}" for n in range(33)]):
        with pytest.raises(InvalidInput):
            check_columns(columns)
    assert check_parameters({"min_recall": 0.9}) == {"min_recall": 0.9}
    for bad in ({"other": 1}, {"min_recall": 2}, {"exact_rows": "many"}, {"exact_rows": True}):
        with pytest.raises(InvalidInput):
            check_parameters(bad)


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), max_size=3))
def test_fusion_is_the_sum_of_reciprocal_ranks(rankings: list[list[str]]) -> None:
    """By the definition, computed the slow way."""
    found = dict(fuse(rankings))
    for key in {key for ranking in rankings for key in ranking}:
        ranks = [ranking.index(key) + 1 for ranking in rankings if key in ranking]
        assert found[key] == pytest.approx(sum(1 / (CONSTANT + rank) for rank in ranks))
    values = list(found.values())
    assert values == sorted(values, reverse=True)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=400), st.data())
def test_an_excerpt_is_a_line_with_marks(value: str, data: st.DataObject) -> None:
    """Whatever the text is: one line, bounded, and without spans outside of it."""
    end = max(1, len(value))
    start = data.draw(st.integers(0, end - 1))
    stop = data.draw(st.integers(start + 1, end))
    found = excerpt(value or "x", [(start, stop)])
    assert "\n" not in found
    assert len(found) <= 240 + 2 * len("**") + 2
    assert excerpt("one two", [(4, 7)]) == "one **two**"


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 12), st.sampled_from(["cosine", "dot", "l2"]))
def test_the_best_are_those_of_a_full_sort(count: int, wanted: int, metric: str) -> None:
    """`scores` and `best` against NumPy's own, one row after the other; `exact` with them."""
    random = np.random.default_rng(count * 31 + wanted)
    vectors = to_keep(
        random.standard_normal((count, 5)).astype(np.float32),
        metric,
        pa.chunked_array([[]], pa.string()),
    )
    query = check_query(random.standard_normal(5), 5, metric)
    slow = [
        -float(np.sum((row - query) ** 2)) if metric == "l2" else float(row @ query)
        for row in vectors.astype(np.float32)
    ]
    found = scores(vectors, query, metric)
    assert found == pytest.approx(slow, abs=1e-5)
    order = sorted(range(count), key=lambda at: (-found[at], at))
    assert list(best(found, wanted)) == order[:wanted]
    (many,) = exact(vectors, query[None, :], wanted, metric, lambda: None)
    assert sorted(found[many], reverse=True) == pytest.approx(list(found[order[:wanted]]), abs=1e-5)


@pytest.mark.parametrize(
    "vector",
    [[1.0, 2.0], [1.0, float("nan"), 0.0], [float("inf"), 0, 0], "abc", [0.0, 0.0, 0.0], None],
)
def test_not_a_vector_to_search_with(vector: object) -> None:
    """Another dimension, NaN, infinity, no direction, no numbers."""
    with pytest.raises(InvalidInput):
        check_query(vector, 3, "cosine")


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([[1.0, 2.0], [1.0]], "row b"),
        ([[1.0, 2.0], [1.0, float("nan")]], "row b"),
        ([[1.0, None], [1.0, 2.0]], "row a"),
        ([[1.0, 2.0], [float("-inf"), 1.0]], "row b"),
        ([[], []], "1 to"),
    ],
)
def test_rows_without_a_vector_are_named(rows: list[list[float | None]], named: str) -> None:
    """The error names the row; as a list and as a list of fixed size."""
    keys = pa.chunked_array([["a", "b"]])
    column = pa.chunked_array([pa.array(rows, pa.list_(pa.float64()))])
    with pytest.raises(InvalidInput, match=named):
        given_vectors(column, keys, None)


def test_vectors_of_a_column_are_taken() -> None:
    """Lists, large lists, lists of fixed size, whatever the numbers are, sliced or not."""
    rows = [[9, 9], [1, 2], [3, 4]]
    keys = pa.chunked_array([["a", "b"]])
    for kind in (
        pa.list_(pa.int32()),
        pa.list_(pa.float16()),
        pa.large_list(pa.float64()),
        pa.list_(pa.float32(), 2),
    ):
        column = pa.chunked_array([pa.array(rows, pa.list_(pa.float64())).cast(kind).slice(1)])
        assert given_vectors(column, keys, 2).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(InvalidInput, match="no direction"):
        to_keep(np.zeros((1, 2), np.float32), "cosine", pa.chunked_array([["a"]]))


@given(st.text("ab *\n", max_size=300), st.integers(0, 299), st.integers(1, 9))
def test_pieces_are_the_line_without_marks(text: str, low: int, length: int) -> None:
    """Whatever is in a text, also marks: one line, and what was found is what was found."""
    if (
        not text[low : low + length].strip()
        or text[low : low + length].strip() != text[low:][:length]
    ):
        return
    span = (low, min(low + length, len(text)))
    pieces = parts(text, [span])
    assert excerpt(text, [span]).replace("**", "") == "".join(piece for piece, _ in pieces).replace(
        "**", ""
    )
    assert [piece for piece, is_found in pieces if is_found] == [
        " ".join(text[slice(*span)].split())
    ]
    line = "".join(piece for piece, _ in pieces)
    assert line == " ".join(line.split())
