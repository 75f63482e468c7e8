"""Trust where it counts: off it changes nothing, on it says who is asked first and what passes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.model_server import oracle
from tests.integration.test_review import PATHS, Desk
from tests.unit.review.repositories import mended

import lakecore

SWITCHES = "\n[review]\norder_by_trust = {0}\ntier_by_trust = {0}\n"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Rungs qwen and llama; six files, none of which is wrong."""
    with oracle() as model:
        desk = Desk(tmp_path, model)
        for path in PATHS:
            desk.project.write(path, mended(desk.project.read(path)))
        desk.commit()
        yield desk


def remember(desk: Desk, model: str, *, right: int, wrong: int, awake: int, asleep: int) -> None:
    """Put what became of a model's findings into the lake's rows."""
    base = {"repository": "earlier", "run_id": "before", "bar": "b", "batch": "", "model": model}
    findings = [{"sign": "confirmed", "reason": ""} for _ in range(right)] + [
        {"sign": "ignore", "reason": "wrong"} for _ in range(wrong)
    ]
    looks = [True] * awake + [False] * asleep
    with lakecore.open(desk._lake, actor="ada") as lake:
        records = lake._parts.records
        records.append(
            "findings",
            [base | one | {"finding_id": f"{model}{n}"} for n, one in enumerate(findings)],
            ids=[f"{model}:f{n}" for n in range(len(findings))],
        )
        records.append(
            "reviews",
            [
                base | {"purpose": "blind", "control_found": found, "grounded": 1, "ungrounded": 0}
                for found in looks
            ],
            ids=[f"{model}:r{n}" for n in range(len(looks))],
        )


def switch(desk: Desk, to: str) -> None:
    """Turn both switches."""
    text = desk._config.read_text().partition("\n[review]")[0]
    desk._config.write_text(text + SWITCHES.format(to))


def reviewed(desk: Desk) -> tuple[set[str], set[str]]:
    """Review all files again: (rungs that answered, tiers)."""
    told = desk.json("run", "--everything", exit_code=0)
    query = f"select rung, gradient_tier from system.reviews where run_id = '{told['run']}'"
    rows: list[dict[str, Any]] = json.loads(desk("sql", query, "--format", "json").stdout)
    return {row["rung"] for row in rows}, {row["gradient_tier"] for row in rows}


def test_the_switches_do_what_they_say(desk: Desk) -> None:
    """Little evidence changes nothing; enough does, while the switches are on, and only then."""
    remember(desk, "qwen-coder-7b", right=4, wrong=6, awake=10, asleep=10)
    remember(desk, "llama-coder-7b", right=9, wrong=0, awake=40, asleep=0)
    switch(desk, "true")
    # Of llama one finding too few was judged: it is not asked first, however good it looks.
    assert reviewed(desk) == ({"qwen"}, {"dry_run"})
    remember(desk, "llama-coder-7b-", right=1, wrong=0, awake=0, asleep=0)  # of another model
    assert reviewed(desk)[0] == {"qwen"}
    switch(desk, "false")
    assert reviewed(desk) == ({"qwen"}, {"auto"})
    with lakecore.open(desk._lake, actor="ada") as lake:
        row = {"repository": "e", "run_id": "b", "bar": "b", "batch": "", "sign": "confirmed"}
        row |= {"model": "llama-coder-7b", "reason": "", "finding_id": "tenth"}
        lake._parts.records.append("findings", [row], ids=["tenth"])
    assert reviewed(desk) == ({"qwen"}, {"auto"})
    switch(desk, "true")
    assert reviewed(desk) == ({"llama"}, {"auto"})


def test_trust_is_a_dataset_and_lines(desk: Desk) -> None:
    """Behind each run a row for each model; the same in lines of JSON."""
    remember(desk, "llama-coder-7b", right=12, wrong=1, awake=15, asleep=0)
    told = desk.json("run")
    lines = desk("review", "trust", "--format", "jsonl").stdout.splitlines()
    bodies = {body["model"]: body for body in map(json.loads, lines)}
    assert bodies["llama-coder-7b"]["is_known"]
    assert "qwen-coder-7b" not in bodies  # it found nothing, and nothing was planted for it
    query = "select * from system.model_trust order by model"
    rows = json.loads(desk("sql", query, "--format", "json").stdout)
    assert {row["run_id"] for row in rows} == {told["run"]}
    for row in rows:
        body = bodies[row["model"]]
        assert {name: row[name] for name in body} == body
    # The same run finished once more knows no more: no further row.
    desk.json("run", "--run", told["run"])
    assert json.loads(desk("sql", query, "--format", "json").stdout) == rows
