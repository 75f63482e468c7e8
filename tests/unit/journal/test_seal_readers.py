"""Sealing while readers of the same process take in what other machines seal."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes.journals import commit, open_journal, sample, sealed_ids, target

from lakecore.journal._log.footers import Footers
from lakecore.storage import open_store
from lakecore.tlog import Frontier


@pytest.mark.parametrize("after_calls", [1, 2, 3])
def test_a_reader_that_takes_in_footers_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_calls: int
) -> None:
    """Another machine seals the same commit between two looks at the end of the log."""
    store = open_store("memory://")
    mine, other = (open_journal(store, tmp_path / name) for name in ("a", "b"))
    commit(store, mine, target(0), sample("x", 5, version=0, dataset_id="d"))
    calls = 0
    whole = Footers.frontier

    def frontier(footers: Footers) -> Frontier:
        nonlocal calls
        found = whole(footers)
        if footers is mine._footers:
            calls += 1
            if calls == after_calls:
                other.seal()
                mine.recent(1)  # takes in the other's footer
        return found

    monkeypatch.setattr(Footers, "frontier", frontier)
    mine.seal()
    other.seal()
    assert sealed_ids(mine) == [f"x:{number}" for number in range(5)]
    assert mine.verify().status == "green"
    mine.close()
    other.close()
