"""Documents: versions, events, conflicts, and what a damaged file says."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.base import CorruptData, InvalidInput, ManualClock, UnsupportedFormat
from lakecore.documents import Document, Documents, body_sha256
from lakecore.documents._document import document_path, field_changes, parse_document
from lakecore.journal import Author, Journal
from lakecore.storage import Store, open_store

ADA = Author(actor="ada", reason="because")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(str(tmp_path / "lake"))
    yield store
    store.close()


@pytest.fixture
def journal(store: Store, tmp_path: Path) -> Iterator[Journal]:
    journal = Journal.open(store, tmp_path / "state")
    yield journal
    journal.close()


@pytest.fixture
def documents(store: Store, journal: Journal) -> Documents:
    return Documents(store, journal)


def put(documents: Documents, name: str, body: dict[str, Any] | None) -> Document:
    return documents.change("notes", name, lambda now: body, author=ADA)


def test_versions_count_from_zero_and_stay(documents: Documents) -> None:
    """Each change is a version of its own, and every one can be read again."""
    put(documents, "a", {"x": 1})
    put(documents, "a", {"x": 2})
    assert [documents.get("notes", "a", version=v).body for v in (0, 1)] == [{"x": 1}, {"x": 2}]
    assert documents.get("notes", "a").version == 1
    assert documents.get("notes", "a", version=2) is None
    assert documents.get("notes", "b") is None


def test_a_change_that_alters_nothing_is_no_version(documents: Documents) -> None:
    """No-ops are dropped: no version, no event."""
    put(documents, "a", {"x": 1, "y": [1, 2]})
    assert put(documents, "a", {"y": [1, 2], "x": 1}).version == 0


def test_events_say_exactly_what_changed(documents: Documents, journal: Journal) -> None:
    """An insert is one event, a change one per field, a removal one with the old body."""
    put(documents, "a", {"x": 1, "y": 2})
    put(documents, "a", {"x": 1, "y": 3, "z": None})
    put(documents, "a", None)
    events = journal.entity_history("a", "notes")
    assert [(e.action, e.field, e.old_value, e.new_value) for e in events] == [
        ("insert", "*", None, '{"x":1,"y":2}'),
        ("update", "y", "2", "3"),
        ("update", "z", None, "null"),
        ("delete", "*", '{"x":1,"y":3,"z":null}', None),
    ]
    assert {e.actor for e in events} == {"ada"}
    assert {json.loads(e.context)["reason"] for e in events} == {"because"}
    assert [e.version for e in events] == [0, 1, 1, 2]


def test_the_last_event_has_the_digest_of_the_body(documents: Documents, journal: Journal) -> None:
    """One event of every version carries the SHA-256 of the canonical body: the last one."""
    bodies: list[dict[str, Any] | None] = [{"b": 1, "a": "é"}, {"b": 2, "a": "è"}, None]
    for body in bodies:
        put(documents, "a", body)
    events = journal.entity_history("a", "notes")
    found = [(e.version, json.loads(e.context).get("commit")) for e in events]
    texts = ['{"a":"é","b":1}', '{"a":"è","b":2}', "null"]
    digests = [{"body_sha256": hashlib.sha256(text.encode()).hexdigest()} for text in texts]
    assert found == [(0, digests[0]), (1, None), (1, digests[1]), (2, digests[2])]
    assert [body_sha256(body) for body in bodies] == [d["body_sha256"] for d in digests]


def test_a_removed_document_keeps_its_past_and_can_return(documents: Documents) -> None:
    """Removal is a version; the name goes on counting."""
    put(documents, "a", {"x": 1})
    assert put(documents, "a", None).body is None
    assert put(documents, "a", {"x": 1}).version == 2


def test_commit_times_increase_when_the_clock_does_not(store: Store, journal: Journal) -> None:
    """Commit time = max(clock, previous + 1 µs), also when the clock steps back."""
    clock = ManualClock(1_000_000)
    documents = Documents(store, journal, clock)
    times = []
    for x, now_us in enumerate([5_000_000, 5_000_000, 1_000_000]):
        clock.set(now_us)
        times.append(put(documents, "a", {"x": x}).record.mutations[-1].timestamp_us)
    assert times == [5_000_000, 5_000_001, 5_000_002]


def test_list_gives_the_newest_of_each(documents: Documents) -> None:
    """One document a name, sorted, the newest version of each."""
    for name in ("b", "a", "b"):
        put(documents, name, {"x": name, "n": len(documents.list_documents("notes"))})
    assert [(d.name, d.version) for d in documents.list_documents("notes")] == [("a", 0), ("b", 1)]


def test_threads_lose_nothing(documents: Documents) -> None:
    """Eight threads add one each, ten times: eighty."""

    def add() -> None:
        for _ in range(10):
            documents.change(
                "notes", "n", lambda now: {"n": (now.body["n"] if now else 0) + 1}, author=ADA
            )

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(add) for _ in range(8)]:
            done.result(60)
    assert documents.get("notes", "n").body == {"n": 80}


def _add_in_process(root: str, state: str, times: int) -> None:
    store = open_store(root)
    with Journal.open(store, Path(state)) as journal:
        documents = Documents(store, journal)
        for _ in range(times):
            documents.change(
                "notes", "n", lambda now: {"n": (now.body["n"] if now else 0) + 1}, author=ADA
            )


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    """Two processes add one each, twenty times: forty, and every version has its event."""
    context = multiprocessing.get_context("spawn")
    root, state = str(tmp_path / "lake"), str(tmp_path / "state")
    processes = [context.Process(target=_add_in_process, args=(root, state, 20)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    store = open_store(root)
    with Journal.open(store, Path(state)) as journal:
        assert Documents(store, journal).get("notes", "n").body == {"n": 40}
        assert [e.version for e in journal.entity_history("n", "notes")] == list(range(40))


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", ".a", "a b", "é", "a" * 129])
def test_names_that_are_no_path_are_refused(documents: Documents, name: str) -> None:
    """A name stands in a path on every store, so it has a small alphabet."""
    with pytest.raises(InvalidInput, match="not a document name"):
        put(documents, name, {})


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": object()}])
def test_a_body_that_is_no_json_is_refused(documents: Documents, body: dict[str, Any]) -> None:
    """Nothing is committed, and the next change works."""
    with pytest.raises((InvalidInput, ValueError, TypeError)):
        put(documents, "a", body)
    assert documents.get("notes", "a") is None
    assert put(documents, "a", {"x": 1}).version == 0


def test_a_damaged_document_is_named(documents: Documents, store: Store) -> None:
    """Unreadable is never taken for absent."""
    put(documents, "a", {"x": 1})
    path = Path(str(store.local_path(document_path("notes", "a", 0))))
    good = json.loads(path.read_text())
    for damage, error in (
        (b"", CorruptData),
        (b"[]", CorruptData),
        (json.dumps({**good, "name": "b"}).encode(), CorruptData),
        (json.dumps({**good, "format": 99}).encode(), UnsupportedFormat),
        (json.dumps({k: v for k, v in good.items() if k != "lakecore"}).encode(), CorruptData),
    ):
        with pytest.raises(error, match="documents/notes/a/"):
            parse_document(document_path("notes", "a", 0), damage)


values = st.dictionaries(
    st.text(max_size=3), st.none() | st.integers() | st.text(max_size=3), max_size=4
)


@given(values, values)
def test_field_changes_lead_from_old_to_new(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Applying the changes to the old body gives the new one."""
    result = dict(old)
    for change in field_changes(old, new):
        assert change.old != change.new
        if change.new is None:
            del result[change.field]
        else:
            result[change.field] = json.loads(change.new)
    assert result == new
