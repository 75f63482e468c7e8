"""`TextIndex`: what is found, in which order, and what an update makes of it."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from lakecore.base import (
    AlreadyExists,
    Bug,
    CorruptData,
    InvalidInput,
    NotFound,
    Unavailable,
    UnsupportedFormat,
)
from lakecore.fulltext import LANGUAGES, Span, TextIndex

BOOKS = {
    "1": ("Crème brûlée", "Sugar and cream, burnt"),
    "2": ("Bread", "Flour, water and a long night"),
    "3": ("Sugar bread", "Flour with sugar"),
    "4": ("東京タワー", "A tower in Tokyo"),
    "5": ("Connections", "She connected both towers"),
    "6": ("Straße", None),
}


def table(
    rows: dict[str, tuple[str | None, ...]], fields: tuple[str, ...] = ("title", "body")
) -> pa.Table:
    """Rows by key as a table."""
    columns = {name: [row[at] for row in rows.values()] for at, name in enumerate(fields)}
    return pa.table(
        {"key": pa.array(list(rows), pa.string())}
        | {name: pa.array(values, pa.string()) for name, values in columns.items()}
    )


@pytest.fixture
def index(tmp_path: Path) -> TextIndex:
    """An index of `BOOKS`."""
    made = TextIndex.create(tmp_path / "books", ["title", "body"])
    made.update(table(BOOKS))
    return made


def found(index: TextIndex, text: str, **how: object) -> set[str]:
    """The keys of all hits."""
    return {hit.key for hit in index.search(text, 100, **how)}  # type: ignore[arg-type]  # as they are


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("sugar", {"1", "3"}),
        ("CREME", {"1"}),
        ("ｂｒｅａｄ", {"2", "3"}),
        ("strasse", {"6"}),
        ("sugar night", {"1", "2", "3"}),
        ("sugar AND bread", {"3"}),
        ("+sugar -bread", {"1"}),
        ("bread NOT sugar", {"2"}),
        ('"flour water"', {"2"}),
        ('"water flour"', set()),
        ("tow*", {"4", "5"}),
        ("tower", {"4"}),
        ("connect*", {"5"}),
        ("title:sugar", {"3"}),
        ("title:(sugar tower)", {"3"}),
        ("(title:bread AND flour) tokyo", {"2", "3", "4"}),
        ("東京", {"4"}),
        ("京東", set()),
        ("nowhere", set()),
        ("nowhere*", set()),
        ("cream,burnt", {"1"}),
        ("burnt,cream", set()),
        ("sugar --- !", {"1", "3"}),
        ("lon* AND NOT title:sugar", {"2"}),
    ],
)
def test_what_is_found(index: TextIndex, text: str, keys: set[str]) -> None:
    """Words, phrases, prefixes, fields and operators."""
    assert found(index, text) == keys


def test_fields_and_keys_narrow_the_search(index: TextIndex) -> None:
    """`fields` and `keys` leave out the rest; scores stay what they are."""
    assert found(index, "sugar", fields=["title"]) == {"3"}
    assert found(index, "body:sugar title:creme", fields=["title"]) == {"1"}
    assert found(index, "sugar", keys=["1", "2", "unknown"]) == {"1"}
    assert found(index, "sugar", keys=[]) == set()
    scores = {hit.key: hit.score for hit in index.search("sugar", 10)}
    assert index.search("sugar", 10, keys=["1"])[0].score == pytest.approx(scores["1"])


def test_the_best_come_first(index: TextIndex) -> None:
    """Both words rank above one; the order is that of the scores, then of the keys."""
    hits = index.search("sugar bread", 10)
    assert hits[0].key == "3"
    assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.key))
    assert index.search("sugar bread", 1) == hits[:1]


def test_plain_text_is_words(index: TextIndex) -> None:
    """What somebody wrote as prose is no query."""
    assert found(index, 'What is "sugar (and cream', plain=True) == {"1", "2", "3"}
    assert found(index, "-sugar", plain=True) == {"1", "3"}


@pytest.mark.parametrize(
    "text", ["", "  ", "!!!", "-sugar", "NOT (a b)", "x" * 300, "\ud800", "a\x00" + '"']
)
def test_nothing_to_search_for(index: TextIndex, text: str) -> None:
    """Without a word to find there is an error that says so."""
    with pytest.raises(InvalidInput):
        index.search(text)


def test_bounds_of_a_search(index: TextIndex) -> None:
    """Limits, fields and keys that cannot be are refused before the engine sees them."""
    for limit in (0, -1, 10_001, True):
        with pytest.raises(InvalidInput):
            index.search("a", limit)
    for fields in ([], ["other"], "title"):
        with pytest.raises(InvalidInput):
            index.search("a", fields=fields)
    for keys in ("1", [1], ["\ud800"]):
        with pytest.raises(InvalidInput):
            index.search("a", keys=keys)  # type: ignore[arg-type]  # what is refused


def test_an_update_replaces_and_deletes(index: TextIndex) -> None:
    """A row is there once under its key; the last of a key counts; deletes go before upserts."""
    rows = pa.table(
        {
            "key": ["2", "7", "7"],
            "title": ["Rye", "old", "new"],
            "body": ["Rye", "x", "x"],
            "z": [1, 2, 3],
        }
    )
    index.update(rows, ["1", "7", "unknown"])
    assert index.count == 6
    assert (found(index, "bread"), found(index, "rye")) == ({"3"}, {"2"})
    assert (found(index, "old"), found(index, "new"), found(index, "creme")) == (
        set(),
        {"7"},
        set(),
    )


def test_the_folder_is_synced_after_the_commit(
    index: TextIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine syncs its files and not the rename that commits them: we do, when it is there."""
    synced: list[tuple[Path, int]] = []

    def sync(path: Path) -> None:
        stored = json.loads((index.folder / "tantivy/meta.json").read_text())
        synced.append((path, sum(one["max_doc"] for one in stored["segments"])))

    monkeypatch.setattr("lakecore.fulltext._engine.sync", sync)
    index.update(table({"9": ("Last", None)}))
    assert synced == [(index.folder / "tantivy", len(BOOKS) + 1)]


def test_another_opening_sees_what_was_committed(index: TextIndex) -> None:
    """A second opening finds the same, and follows the updates of the first."""
    with_check = TextIndex.open(index.folder)
    without = TextIndex.open(index.folder, check=False)
    index.update(table({"8": ("Fresh", None)}))
    for other in (with_check, without):
        assert (other.fields, other.language, other.count) == (("title", "body"), None, 7)
        assert found(other, "fresh") == {"8"}
        assert other.search("sugar bread") == index.search("sugar bread")


@pytest.mark.parametrize(
    "rows",
    [
        pa.table({"title": ["a"], "body": ["b"]}),
        pa.table({"key": ["1"], "title": ["a"]}),
        pa.table({"key": [1], "title": ["a"], "body": ["b"]}),
        pa.table({"key": pa.array([None], pa.string()), "title": ["a"], "body": ["b"]}),
        pa.table({"key": ["k" * 1_025], "title": ["a"], "body": ["b"]}),
        pa.table({"key": ["1"], "title": [b"a"], "body": ["b"]}),
        pa.table({"key": ["1"], "title": ["a" * (16 * 2**20 + 1)], "body": ["b"]}),
        pa.table([["1"], ["a"], ["b"], ["c"]], ["key", "title", "body", "body"]),
    ],
)
def test_rows_that_are_refused(index: TextIndex, rows: pa.Table) -> None:
    """A table that is not of the form changes nothing."""
    with pytest.raises(InvalidInput):
        index.update(rows, ["1"])
    assert found(index, "creme") == {"1"}


def test_every_text_type_and_null_will_do(tmp_path: Path) -> None:
    """Large strings, views, columns of nothing, empty keys and no rows at all."""
    index = TextIndex.create(tmp_path / "i", ["a", "b"])
    index.update(
        pa.table(
            {
                "key": pa.array(["x"], pa.large_string()),
                "a": pa.array(["one"], pa.string_view()),
                "b": pa.nulls(1),
            }
        )
    )
    index.update(pa.table({"key": [""], "a": ["two"], "b": [""]}))
    index.update(None)
    index.update(pa.table({"key": pa.array([], pa.string()), "a": pa.nulls(0), "b": pa.nulls(0)}))
    assert (index.count, found(index, "two"), found(index, "one")) == (2, {""}, {"x"})
    index.update(pa.table({"key": [""], "a": ["three"], "b": [None]}))
    assert (index.count, found(index, "two"), found(index, "three")) == (2, set(), {""})


def test_a_prefix_of_many_words_finds_all(tmp_path: Path) -> None:
    """Beyond 64 words a prefix is not scored, but complete."""
    index = TextIndex.create(tmp_path / "i", ["t"])
    index.update(
        pa.table({"key": [str(n) for n in range(300)], "t": [f"w{n}" for n in range(300)]})
    )
    assert len(index.search("w*", 1_000)) == 300
    assert found(index, "w29*") == {"29", *(str(n) for n in range(290, 300))}
    assert found(index, "x* w.*") == found(index, "w*")


def test_words_are_stemmed_where_a_language_is_given(tmp_path: Path) -> None:
    """With a language words match by their stem, phrases and prefixes as they are written."""
    index = TextIndex.create(tmp_path / "i", ["t"], language="english")
    index.update(pa.table({"key": ["1", "2"], "t": ["She connected towers", "connection"]}))
    assert found(index, "connects") == {"1", "2"}
    assert found(index, "connecti*") == {"2"}
    assert found(index, '"she connects"') == set()
    assert found(index, '"she connected"') == {"1"}
    assert index.highlight("tower", "Two Towers") == [Span(4, 10)]
    assert index.highlight('"two tower"', "Two Towers") == []
    assert TextIndex.open(index.folder).language == "english"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_can_be_used(tmp_path: Path, language: str) -> None:
    """Each name of `LANGUAGES` is one that the engine has."""
    index = TextIndex.create(tmp_path / language, ["t"], language=language)
    assert index.count == 0


@pytest.mark.parametrize(
    ("text", "value", "marked"),
    [
        ("creme", "Crème, CREME; cremes", ["Crème", "CREME"]),
        ("cre*", "Crème, scream; cremes", ["Crème", "cremes"]),
        ('"a b"', "a b a c b a b", ["a", "b", "a", "b"]),
        ("a -b", "a b", ["a"]),
        ("title:a b", "a b", ["a", "b"]),
        ("body:a b", "a b", ["b"]),
        ("strasse", "Die Straße!", ["Straße"]),
        ("京", "東京都", ["京"]),
        ("fix", "ﬁx it", ["ﬁx"]),
        ("e\u0301t*", "l'été", ["été"]),
        ("<b>", "<b>bold</b>", ["b", "b"]),
        ("a", "\ud800 a \U0001f600 a", ["a", "a"]),
        ("nothing", "", []),
    ],
)
def test_highlights(index: TextIndex, text: str, value: str, marked: list[str]) -> None:
    """Spans are of the value as it is, letters with their marks."""
    spans = index.highlight(text, value, "title")
    assert [value[span.start : span.end] for span in spans] == marked


def test_highlights_are_bounded(index: TextIndex) -> None:
    """Not more spans than asked for."""
    assert len(index.highlight("a", "a " * 500, limit=7)) == 7
    with pytest.raises(InvalidInput):
        index.highlight("a", "a", limit=1_001)


@pytest.mark.parametrize(
    "fields",
    [[], "title", ["key"], ["a", "a"], ["x" * 129], [""], [1], [f"f{n}" for n in range(33)]],
)
def test_fields_that_cannot_be(tmp_path: Path, fields: list[str]) -> None:
    """Names of fields are checked before a folder is made."""
    with pytest.raises(InvalidInput):
        TextIndex.create(tmp_path / "i", fields)
    assert not (tmp_path / "i").exists()


def test_any_name_can_be_a_field(tmp_path: Path) -> None:
    """Also one that the engine would not take."""
    index = TextIndex.create(tmp_path / "i", ["straße 1", "-x"])
    index.update(pa.table({"key": ["1"], "straße 1": ["a"], "-x": ["b"]}))
    assert found(TextIndex.open(tmp_path / "i"), "b", fields=["-x"]) == {"1"}


def test_creating_and_opening(tmp_path: Path) -> None:
    """No index, a folder that is in use, and one whose creation was interrupted."""
    with pytest.raises(NotFound):
        TextIndex.open(tmp_path / "none")
    (tmp_path / "used").mkdir()
    (tmp_path / "used/file").touch()
    with pytest.raises(AlreadyExists):
        TextIndex.create(tmp_path / "used", ["a"])
    index = TextIndex.create(tmp_path / "deep/er/index", ["a"])
    with pytest.raises(AlreadyExists):
        TextIndex.create(index.folder, ["a"])
    (index.folder / "lakecore-text.json").unlink()
    with pytest.raises(NotFound):
        TextIndex.open(index.folder)
    assert TextIndex.create(index.folder, ["b"]).fields == ("b",)
    with pytest.raises(InvalidInput):
        TextIndex.create(tmp_path / "x", ["a"], language="klingon")


def test_what_a_folder_says_of_itself(tmp_path: Path) -> None:
    """Format 1, byte for byte."""
    TextIndex.create(tmp_path / "i", ["title", "straße"], language="english")
    wanted = (
        '{\n "format": 1,\n "fields": [\n  "title",\n  "stra\\u00dfe"\n ],\n'
        ' "language": "english"\n}\n'
    )
    assert (tmp_path / "i/lakecore-text.json").read_text() == wanted


def test_another_format_is_refused(index: TextIndex) -> None:
    """A folder of a newer Lakecore is named as such."""
    about = index.folder / "lakecore-text.json"
    stored = json.loads(about.read_text())
    about.write_text(json.dumps(stored | {"format": 2}))
    with pytest.raises(UnsupportedFormat):
        TextIndex.open(index.folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 10_000,
        b'{"format": 1}',
        b'{"format": 1, "fields": [1], "language": null}',
    ],
)
def test_a_folder_that_does_not_know_itself(index: TextIndex, content: bytes) -> None:
    """What it says of itself is read as a stranger's."""
    (index.folder / "lakecore-text.json").write_bytes(content)
    with pytest.raises(CorruptData):
        TextIndex.open(index.folder)


def test_damage_is_found_at_opening(index: TextIndex) -> None:
    """Each file of the index in turn: a bit turned over, cut, or gone."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    files = [path for path in (index.folder / "tantivy").iterdir() if path.suffix in _KINDS]
    assert {path.suffix for path in files} == _KINDS
    for path in [*files, index.folder / "tantivy/meta.json"]:
        content = path.read_bytes()
        at = chance.randrange(len(content) - 40) if path.suffix != ".json" else 0
        flipped = (
            content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]
        )
        for damage in (flipped, content[: len(content) // 2], b"", None):
            path.unlink(missing_ok=True)
            if damage is not None:
                path.write_bytes(damage)
            with pytest.raises((CorruptData, UnsupportedFormat)):
                TextIndex.open(index.folder)
        path.write_bytes(content)
    assert TextIndex.open(index.folder).count == len(BOOKS)


_KINDS = {".fast", ".fieldnorm", ".idx", ".pos", ".store", ".term"}


def test_what_the_engine_panics_about_is_an_error(index: TextIndex) -> None:
    """Damage that nobody looked for at opening is no crash of the program."""
    for path in (index.folder / "tantivy").glob("*.store"):
        content = path.read_bytes()
        path.write_bytes(b"\xff" * (len(content) - 130) + content[-130:])
    unchecked = TextIndex.open(index.folder, check=False)
    with pytest.raises(CorruptData):
        unchecked.search("sugar")


def test_a_second_writer_waits(index: TextIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates of many threads and openings are all there; one that waits too long is told."""
    openings = [index, TextIndex.open(index.folder)]

    def work(number: int) -> None:
        openings[number % 2].update(table({f"t{number}": (f"thread{number}", "together")}))

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found(index, "together") == {f"t{number}" for number in range(6)}
    writer = openings[1]._engine._index.writer(16_000_000, 1)
    monkeypatch.setattr("lakecore.fulltext._engine.LOCK_WAIT_S", 0.1)
    with pytest.raises(Unavailable):
        index.update(deletes=["1"])
    writer.wait_merging_threads()
    index.update(deletes=["1"])
    assert found(index, "creme") == set()


def test_after_closing_nothing_is_asked(index: TextIndex) -> None:
    """A closed index says so."""
    index.close()
    with pytest.raises(Bug):
        index.search("a")


def test_memory_for_building_is_bounded(index: TextIndex) -> None:
    """It cannot be set to nothing or to everything."""
    for heap_bytes in (1, 1 << 40):
        with pytest.raises(InvalidInput):
            index.update(deletes=["1"], heap_bytes=heap_bytes)
