"""The review loop by the command line: a real repository, a real ladder, an oracle of models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.fakes.model_server import Dial, Oracle, oracle
from tests.fakes.oracle_models import OracleModels
from tests.unit.review.repositories import Project, faulty, mended

from lakecore.cli._main import root
from lakecore.review import Call

RUNG = """
[[llm.rung]]
name = "{name}"
base_url = "{url}"
model = "{name}-coder-7b"
prompt_usd_per_million = 1.0
completion_usd_per_million = 1.0
"""
PATHS = [f"src/rules_{n}.py" for n in range(6)]


class Desk:
    """The command line on one lake and one repository."""

    def __init__(self, folder: Path, model: Oracle) -> None:
        (folder / "project").mkdir()
        self.project = Project(folder / "project")
        self.model = model
        self.oracle = OracleModels(clean=set())
        for number, path in enumerate(PATHS):
            self.project.write(path, faulty(number))
        self._lake = folder / "lake"
        self._config = folder / "lakecore.toml"
        rungs = [RUNG.format(name=name, url=model.url) for name in ("qwen", "llama")]
        self._config.write_text("".join(rungs))
        model.plan = self._plan
        self("init")

    def __call__(self, *arguments: str, exit_code: int = 0) -> Result:
        where = ["--lake", str(self._lake), "--config", str(self._config)]
        result = CliRunner().invoke(root, [*where, *arguments])
        assert result.exit_code == exit_code, result.output
        return result

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        """What a review command prints as JSON."""
        repository = ["--repo", str(self.project.root)] if arguments[0] != "trust" else []
        whole = ["--json", "review", arguments[0], *repository, *arguments[1:]]
        return json.loads(self(*whole, exit_code=exit_code).stdout)

    def commit(self) -> None:
        """Commit, and tell the oracle what is meant to be there."""
        self.project.commit()
        for path in self.project.root.rglob("*.py"):
            self.oracle.clean |= {line.strip() for line in path.read_text().splitlines()}

    def _plan(self, body: dict[str, Any], number: int) -> Dial:
        system, user = (one["content"] for one in body["messages"][:2])
        family = body["model"].partition("-")[0]
        call = Call(id=f"request:{number}", system=system, user=user)
        return Dial(text=self.oracle._answer(call, family))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A repository of six files, each with one fault."""
    with oracle() as model:
        yield Desk(tmp_path, model)


def test_two_iterations(desk: Desk) -> None:
    """Estimated, reviewed, mended, confirmed; reported, exported, and on the bill."""
    desk.commit()
    plan = desk.json("run", "--estimate")
    assert (len(plan["files"]), plan["questions"]) == (6, 6)
    assert plan["cost_usd"]["qwen"] > 0
    first = desk.json("run", exit_code=1)
    assert (first["iteration"], len(first["blocking"]), first["confirmed"]) == (1, 6, 0)

    desk.project.write(PATHS[0], mended(desk.project.read(PATHS[0])))
    desk.commit()
    second = desk.json("run", exit_code=1)
    assert (second["iteration"], second["confirmed"]) == (2, 1)
    assert PATHS[0] not in second["blocking"]

    status = {row["path"]: row for row in desk.json("status")}
    assert status[PATHS[0]]["confirmed_score"] == status[PATHS[1]]["confirmed_score"] + 2
    reports = desk.json("report")
    assert [one["iteration"] for one in reports] == [1, 2]
    assert (reports[0]["structured"], reports[1]["movement"]["↑"]) == (6, 1)

    log = json.loads(
        desk("review", "findings", "--repo", str(desk.project.root), "--format", "sarif").stdout
    )
    assert len(log["runs"][0]["results"]) == 5
    [trusted] = [one for one in desk.json("trust") if one["confirmed"]]
    assert trusted["control_misses"] == 0

    usage = json.loads(desk("--json", "usage").stdout)
    assert usage["by_source"]["review"]["requests"] == usage["requests"] > 12
    rows = desk(
        "sql", "select count(*) n from system.reviews where purpose = 'blind'", "--format", "json"
    )
    assert json.loads(rows.stdout)[0]["n"] >= 2
    desk("verify", "--full")


def test_a_finding_is_ignored_by_a_person(desk: Desk) -> None:
    """By the beginning of its id; who and why are on record, and the gate passes."""
    for path in PATHS[1:]:
        desk.project.write(path, mended(desk.project.read(path)))
    desk.commit()
    desk.json("run", exit_code=1)
    [finding] = desk.json("findings")
    done = desk.json("ignore", finding["id"][:8], "--reason", "wrong: by design", "--actor", "bo")
    assert (done["state"], done["who"]) == ("ignored", "bo")
    assert desk.json("run")["reason"].startswith("6 files reviewed")
    assert [one["refuted"] for one in desk.json("trust")] == [1]
    repository = ["--repo", str(desk.project.root)]
    desk("review", "ignore", "ffff", "--reason", "x", *repository, exit_code=2)


def test_no_ladder_is_inconclusive(desk: Desk) -> None:
    """Without a rung nothing is green and nothing is lost."""
    desk.commit()
    desk._config.write_text("")
    told = desk.json("run", exit_code=3)
    assert (told["reviewed"], len(told["missing"])) == (0, 6)
