"""Search and refactor signals by the command line, over two iterations and a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.model_server import oracle
from tests.integration.test_review import PATHS, Desk
from tests.unit.review.repositories import mended


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with oracle() as model:
        yield Desk(tmp_path, model)


def searched(desk: Desk, term: str, *more: str, exit_code: int = 0) -> list[dict[str, Any]]:
    told = desk("--json", "review", "search", term, *more, exit_code=exit_code)
    return list(json.loads(told.stdout)) if not exit_code else []


def test_terms_and_signals(desk: Desk) -> None:
    """A symbol leads to its finding, as it stands; a churned file with an open one is named."""
    for turn in range(4):
        text = desk.project.read(PATHS[1])
        desk.project.write(PATHS[1], f"{text}\n\ndef later_{turn}(rule):\n    return rule\n")
        desk.commit()
    desk.json("run", exit_code=1)
    [hit] = searched(desk, "check_0_0", "--kind", "finding")
    assert (hit["path"], hit["state"]) == (PATHS[0], "new")
    assert hit["why"][0]["reason"] == "is the symbol"
    desk.project.write(PATHS[0], mended(desk.project.read(PATHS[0])))
    desk.commit()
    desk.json("run", exit_code=1)
    [hit] = searched(desk, "check_0_0", "--kind", "finding")
    assert hit["state"] == "confirmed_fixed"
    kinds = {one["kind"] for one in searched(desk, "rules_0")}
    assert kinds == {"file", "finding", "review"}
    assert len(searched(desk, "rules", "--limit", "3")) == 3
    assert searched(desk, "check_0_0", "--name", "another") == []
    searched(desk, "?!", exit_code=2)
    [signal] = desk.json("refactor")
    assert (signal["kind"], signal["path"]) == ("churn", PATHS[1])
    assert "severe findings open" in signal["reason"]
