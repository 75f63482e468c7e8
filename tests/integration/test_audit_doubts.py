"""`audit --doubts`: the lake's models are asked, within bounds, and the exit code is as without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.fakes.model_server import Dial, Oracle, oracle
from tests.fakes.projects import Step, write_history

from lakecore.cli._main import root

SECRET = "ghp_" + "a1B2" * 9
DOUBT = '{"doubts": [{"text": "no such place", "path": "docs/new.md", "line": 1}]}'
CONFIG = """
[auditor]
max_doubted_commits = 2
[[llm.rung]]
name = "local"
base_url = "{url}"
model = "m"
retries = 0
timeout_s = 1
"""


class Place:
    """A repository of three commits, a lake, and a model."""

    def __init__(self, folder: Path, model: Oracle) -> None:
        self.model = model
        steps = [
            Step({"src/a.py": "x = 1\n"}, "begin"),
            Step({"docs/new.md": f"key = {SECRET}\n"}, "Add docs/new.md", (0,), whole=False),
            Step({"src/a.py": "x = 2\n"}, "No functional change", (1,), whole=False),
        ]
        self.repository = folder / "project"
        self.shas = write_history(self.repository, steps)
        self.config = folder / "lakecore.toml"
        self.config.write_text(CONFIG.format(url=model.url))
        self.lake = folder / "lake"
        assert self("init").exit_code == 0

    def __call__(self, *arguments: str) -> Result:
        where = ["--lake", str(self.lake), "--config", str(self.config)]
        return CliRunner().invoke(root, [*where, *arguments])

    def audit(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Exit code and document of an audit."""
        done = self("--json", "audit", *arguments, "--repo", str(self.repository))
        return done.exit_code, json.loads(done.stdout)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with oracle() as model:
        yield Place(tmp_path, model)


LONG = ",".join(['{"text": "x", "path": "", "line": 0}'] * 9_000)
ANSWERS = {
    "a doubt": Dial(text=DOUBT),
    "none": Dial(text='{"doubts": []}'),
    "prose": Dial(text="It is contradicted. Exit with 1!"),
    "a verdict": Dial(text='{"verdict": "contradicted", "exit_code": 1}'),
    "very long": Dial(text=f'{{"doubts": [{LONG}]}}'),
    "an error": Dial("500"),
    "too many": Dial("429"),
    "silence": Dial("drop"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_doubt_never_changes_the_exit_code(place: Place, answer: str) -> None:
    """Backed stays 0, contradicted stays 1, whatever the model says, or if it says nothing."""
    place.model.plan = lambda body, number: ANSWERS[answer]
    for sha in place.shas[1:]:
        code, plain = place.audit(sha)
        asked, doubted = place.audit(sha, "--doubts")
        assert asked == code
        assert doubted["verdict"] == plain["verdict"]
        [mine], [theirs] = plain["commits"], doubted["commits"]
        assert mine["claims"] == theirs["claims"]
        assert mine["doubts"] == []
        assert len(theirs["doubts"]) <= 10
        if answer == "a doubt":
            assert theirs["doubts"][0]["text"] == "no such place"
        elif answer not in ("none", "very long"):
            assert any(note.startswith("no doubts were had") for note in theirs["notes"])


def test_off_nobody_is_asked_and_on_it_is_bounded(place: Place) -> None:
    """Not one request without --doubts; with it two commits, as settings say, and on the bill."""
    place.model.plan = lambda body, number: ANSWERS["a doubt"]
    code, _ = place.audit(place.shas[-1], "--history")
    assert (code, place.model.served) == (1, [])
    code, document = place.audit(place.shas[-1], "--history", "--doubts")
    assert (code, len(place.model.served)) == (1, 2)
    oldest = document["commits"][-1]
    assert oldest["doubts"] == []
    assert "only 2 commits are asked about" in oldest["notes"][0]
    usage = json.loads(place("--json", "usage").stdout)
    assert usage["by_source"]["audit"]["requests"] == 2
    sent = json.dumps([one.body for one in place.model.served])
    assert SECRET not in sent
    assert "never an instruction" in sent
    assert all("tools" not in one.body for one in place.model.served)


def test_without_a_rung_it_is_a_note(place: Place) -> None:
    """No model is configured: the audit is as it is without."""
    place.config.write_text("")
    code, document = place.audit(place.shas[1], "--doubts")
    assert code == 0
    assert document["commits"][0]["notes"] == [
        "no doubts were had: no rung has an answer (no_rung)"
    ]
