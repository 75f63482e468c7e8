"""A lake that agents, models and reviews worked on, for tests that look at it.

The models are an oracle behind real HTTP; runs, reviews, rules and doors are real.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.browser.lakes import HOSTILE, IS_FOR_PICTURES
from tests.fakes.model_server import Dial, Oracle, oracle
from tests.fakes.oracle_models import OracleModels
from tests.gateways import Served, good, serving
from tests.unit.review.repositories import Project, faulty, mended

from lakecore.review import Call


def task(plane: str, seats: int) -> str:
    """A task that the oracle knows how to carry out."""
    return f"{plane} has {seats} seats since it was refitted, says {HOSTILE}. Correct it."


RULES = """
[[rule]]
id = "agents-ask"
task_class = "update"
when = { field_equals = { path = "principal.kind", value = "agent" } }
action = "require_approval"
message = "what an agent changes is seen by a person first"
"""
SETTINGS = """
[search]
refresh_interval_s = 3600.0
[llm]
budget_run_usd = 0.25
[[llm.rung]]
name = "qwen"
base_url = "{url}"
model = "qwen-coder-7b"
prompt_usd_per_million = 1.0
completion_usd_per_million = 2.0
[[llm.rung]]
name = "llama"
base_url = "{url}"
model = "llama-coder-7b"
prompt_usd_per_million = 0.5
completion_usd_per_million = 1.0
[[review.repository]]
name = "rules"
path = "{path}"
"""
PATHS = ["src/fleet.py", "src/seats.py", f"src/{HOSTILE}.py"]
NOTES = [
    {"id": 1, "title": "Wide body twin jet", "text": f"A twin jet for long routes, {HOSTILE}"},
    {"id": 2, "title": "Regional jet", "text": "A small jet for short routes; **not** for oceans"},
    {"id": 3, "title": "Four engines", "text": "An old freighter with a cargo door in its nose"},
    {"id": 4, "title": "Turboprop", "text": "Short runways, and slower than any jet"},
]
_CLAIMS = (
    ("critical", "unenforced", f"accept_all() is called, so every rule passes; says {HOSTILE}"),
    ("major", "error-handling", "a rule without a level is compared with None and never applies"),
    ("minor", "contract", "the argument number is passed on and never looked at"),
)


class _Reviewer(OracleModels):
    """Each file has another finding, worded as people would."""

    def _finding(
        self, category: str, line: str, call: Call, severity: str = "critical"
    ) -> dict[str, object]:
        number = next((n for n in range(3) if f", {n})" in line), 0)
        severity, category, claim = _CLAIMS[number]
        told = {"severity": severity, "category": category, "claim": claim, "symbol": ""}
        return {**told, "quote": line.strip(), "confidence": 0.8}


@dataclass
class Worked:
    """The lake, its runs of agents, and the repository that was reviewed."""

    served: Served
    project: Project
    done: str
    waiting: str


@contextmanager
def worked_lake(folder: Path) -> Iterator[Worked]:
    """Notes with an index, two runs of an agent, two reviews; it asks for no keys."""
    (folder / "project").mkdir()
    project = Project(folder / "project")
    with oracle() as model:
        more = SETTINGS.format(url=model.url, path=project.root)
        with serving(folder, keys=False, more=more) as served:
            _index(served)
            _review(served, project, model)
            served.lake.truth.apply(RULES, actor="ada")
            runs = [_agent(served, "N10156", 60, True), _agent(served, "N103US", 190, False)]
            if IS_FOR_PICTURES:
                _past(served)
            yield Worked(served, project, *runs)


def _index(served: Served) -> None:
    lake = served.lake
    lake.create("notes", key="id", description="What the crews say")
    lake.insert("notes", NOTES, reason="first notes")
    kind = "hybrid" if IS_FOR_PICTURES else "text"
    lake.index.create("notes_text", "notes", ["title", "text"], kind=kind)
    lake.journal.seal()
    lake.index.create("changes", "system.journal", ["new_value", "context"], kind="text")
    lake.insert("notes", [{"id": 5, "title": "A jet", "text": "not indexed yet"}])


def _review(served: Served, project: Project, model: Oracle) -> None:
    reviewer = _Reviewer(clean=set())

    def plan(body: dict[str, Any], number: int) -> Dial:
        if body.get("tools"):
            return _refit(body)
        system, user = (one["content"] for one in body["messages"][:2])
        call = Call(id=f"request:{number}", system=system, user=user)
        return Dial(text=reviewer._answer(call, body["model"].partition("-")[0]))

    model.plan = plan
    for number, path in enumerate(PATHS):
        project.write(path, faulty(number))
    _commit(project, reviewer)
    run_review(served)
    project.write(PATHS[0], mended(project.read(PATHS[0])))
    _commit(project, reviewer)
    run_review(served)


def _commit(project: Project, reviewer: OracleModels) -> None:
    project.commit()
    for path in project.root.rglob("*.py"):
        reviewer.clean |= {line.strip() for line in path.read_text().splitlines()}


def run_review(served: Served) -> None:
    """A review of all files, to its end."""
    asked = {"repository": "rules", "everything": True}
    run = good(served.client.post("/review/runs", json=asked), 202)["id"]
    for _ in range(600):
        if good(served.client.get(f"/review/runs/{run}"))["state"] != "running":
            return
        time.sleep(0.1)
    raise AssertionError("the review does not end")


def _agent(served: Served, plane: str, seats: int, is_approved: bool) -> str:
    """A run that is approved and ends, or that waits."""
    lake = served.lake
    run = lake.run_agent(task(plane, seats), actor="agent:tidy")
    assert run.state.value == "waiting", run
    if is_approved:
        lake.approve(run.pending, actor="grace", reason="seen")
        run = lake.resume_agent(run.id)
        assert run.state.value == "done", run
    return run.id


def _refit(body: dict[str, Any]) -> Dial:
    """Look, propose, say what came of it."""
    texts = " ".join(str(one["content"]) for one in body["messages"])
    asked = re.search(r"(N\w+) has (\d+) seats", texts)
    assert asked is not None
    where = f"tailnum = '{asked[1]}'"
    said = [one for one in body["messages"] if one["role"] == "assistant"]
    if not said:
        return _wants("sql", query=f"select seats from planes where {where}")
    if len(said) == 1:
        change = {"dataset": "planes", "op": "update", "set": {"seats": int(asked[2])}}
        return _wants("propose_change", **change, where=where, reason="refitted")
    told = str(body["messages"][-1]["content"])
    return Dial(text="It is corrected." if "It was made" in told else "It is not.")


def _wants(name: str, **arguments: Any) -> Dial:
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": f"call-{name}", "type": "function", "function": function}
    return Dial(text="", message={"content": None, "tool_calls": [call]}, finish="tool_calls")


def _past(served: Served) -> None:
    """Days before today, for a picture of a month."""
    rows = []
    for ago in range(1, 30):
        day = (datetime.now(UTC) - timedelta(days=ago)).date().isoformat()
        busy = 0 if ago % 7 in (3, 4) else int(40 + 30 * math.sin(ago / 3) + 7 * (ago % 5))
        for rung, model, source, share in (
            ("qwen", "qwen-coder-7b", "review", 3),
            ("llama", "llama-coder-7b", "agent", 1),
        ):
            figures = (busy * share, busy * share, busy // 20, 0, 0)
            tokens = (busy * share * 2_100, busy * share * 240, busy * share * 2_600_000)
            rows.append((day, rung, model, source, "", "agent:tidy", *figures, *tokens))
    marks = ", ".join("?" * 14)
    served.lake.ladder._ledger.call(
        lambda db: db.executemany(f"INSERT INTO totals VALUES ({marks})", rows) and None
    )
