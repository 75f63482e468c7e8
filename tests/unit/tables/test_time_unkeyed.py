"""A table without a key in any order of changes: counts, hashes, differences, and back."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.tables.conftest import ADA, Lake, Ref
from tests.unit.tables.history import events_table, lines

from lakecore.base import Conflict
from lakecore.journal import MultisetHash, multiset_hash
from lakecore.storage import open_store
from lakecore.tables import TableSettings

ROWS = st.lists(st.integers(0, 3), min_size=1, max_size=5)
CHANGE = st.one_of(
    st.tuples(st.just("append"), ROWS),
    st.tuples(st.just("replace"), ROWS),
    st.tuples(st.just("update"), st.integers(0, 3)),
    st.tuples(st.just("delete"), st.integers(0, 3)),
    st.tuples(st.just("restore"), st.integers(0, 9)),
    st.tuples(st.just("revert"), st.integers(0, 9)),
)
Model = Counter[int]


class Run:
    """One table and the multisets that it was at every version."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.past: list[Model] = [Counter([0, 0, 1])]
        self.mutations = [lake.append({"a": [0, 0, 1]}).mutation_id]

    def apply(self, change: str, argument: Any) -> None:
        """The change on the table; what it has to be then."""
        now, lake = self.past[-1], self.lake
        new = Counter(now)
        if change == "append":
            new.update(argument)
            result = lake.append({"a": argument})
        elif change == "replace":
            new = Counter(argument)
            result = lake.replace({"a": argument})
        elif change == "update":
            new[argument + 1] += new.pop(argument, 0)
            result = lake.update(where=f"a = {argument}", set={"a": argument + 1})
        elif change == "delete":
            new.pop(argument, None)
            result = lake.delete(where=f"a = {argument}")
        elif change == "restore":
            version = argument % len(self.past)
            new = Counter(self.past[version])
            result = lake.tables.restore(lake.dataset, version=version, author=ADA)
        else:
            version = argument % len(self.past)
            before = self.past[version - 1] if version else Counter()
            new.update(before)
            new.subtract(self.past[version])
            try:
                result = self.revert(version)
            except Conflict:
                return
        assert (result.version is not None) == (+new != +now)
        if result.version is not None:
            self.past.append(+new)
            self.mutations.append(result.mutation_id)

    def revert(self, version: int) -> Any:
        """Undo the mutation that made a version."""
        mutation = self.mutations[version]
        mine = [event for event in self.lake.events() if event.mutation_id == mutation]
        return self.lake.tables.revert(
            self.lake.dataset, mutation, version=version, events=[events_table(mine)], author=ADA
        )


@settings(max_examples=25, deadline=None)
@given(st.lists(CHANGE, min_size=1, max_size=6), st.sampled_from([2, 1_000]), st.booleans())
def test_multisets_agree(changes: list[tuple[str, Any]], file_rows: int, is_small: bool) -> None:
    """Rows with their multiplicities; hashes in the events; the difference of any two versions."""
    limits = TableSettings(file_rows=file_rows, input_bytes=1 << (10 if is_small else 29))
    lake = Lake(open_store("memory://"), dataset=Ref(key=()), settings=limits)
    run = Run(lake)
    for change, argument in changes:
        run.apply(change, argument)
        assert Counter(lake.arrow()["a"].to_pylist()) == run.past[-1]
    total = MultisetHash()
    for event in lake.events():
        details = json.loads(event.context)
        for side in ("added", "removed"):
            if side in details:
                count, digits = details[f"rows_{side}"], details[side]
                part = MultisetHash.from_json({"count": count, "sum": digits})
                total = total + part if side == "added" else total - part
    assert total == multiset_hash(lake.arrow())
    first, last = run.past[0], run.past[-1]
    told: dict[str, Model] = {"insert": Counter(), "delete": Counter()}
    for line in lines(lake.tables.diff(lake.dataset, 0, len(run.past) - 1)):
        told[line.action][json.loads(line.new_value or line.old_value)["a"]] += 1
    assert (told["insert"], told["delete"]) == (last - first, first - last)
    lake.store.close()


def test_a_file_that_is_back_is_not_brought_back_again() -> None:
    """Its rows would be told and not be there: a table has a file once."""
    limits = TableSettings(file_rows=2)
    lake = Lake(open_store("memory://"), dataset=Ref(key=()), settings=limits)
    run = Run(lake)
    run.apply("delete", 0)
    run.apply("restore", 0)
    with pytest.raises(Conflict, match="back already"):
        run.revert(1)
    assert Counter(lake.arrow()["a"].to_pylist()) == Counter([0, 0, 1])
