"""A hot log that another process seals, forgets or renames, between two looks at it.

It gets another name when it came back from a backup, or when a repair parts two copies.
Whoever still knows it by the old name may not read, forget or renew it by that: what is in it
by then was acknowledged under the new one.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.journals import open_journal, sample, seal_until_done, sealed_ids
from tests.golden.generate_hot_log import LOG_V1

from lakecore.journal import Journal
from lakecore.journal._check import hot_damage
from lakecore.journal._check.hot_damage import HotDamage
from lakecore.journal._hot.batch import encode_table
from lakecore.journal._hot.group import Behind, Entry
from lakecore.journal._hot.keys import keys_of
from lakecore.journal._hot.log import FILE, HotLog
from lakecore.storage import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "lake"))


@pytest.fixture
def behind(store: Store, tmp_path: Path) -> Path:
    """A state directory whose hot log is older than what is sealed of it."""
    state = tmp_path / "state"
    journal = open_journal(store, state)
    journal.record_batch(sample("a", 3))
    _left(journal)
    shutil.copy(state / FILE, tmp_path / "older")
    journal = open_journal(store, state)
    journal.record_batch(sample("b", 30))
    journal.seal()
    _left(journal)
    shutil.copy(tmp_path / "older", state / FILE)
    return state


def _left(journal: Journal) -> None:
    """As a process that ends leaves it."""
    journal._hot.close()
    journal._footers.close()


def _ids(*prefixes: str) -> set[str]:
    return {f"{prefix}:{n}" for prefix in prefixes for n in range(3)}


def _before(
    monkeypatch: pytest.MonkeyPatch, hot: HotLog, call: str, journal: Journal, prefixes: list[str]
) -> None:
    """Have another process record, right before a call of the hot log; once."""
    real = getattr(hot, call)

    def late(*args: Any, **named: Any) -> Any:
        while prefixes:
            journal.record_batch(sample(prefixes.pop(), 3))
        return real(*args, **named)

    monkeypatch.setattr(hot, call, late)


def test_two_that_find_a_log_behind_renew_it_once(
    store: Store, tmp_path: Path, behind: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one does not throw away what the first one has recorded since."""
    one, two = open_journal(store, behind), open_journal(store, behind)
    _before(monkeypatch, one._hot, "renew_if_behind", two, ["other"])
    one.record_batch(sample("mine", 3))
    seal_until_done(one)
    found = sealed_ids(open_journal(store, tmp_path / "fresh"))
    assert _ids("other", "mine") <= set(found)
    assert len(found) == len(set(found))


def test_a_sealer_forgets_nothing_of_a_log_that_was_renewed(
    store: Store, tmp_path: Path, behind: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far the old log is sealed says nothing of the new one's offsets."""
    one, two = open_journal(store, behind), open_journal(store, behind)
    _before(monkeypatch, one._hot, "forget", two, ["x", "y", "z"])
    one.seal()
    seal_until_done(open_journal(store, behind))
    found = sealed_ids(open_journal(store, tmp_path / "fresh"))
    assert _ids("x", "y", "z") <= set(found)


def test_a_reader_takes_nothing_of_a_log_that_was_renewed(
    store: Store, behind: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has offsets of the old one, and the next look is at the new one, whole."""
    one, two = open_journal(store, behind), open_journal(store, behind)
    one.recent(1)
    _before(monkeypatch, one._hot, "read_from", two, [f"n{number}" for number in range(15)])
    assert len(one.recent(100)) == 33
    assert len(one.recent(100)) == 33 + 45


def test_an_id_is_known_again_in_a_log_that_was_renamed(store: Store, tmp_path: Path) -> None:
    """Which ids of the old log are sealed does not tell where to look in the new one."""
    state = tmp_path / "state"
    one, two = open_journal(store, state), open_journal(store, state)
    one.record_batch(sample("a", 50))
    one.seal()
    one.record_batch(sample("b", 3))
    one.seal()
    two._hot.part(two._hot.end())
    two.record_batch(sample("twice", 3))
    for number in range(3):
        two.record_batch(sample(f"more{number}", 3))
    one.record_batch(sample("twice", 3))
    seal_until_done(two)
    counts = Counter(sealed_ids(open_journal(store, tmp_path / "fresh")))
    assert {name: count for name, count in counts.items() if count > 1} == {}
    assert _ids("twice") <= set(counts)


def test_the_condition_of_an_append_is_that_of_one_log(tmp_path: Path) -> None:
    """Whoever looked elsewhere for ids of the old log has to look again."""
    one, two = HotLog(tmp_path), HotLog(tmp_path)
    encoding, data = encode_table(sample("k", 3))
    keys = keys_of([f"k:{n}" for n in range(3)])
    one.append_once(Entry(encoding, 3, data, keys))
    old = one.log_id
    two.part(two.end())
    entry = Entry(encoding, 3, data, keys, covered=3, log_id=old)
    with pytest.raises(Behind):
        one.append_once(entry)
    assert one.log_id == two.log_id != old


def test_marks_are_read_with_the_batch_that_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log of the first format, to which another process gives its column of keys."""
    shutil.copy(LOG_V1, tmp_path / FILE)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # as every log that is in use
    one, two = HotLog(tmp_path), HotLog(tmp_path)
    real = one._read_meta
    encoding, data = encode_table(sample("k", 3))
    entries = [Entry(encoding, 3, data, keys_of([f"k:{n}" for n in range(3)]))]

    def late(connection: Any) -> Any:
        found = real(connection)
        while entries:
            two.append_once(entries.pop())
        return found

    monkeypatch.setattr(one, "_read_meta", late)
    pieces = list(one.read_from(0, 1_000_000))
    marked = [piece.supplied for piece in pieces if piece.first + piece.table.num_rows == two.end()]
    assert all(marks is not None and marks[-3:].all() for marks in marked)
    assert sum(piece.table.num_rows for piece in [*pieces, *one.read_from(two.end() - 3, 99)]) > 3


def test_an_append_goes_to_the_log_as_it_is_named_now(tmp_path: Path) -> None:
    """The statement that stores a single row asks for the name, too."""
    one, two = HotLog(tmp_path), HotLog(tmp_path)
    encoding, data = encode_table(sample("k", 3))
    assert [one.append(encoding, 3, data) for _ in range(3)] == [0, 3, 6]
    two.part(two.end())
    assert [one.append(encoding, 3, data) for _ in range(2)] == [0, 3]
    assert one.log_id == two.log_id
    assert sum(piece.table.num_rows for piece in two.read_from(0, 99, log_id=one.log_id)) == 6


def test_what_is_sealed_while_one_looks_for_damage_is_none(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that are forgotten between two pages of them leave no gap that is damage."""
    state = tmp_path / "state"
    journal = open_journal(store, state)
    for number in range(12):
        journal.record_batch(sample(f"b{number}", 3))
    real = HotDamage._page
    pages: list[int] = []

    def late(damage: HotDamage, first: int) -> list[tuple[Any, ...]]:
        pages.append(first)
        if len(pages) == 2:
            journal.seal()
            journal.record_batch(sample("later", 3))
        return real(damage, first)

    monkeypatch.setattr(hot_damage, "_PAGE", 4)
    monkeypatch.setattr(HotDamage, "_page", late)
    assert journal.completeness([]).unreadable == []
    assert len(pages) > 2


def test_the_first_seal_while_one_looks_at_the_hot_log(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that forgets for the first time is named by what is sealed by then."""
    journal = open_journal(store, tmp_path / "state")
    for number in range(3):
        journal.record_batch(sample(f"b{number}", 3))
    real = HotDamage.__init__

    def late(damage: HotDamage, state_dir: Path) -> None:
        journal.seal()
        real(damage, state_dir)

    monkeypatch.setattr(HotDamage, "__init__", late)
    assert journal.completeness([]).unreadable == []
