"""Canaries by the command line: too few runs, as it was, an alarm and its event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.model_server import Dial, oracle
from tests.integration.test_review import PATHS, Desk
from tests.unit.review.repositories import mended


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Six files, none of which is wrong."""
    with oracle() as model:
        desk = Desk(tmp_path, model)
        for path in PATHS:
            desk.project.write(path, mended(desk.project.read(path)))
        desk.commit()
        yield desk


def test_a_model_that_gets_worse_is_an_alarm(desk: Desk, tmp_path: Path) -> None:
    """Inconclusive until five runs set the limits; then 0, and 1 when recall falls to nothing."""
    folder = tmp_path / "canaries"
    making = ["--make", "--repo", str(desk.project.root), "--each", "2"]

    def run(exit_code: int, *more: str, rung: str = "qwen") -> dict[str, Any]:
        told = desk(
            *("--json", "review", "canary", str(folder), "--rung", rung, *more),
            exit_code=exit_code,
        )
        [body] = json.loads(told.stdout)
        return dict(body)

    first = run(3, *making)
    assert (first["state"], first["hits"], first["planted"], first["clean"]) == (
        "inconclusive",
        *(12, 12, 6),
    )
    for _ in range(4):
        run(3, *making)  # the set is there: it stays as it is
    assert run(0)["state"] == "as it was"
    # Another bar and another rung are other histories.
    assert run(3, "--temperature", "0.5")["earlier_runs"] == 0
    assert run(3, rung="llama")["earlier_runs"] == 0
    desk.oracle.recall = 0.0
    worse = run(1)
    assert (worse["state"], worse["recall"], len(worse["misses"])) == ("alarm", 0, 12)
    events = json.loads(
        desk(
            "sql", "select * from system.events where kind = 'canary_alarm'", "--format", "json"
        ).stdout
    )
    assert [(one["source"], one["level"]) for one in events] == [("review", "error")]
    rows = json.loads(desk("sql", "select * from system.canaries", "--format", "json").stdout)
    assert len(rows) == 9
    # Nobody answers: nothing is said of the model, and the row never sets a limit.
    model = desk.model
    model.plan = lambda body, number: Dial("503")
    silent = run(3)
    assert (silent["is_whole"], silent["state"]) == (False, "inconclusive")
