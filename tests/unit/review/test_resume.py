"""A run that dies at any of its writes, before or behind it, and is run again: the same ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.fakes.records import MemoryRecords
from tests.unit.review.repositories import mended
from tests.unit.review.test_properties import World, path_of

from lakecore.review import RunSettings


class Died(BaseException):
    """The process is gone."""


class DyingRecords(MemoryRecords):
    """Dies at the write number `at`; with `stored` behind it, else before. Then nothing works."""

    def __init__(self, records: MemoryRecords, at: int, stored: bool) -> None:
        super().__init__()
        self.rows = records.rows
        self.writes = 0
        self._at, self._stored = at, stored

    def append(self, kind: str, rows: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> None:
        self.writes += 1
        if self._at and self.writes + (not self._stored) > self._at:
            raise Died
        super().append(kind, rows, ids)
        if self.writes == self._at:
            raise Died


def begun() -> World:
    """One iteration; then some files are mended, one is renamed, one is gone."""
    world = World(3, 6, settings=RunSettings(again=6, floor_pairs=12, workers=1, everything=True))
    world.run()
    for number in (0, 3):
        world.files.texts[path_of(number)] = mended(world.files.texts[path_of(number)])
    world.files.rename(path_of(1), "src/renamed.py")
    del world.files.texts[path_of(4)]
    return world


def ledger(world: World) -> list[str]:
    """Every row, without its time."""
    return sorted(
        kind + repr(sorted((name, value) for name, value in row.items() if name != "time"))
        for kind, rows in world.records.rows.items()
        for row in rows.values()
    )


@pytest.mark.parametrize("stored", [False, True], ids=["before", "behind"])
def test_every_write_can_be_the_last(stored: bool) -> None:
    """At each write in turn: what is left is finished, row for row as if nothing had happened."""
    start = begun()
    whole = start.branch()
    counting = DyingRecords(whole.records, 0, stored)
    whole.records = counting
    whole.run(run_id="second")
    expected = ledger(whole)
    assert counting.writes >= 8
    left = 0
    for at in range(1, counting.writes + 1):
        world = start.branch()
        world.records = DyingRecords(world.records, at, stored)
        with pytest.raises(Died):
            world.run(run_id="second")
        left += ledger(world) != expected
        world.records = DyingRecords(world.records, 0, stored)
        result = world.run(run_id="second")
        assert result.missing == ()
        assert ledger(world) == expected, at
    print(f"{counting.writes} writes, after {left} of them the ledger was not whole")
    assert left >= counting.writes - 1
