"""Indexes over a dataset in memory: made, refreshed, asked, damaged."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.fakes.search import ADA, Bucket, HashEmbedder, SearchLab, docs
from tests.unit.search.conftest import SMALL, WORDS, create, found, texts

from lakecore.base import (
    AlreadyExists,
    CorruptData,
    InvalidInput,
    NotFound,
)
from lakecore.search import Question
from lakecore.search import _build as build_module
from lakecore.storage import open_store


@pytest.mark.parametrize("kind", ["text", "vector", "hybrid"])
def test_what_is_indexed_is_found(lab: SearchLab, kind: str) -> None:
    """The row with the word of its own comes first; another process finds it, too."""
    made = create(lab, kind=kind, parameters=SMALL)
    assert (made.state, made.generation.rows, made.generation.version) == ("ready", 300, 0)
    assert found(lab, lab.source.versions[0]["text"][123].as_py())[0] == 123
    other = lab.reopen().search("i", Question(text="number123"))
    assert other.to_pylist()[0]["id"] == 123
    row = other.to_pylist()[0]
    assert (row["_rank"], row["_key"]) == (1, "123")
    assert row["text"].endswith("number123")
    if kind != "vector":
        assert "**number123**" in row["_highlight"]
    assert (other.covered_version, other.version, other.rows_behind) == (0, 0, 0)


def test_the_registry_is_on_record(one: SearchLab) -> None:
    """Create, build, refresh, drop: each is an event with its author; the name is free again."""
    create(one, kind="text")
    one.source.versions.append(docs({**texts(300), 300: "zebra"}))
    one.indexes.refresh("i", author=ADA)
    first = one.indexes.drop("i", author=ADA)
    events = one.journal.query(entity_type="indexes", entity_id="i", limit=100).items
    assert {event.action for event in events} == {"create", "build", "refresh", "drop"}
    assert {event.actor for event in events} == {"ada"}
    assert list(one.store.list_objects(first.folder)) == []
    with pytest.raises(NotFound):
        found(one, "zebra")
    assert create(one, kind="text").id != first.id


@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("kind", ["text", "vector", "hybrid"])
def test_refreshed_is_as_rebuilt(one: SearchLab, kind: str, forgets: bool) -> None:
    """After any changes, answers are those of an index of the same rows that was just built."""
    seed = 8
    print("seed", seed)
    choose = random.Random(seed)
    one.source.forgets = forgets
    create(one, kind=kind, parameters=SMALL)
    rows = texts(300)
    for turn in range(4):
        for _ in range(choose.choice([0, 3, 40])):
            key = choose.randrange(360)
            if choose.random() < 0.3:
                rows.pop(key, None)
            else:
                rows[key] = choose.choice([None, "  ", f"{choose.choice(WORDS)} turn{turn} n{key}"])
        one.source.versions.append(docs(rows))
        index = one.indexes.refresh("i", author=ADA)
        name = f"anew{turn}"
        anew = create(one, name, kind=kind, parameters={"exact_rows": 1_000})
        assert index.generation is not None
        assert index.generation.rows == anew.generation.rows
        assert index.generation.skipped == anew.generation.skipped
        for word in ("engine", f"turn{turn}", "storm"):
            wanted = {row["id"]: row for row in one.indexes.search(name, _deep(word)).to_pylist()}
            got = {row["id"]: row for row in one.indexes.search("i", _deep(word)).to_pylist()}
            assert got.keys() == wanted.keys()
            assert {k: row["text"] for k, row in got.items()} == {
                k: row["text"] for k, row in wanted.items()
            }
            if kind == "vector":
                scores = [one_row["_score"] for one_row in wanted.values()]
                assert [r["_score"] for r in got.values()] == pytest.approx(scores, abs=1e-3)


def _deep(word: str) -> Question:
    return Question(text=word, limit=400)


def test_a_refresh_embeds_what_changed_alone(one: SearchLab) -> None:
    """Three rows of three hundred: three texts; no more files than they need are written."""
    made = create(one, kind="hybrid", parameters=SMALL)
    before = one.embedders.model.embedded
    rows = {**texts(300), 5: "zebra one", 6: "zebra two", 900: "zebra three"}
    del rows[7]
    one.source.versions.append(docs(rows))
    index = one.indexes.refresh("i", author=ADA)
    assert one.embedders.model.embedded - before == 3
    base = made.generation.segments[0].id
    assert index.generation is not None
    kept = {name for name in index.generation.files if base in name and not name.startswith("dead")}
    assert kept == {name for name in made.generation.files if base in name}
    assert all(index.generation.files[name] == made.generation.files[name] for name in kept)
    assert sorted(found(one, "zebra", limit=3)) == [5, 6, 900]
    assert 7 not in found(one, "number7", limit=300)
    assert one.indexes.refresh("i", author=ADA) == index


def test_many_changes_are_written_anew(one: SearchLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the delta is too large there is one segment again, and nothing is embedded twice."""
    monkeypatch.setattr(build_module, "MIN_DELTA_ROWS", 10)
    create(one, kind="hybrid", parameters=SMALL)
    rows = texts(300)
    for key in range(100):
        rows[key] = f"zebra number{key}"
    one.source.versions.append(docs(rows))
    index = one.indexes.refresh("i", author=ADA)
    assert index.generation is not None
    assert [(s.rows, s.dead, s.is_delta) for s in index.generation.segments] == [(300, 0, False)]
    assert one.embedders.model.embedded == 400
    assert len(found(one, "zebra", limit=300, where="id < 100")) == 100


def test_segments_are_bounded(one: SearchLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than a segment may have are several, and found in all of them."""
    monkeypatch.setattr(build_module, "MAX_SEGMENT_ROWS", 100)
    made = create(one, kind="vector", parameters=SMALL)
    assert [segment.rows for segment in made.generation.segments] == [100, 100, 100]
    text = one.source.versions[0]["text"]
    for key in (0, 150, 299):
        assert found(one, text[key].as_py(), limit=1) == [key]


def test_recall_is_measured_and_enough(one: SearchLab) -> None:
    """The graph's answers against exact ones; the registry has what was measured."""
    made = create(one, kind="vector", parameters={**SMALL, "exact_rows": 0})
    assert made.generation.recall >= 0.95
    create(one, "exact", kind="vector")
    hits = 0
    for word in WORDS:
        hits += len(set(found(one, word)) & set(found(one, word, "exact")))
    assert hits >= 0.9 * 10 * len(WORDS)
    assert one.indexes.search("exact", Question(text="wing")).is_exact


@pytest.mark.parametrize("kind", ["text", "vector", "hybrid"])
def test_a_condition_filters_before_it_ranks(one: SearchLab, kind: str) -> None:
    """All and only rows that meet it are candidates, however few or many."""
    create(one, kind=kind, parameters=SMALL)
    chosen = found(one, "engine", where="n = 3", limit=200)
    rows = texts(300)
    wanted = [key for key in rows if key % 7 == 3]
    if kind == "text":
        wanted = [key for key in wanted if "engine" in (rows[key] or "")]
    assert sorted(chosen) == wanted
    assert found(one, "engine", where="id < 0") == []
    own = one.source.versions[0]["text"][5].as_py()
    assert found(one, own, where="id < 299", limit=1) == [5]


def test_a_text_that_is_no_query(one: SearchLab) -> None:
    """Of words alone it is refused; where meaning counts as well, every word is one."""
    create(one, "words", kind="text")
    create(one, kind="hybrid")
    for text in ("(engine", '"engine', "- ("):
        with pytest.raises(InvalidInput):
            found(one, text, "words")
        assert len(found(one, text)) == 10
    rows = one.indexes.search("i", Question(text="(number5")).to_pylist()
    wanted = str(texts(300)[5]).replace("number5", "**number5**")
    assert [row["_highlight"] for row in rows if row["id"] == 5] == [wanted]


def test_pages_follow_each_other(one: SearchLab) -> None:
    """Pages put together are the whole; the last says that nothing follows."""
    create(one, kind="hybrid", parameters=SMALL)
    whole = found(one, "engine cabin", limit=50)
    pages: list[int] = []
    offset: int | None = 0
    while offset is not None and len(pages) < 50:
        page = one.indexes.search("i", Question(text="engine cabin", limit=7, offset=offset))
        pages += [row["id"] for row in page.to_pylist()]
        assert page.to_pylist()[0]["_rank"] == offset + 1
        offset = page.next_offset
    assert pages[:50] == whole
    assert one.indexes.search("i", Question(text="engine", limit=1_000)).next_offset is None


@pytest.mark.parametrize(
    "asked",
    [
        {"text": ""},
        {"text": "  \n"},
        {"text": None},
        {"text": 5},
        {"text": "x" * 4_097},
        {"text": "x", "limit": 0},
        {"text": "x", "limit": 1_001},
        {"text": "x", "limit": True},
        {"text": "x", "offset": -1},
        {"text": "x", "offset": 9_999, "limit": 2},
        {"text": "x", "where": " "},
        {"text": "x", "vector": [1.0]},
        {"text": "x", "vector": [float("nan")] * 32},
    ],
)
def test_a_bad_question_is_refused(one: SearchLab, asked: dict[str, Any]) -> None:
    """Before anything is looked for, with what would have been right."""
    create(one, kind="hybrid")
    with pytest.raises(InvalidInput):
        one.indexes.search("i", Question(**asked))


def test_a_bad_index_is_refused(one: SearchLab) -> None:
    """Unknown columns and datasets, columns of other types, a name that is taken."""
    create(one, kind="text")
    with pytest.raises(AlreadyExists):
        create(one, kind="text")
    with pytest.raises(InvalidInput, match="no such column"):
        one.indexes.create("j", "docs", ["texd"], author=ADA)
    with pytest.raises(InvalidInput, match="column of texts"):
        one.indexes.create("j", "docs", ["n"], author=ADA)
    with pytest.raises(InvalidInput, match="kind"):
        create(one, "j", kind="magic")
    with pytest.raises(NotFound):
        one.indexes.create("j", "other", ["text"], author=ADA)
    with pytest.raises(NotFound):
        create(one, "j", model="no such model")
    with pytest.raises(NotFound, match="no index"):
        found(one, "x", "k")
    assert [index.name for index in one.indexes.list_indexes()] == ["i"]


def test_an_index_that_is_behind_says_so(one: SearchLab) -> None:
    """Covered version, present version, rows between; the state is stale until it is refreshed."""
    create(one, kind="text")
    one.source.versions.append(docs({**texts(300), 1: "zebra", 400: "zebra"}))
    answer = one.indexes.search("i", Question(text="zebra"))
    assert (answer.covered_version, answer.version, answer.rows_behind) == (0, 1, 2)
    assert answer.to_pylist() == []
    told = one.indexes.describe(one.indexes.get("i"))
    assert (told["state"], told["rows_behind"]) == ("stale", 2)
    assert one.indexes.is_due(one.indexes.get("i"))
    one.indexes.refresh("i", author=ADA)
    assert sorted(found(one, "zebra")) == [1, 400]
    assert one.indexes.describe(one.indexes.get("i"))["state"] == "ready"


def test_another_model_is_refused_until_it_is_rebuilt(one: SearchLab) -> None:
    """Vectors of two models are never compared: refused and said, or all made anew."""
    create(one, kind="hybrid")
    one.embedders.model = HashEmbedder(dimension=16, name="hash@2")
    with pytest.raises(NotFound, match="model of this index"):
        found(one, "engine")
    one.source.versions.append(docs({**texts(300), 1: "zebra"}))
    with pytest.raises(NotFound, match="no such model"):
        one.indexes.refresh("i", author=ADA)
    assert one.indexes.get("i").error
    rebuilt = one.indexes.rebuild("i", author=ADA)
    assert (rebuilt.model, rebuilt.dimension, rebuilt.error) == ("hash@2", 16, "")
    assert found(one, "zebra")[0] == 1


def test_a_model_that_lies_is_refused(one: SearchLab) -> None:
    """Vectors of another form than it says, or with NaN: nothing of them is served."""
    model = one.embedders.model
    for vectors in (np.zeros((1, 3), np.float32), np.full((300, 32), np.nan, np.float32)):
        model.embed = lambda texts, made=vectors: made  # type: ignore[method-assign]  # a stand-in
        with pytest.raises(InvalidInput, match="a model gave"):
            create(one, f"lies{vectors.shape[0]}", kind="vector")
    assert all(index.state == "failed" for index in one.indexes.list_indexes())
    with pytest.raises(CorruptData, match="could not be built"):
        found(one, "x", "lies1")


def test_vectors_of_the_dataset(one: SearchLab) -> None:
    """A column of vectors: asked by vectors, kept as their metric needs; bad rows are named."""
    vectors = np.random.default_rng(3).standard_normal((50, 4)) * 1_000
    rows = [None if n == 7 else vectors[n].tolist() for n in range(50)]
    table = pa.table({"id": range(50), "v": rows})
    one.source.versions.append(table)
    for metric in ("cosine", "dot", "l2"):
        made = one.indexes.create(metric, "docs", "v", kind="vector", metric=metric, author=ADA)
        assert (made.dimension, made.generation.skipped, made.model) == (4, 1, None)
        answer = one.indexes.search(metric, Question(vector=vectors[9].tolist(), limit=3))
        scores = {
            "cosine": vectors @ vectors[9] / np.linalg.norm(vectors, axis=1),
            "dot": vectors @ vectors[9],
            "l2": -((vectors - vectors[9]) ** 2).sum(axis=1),
        }[metric]
        scores[7] = -np.inf
        assert [row["id"] for row in answer.to_pylist()] == list(np.argsort(-scores)[:3])
    for asked in ({"vector": [1.0, 2.0]}, {"text": "x"}, {}):
        with pytest.raises(InvalidInput):
            one.indexes.search("cosine", Question(**asked))
    rows[3] = [1.0, 2.0]
    one.source.versions.append(pa.table({"id": range(50), "v": rows}))
    with pytest.raises(InvalidInput, match="row 3"):
        one.indexes.refresh("dot", author=ADA)
    assert one.indexes.get("dot").error == "a vector of the wrong dimension"
    one.indexes.search("dot", Question(vector=vectors[9].tolist()))


def test_a_damaged_file_is_never_believed(lab: SearchLab) -> None:
    """Each file, a bit turned, cut short, or gone: a clear error; the next build makes it whole."""
    made = create(lab, kind="hybrid", parameters=SMALL)
    for file in made.generation.files.values():
        whole = lab.store.get(file.path)
        flipped = bytes([whole[0] ^ 1]) + whole[1:]
        for damaged in (flipped, whole[: len(whole) // 2], None):
            lab.store.delete(file.path)
            if damaged is not None:
                lab.store.create(file.path, damaged)
            with pytest.raises((CorruptData, NotFound)):
                lab.reopen().search("i", Question(text="engine"))
        lab.store.delete(file.path)
        lab.store.create(file.path, whole)
    lab.store.put(file.path, flipped)
    lab.source.versions.append(docs({**texts(300), 5: "zebra"}))
    lab.reopen().refresh("i", author=ADA)
    assert found(lab, "zebra")[0] == 5


def test_lost_files_are_made_again(one: SearchLab) -> None:
    """As after a backup came back, which has no indexes: the next refresh builds it of the rows."""
    made = create(one, kind="hybrid", parameters=SMALL)
    for file in made.generation.files.values():
        one.store.delete(file.path)
    other = one.reopen()
    with pytest.raises(NotFound, match="is gone"):
        other.search("i", Question(text="engine"))
    again = other.refresh("i", author=ADA)
    assert again.generation is not None
    assert again.generation.id != made.generation.id
    assert again.generation.rows == 300
    assert other.search("i", Question(text=str(texts(300)[5]))).to_pylist()[0]["id"] == 5


def test_a_damaged_cache_is_fetched_again(tmp_path: Path) -> None:
    """What this machine keeps is checked, too; beyond its bound the oldest goes."""
    store = Bucket(open_store("memory://"))
    lab = SearchLab(store, tmp_path, docs(texts(50)))
    create(lab, kind="text")
    found(lab, "engine")
    kept = sorted((tmp_path / "state-0" / "search" / "files").iterdir())
    assert kept
    lab.indexes.close()
    for place in kept:
        place.write_bytes(b"damaged")
    again = lab.reopen()
    again._files._folder = kept[0].parent
    assert again.search("i", Question(text="number5")).to_pylist()[0]["id"] == 5
    again._files._max_bytes = 0
    again._files.prune()
    assert list(kept[0].parent.iterdir()) == []
    lab.close()
    store.close()
