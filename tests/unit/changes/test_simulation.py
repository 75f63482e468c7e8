"""Changes that are tried in a workspace first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.changes.conftest import decisions, join, salaries

from lakecore.app import Lake
from lakecore.base import Refused
from lakecore.changes import Simulation


class Copies:
    """A `Simulator` whose workspace is a copy of the dataset; one check looks at it."""

    def __init__(self, lake: Lake, passes: bool) -> None:
        self.lake = lake
        self.passes = passes
        self.seen: list[int] = []
        self.discarded: list[str] = []

    def simulate(self, dataset: Any, apply: Any, *, author: Any, mutation_id: str) -> Simulation:
        tables = self.lake._parts.tables
        view = tables.open(dataset)
        assert view is not None
        copy = replace(dataset, location=f"workspaces/{mutation_id}/staff", dataset_id="w")
        tables.append(copy, view.delta.to_pyarrow_table(), author=author)
        result = apply(copy, replace(author, workspace_id="w1"))
        assert result.committed
        after = tables.open(copy)
        assert after is not None
        self.seen.append(after.row_count)
        check = {"name": "rows", "passed": self.passes, "text": f"{after.row_count} rows"}
        return Simulation(passed=self.passes, workspace="w1", checks=(check,))

    def discard(self, workspace: str) -> None:
        self.discarded.append(workspace)


@pytest.fixture(params=[True, False], ids=["passes", "fails"])
def copies(lake: Lake, request: pytest.FixtureRequest) -> Copies:
    """A simulator in the lake."""
    simulator = Copies(lake, request.param)
    join(lake, simulator=simulator)
    return simulator


def test_a_simulated_change(lake: Lake, copies: Copies) -> None:
    """What passes waits, with its checks; what fails is refused, with its reason."""
    rows = iter([{"id": "e8", "salary": 8}, {"id": "e9", "salary": 9}])
    if not copies.passes:
        with pytest.raises(Refused, match="rows: 6 rows"):
            lake.insert("staff", rows, tier="sim")
        assert (lake.pending(), copies.discarded) == ([], ["w1"])
        assert decisions(lake) == [("refused", "ada")]
        return
    change = lake.insert("staff", rows, tier="sim")
    assert (change.held, change.tier, copies.seen, len(salaries(lake))) == (True, "sim", [6], 4)
    simulation = lake.pending_change(change.mutation_id).body["simulation"]
    assert (simulation["workspace"], simulation["passed"]) == ("w1", True)
    assert lake.approve(change.mutation_id).inserted == 2
    assert copies.discarded == ["w1"]
