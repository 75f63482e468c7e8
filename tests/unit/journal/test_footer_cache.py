"""A damaged cache of footers changes no answer: it is dropped, and made again from the log."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.fakes.compaction import seal_pieces, small_ranges
from tests.fakes.journals import MANUAL, TIME_US, commit, open_journal, sample, sealed_ids, target

from lakecore.base import ManualClock
from lakecore.journal import Event
from lakecore.journal._log.footer_cache import FILE
from lakecore.storage import open_store

DAMAGES = {
    "a state": 'UPDATE place SET state = replace(state, \'"edge": ["\', \'"edge": ["00\')',
    "a position": "UPDATE place SET first_seq = first_seq + 1 WHERE first_seq = 0",
    "a path": "UPDATE place SET path = replace(path, '0.parquet', '1.parquet')",
    "a lost commit": "DELETE FROM piece WHERE seq = 0",
    "a commit of another name": "UPDATE piece SET commit_id = 'x' || commit_id WHERE seq = 0",
    "a count": "UPDATE piece SET count = 3 WHERE seq = 0",
    "a lost twin": "DELETE FROM piece_twin",
    "a lost mark": "DELETE FROM marked",
    "a mark's time": "UPDATE marked SET sealed_at_us = 0",
    "a lost twin of a mark": "DELETE FROM marked_twin",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_changes_no_answer(tmp_path: Path, damage: str) -> None:
    """Reading, recording again and matching commits go on as if nothing had happened."""
    store = open_store(str(tmp_path / "lake"))
    state = tmp_path / "state"
    clock = ManualClock(TIME_US)
    given = Event(event_id="mine", entity_type="plane", entity_id="N1", action="inspect")
    with open_journal(store, state, clock=clock, settings=MANUAL) as journal:
        first = commit(store, journal, target(0), sample("a", 5))
        journal.seal()
        journal.record(given)
        commit(store, journal, target(1), sample("b", 5))
        journal.seal()
        expected = sealed_ids(journal)
    connection = sqlite3.connect(state / FILE)
    with connection:
        assert connection.execute(DAMAGES[damage]).rowcount
    connection.close()

    with open_journal(store, state, clock=clock, settings=MANUAL) as journal:
        assert sealed_ids(journal) == expected
        assert journal._footers.sealed_count(first.commit_id) == 5
        assert journal.record(given) == "mine"
        assert journal.seal() == 0
        commits = [(item.path, store.get(item.path)) for item in store.list_objects("tables/")]
        assert journal.completeness(commits).ok
        assert journal.verify(full=True).status == "green"

    if damage != "a position":  # what does not follow from the first one on is not loaded at all
        connection = sqlite3.connect(state / FILE)
        (count,) = connection.execute("SELECT count(*) FROM piece_twin").fetchone()
        connection.close()
        assert count == 2


def test_what_another_process_dropped_is_known_from_the_log(tmp_path: Path) -> None:
    """Whoever takes in a run drops what it merges from the cache; others still go by that."""
    store = open_store(str(tmp_path / "lake"))
    with small_ranges(), open_journal(store, tmp_path / "state") as one:
        ids = seal_pieces(one, 3, 4, 5, 6)
        trees = {size: one._footers.frontier_at(size) for size in (0, 3, 7, 12, 16, 18)}
        seen = list(one.tail(limit=7))
        with open_journal(store, tmp_path / "state") as other:
            other.compact(grace_s=0)
            assert sealed_ids(other) == ids
        assert {size: one._footers.frontier_at(size) for size in trees} == trees
        assert None not in trees.values()
        assert one._footers.frontier_at(5) is None
        seen += one.tail(cursor=seen[-1].cursor)
        assert [event.event_id for batch in seen for event in batch] == ids
