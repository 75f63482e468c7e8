"""Numbered parts: each is appended once, whatever happens around it."""

from __future__ import annotations

import pytest
from tests.unit.tables.conftest import Lake, Ref

from lakecore.base import Conflict, InvalidInput
from lakecore.storage import open_store
from lakecore.tables import IngestNote, Once, TableSettings

NAME = "test:parts"


def part(after: int, number: int) -> Once:
    return Once(name=NAME, after=after, number=number)


@pytest.fixture
def lake() -> Lake:
    """A lake in memory, of a dataset without a key."""
    return Lake(open_store("memory://"), dataset=Ref(key=()))


def test_the_number_is_left(lake: Lake) -> None:
    """The table says up to which number parts are in, by name, also over a checkpoint."""
    assert lake.tables.number_of(lake.dataset, NAME) == 0
    lake.append({"n": [1]}, once=part(0, 7))
    lake.append({"n": [2]})
    assert lake.tables.number_of(lake.dataset, NAME) == 7
    assert lake.tables.number_of(lake.dataset, "another") == 0
    lake.append({"n": [3]}, once=part(7, 9))
    view = lake.tables.open(lake.dataset)
    assert view is not None
    view.delta.create_checkpoint()
    again = Lake(lake.store, dataset=lake.dataset)
    assert again.tables.number_of(lake.dataset, NAME) == 9


def test_a_part_that_is_in_is_not_appended_again(lake: Lake) -> None:
    """Another number than the one before is a conflict, and nothing is left of the attempt."""
    lake.append({"n": [1]}, once=part(0, 7))
    objects = {found.path for found in lake.store.list_objects("")}
    with pytest.raises(Conflict, match="number of another append"):
        lake.append({"n": [1]}, once=part(0, 7))
    assert {found.path for found in lake.store.list_objects("")} == objects
    assert [row["n"] for row in lake.rows()] == [1]


@pytest.mark.parametrize("number", [8, 7])
def test_who_comes_first_in_a_race(number: int) -> None:
    """Two send the same part, or parts that overlap: the second finds the first's number."""
    store = open_store("memory://")
    other = Lake(store, dataset=Ref(key=()))
    other.append({"n": [0]})
    raced: list[str] = []

    def race(step: str) -> None:
        if step == "committing" and not raced:
            raced.append(step)
            other.append({"n": [1]}, once=part(0, 7))

    lake = Lake(store, dataset=other.dataset, settings=TableSettings(on_step=race))
    with pytest.raises(Conflict):
        lake.append({"n": [1]}, once=part(0, number))
    assert [row["n"] for row in lake.rows()] == [0, 1]
    assert lake.tables.number_of(lake.dataset, NAME) == 7


def test_after_a_lost_race_the_number_is_the_same() -> None:
    """Somebody else's append comes first: the part is staged again with its own number."""
    store = open_store("memory://")
    other = Lake(store, dataset=Ref(key=()))
    other.append({"n": [0]})
    raced: list[str] = []

    def race(step: str) -> None:
        if step == "committing" and not raced:
            raced.append(step)
            other.append({"n": [1]})

    lake = Lake(store, dataset=other.dataset, settings=TableSettings(on_step=race))
    lake.append({"n": [2]}, once=part(0, 7))
    assert sorted(row["n"] for row in lake.rows()) == [0, 1, 2]
    assert lake.tables.number_of(lake.dataset, NAME) == 7


def test_a_file_and_a_number(lake: Lake) -> None:
    """A commit remembers one or the other."""
    note = IngestNote(file_name="f", sha256="0" * 64, size_bytes=1)
    with pytest.raises(InvalidInput, match="a file and a number"):
        lake.append({"n": [1]}, once=part(0, 1), ingest=note)
