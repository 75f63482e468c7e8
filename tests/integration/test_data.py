"""/data: what the views of reviews ask for, on an empty lake and a reviewed one, and for whom."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.gateways import Served, good, serving, slug
from tests.reviewed import REPOSITORY, ROUNDS, fill_reviews
from tests.unit.review.repositories import Project

from lakecore.telemetry import LogLines

PATHS = [
    ("src/<b>odd</b>.py", "looping"),
    ("src/a.py", "converging"),
    ("lib/b.py", "reopened"),
    ("lib/c.py", "plateau"),
]
READ = ("read:system.reviews", "read:system.findings")
SECRET = "lc_0123456789ab_" + "x" * 43 + "_000000"


@pytest.fixture(scope="module")
def lines() -> Iterator[LogLines]:
    """The log of the process that serves."""
    with LogLines(io.StringIO(), as_json=True) as made:
        yield made


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory, lines: LogLines) -> Iterator[Served]:
    """Four files over six iterations."""
    with serving(tmp_path_factory.mktemp("reviewed"), log=lines) as served:
        for name in ("reviews", "map", "metrics", "findings", "overrides", "scrum_log"):
            answer = served.client.get(f"/data/{name}")
            # Of no reviews there is no map; lists are empty, figures have no value.
            assert answer.status_code == (404 if name == "map" else 200), name
        fill_reviews(served.lake, PATHS, claim="<script>x</script>", quote="a < b")
        yield served


def get(served: Served, route: str, **params: Any) -> Any:
    """An answer that is well."""
    return good(served.client.get(f"/data/{route}", params=params))


def test_a_map_has_every_file(reviewed: Served) -> None:
    """Size, scores, class, and who needs a person; what is not known is null, and says why."""
    told = get(reviewed, "map")
    items = {one["path"]: one for one in told["items"]}
    assert set(items) == {path for path, _ in PATHS}
    loop = items["src/<b>odd</b>.py"]
    assert (loop["signal"], loop["need"]) == ("LOOPING", 5)
    assert (loop["lines"], loop["churn"]) == (None, None)
    assert "[[review.repository]]" in told["code"]
    assert len(loop["scores"]) == ROUNDS
    assert items["src/a.py"]["need"] == 0
    assert get(reviewed, "reviews")["items"][0]["repository"] == REPOSITORY
    assert len(get(reviewed, "reviews", repository=REPOSITORY)["items"]) == ROUNDS


def test_a_file_has_every_sign_and_what_was_asked(reviewed: Served) -> None:
    """Born, claimed, confirmed, reopened, in order; prompt, answer, what was read of it."""
    told = get(reviewed, "file", path="lib/b.py")
    states = [one["state"] for one in told["findings"][0]["signs"]]
    assert states == [
        "new",
        "claimed_fixed",
        "confirmed_fixed",
        "confirmed_fixed",
        "reopened",
        "persistent",
    ]
    assert told["noise"]["pairs"] >= 5
    asked = get(reviewed, "file", path="lib/b.py", run="run-2")
    first = asked["answers"][0]
    assert first["parsed"]["findings"][0]["quote"] in first["answer"]
    assert asked["prompt"].startswith("You audit one source file")
    assert asked["rungs"] == []
    only = reviewed.as_("eve", *READ)
    told = good(only.get("/data/file", params={"path": "lib/b.py", "run": "run-2"}))
    assert told["rungs"] is None  # what was spent is not theirs to see
    assert slug(reviewed.client.get("/data/file?path=none.py"), 404) == "not-found"
    assert slug(reviewed.client.get("/data/file?path=lib/b.py&run=no"), 404) == "not-found"


def test_a_figure_has_its_query_and_its_interval(reviewed: Served) -> None:
    """Whoever runs the query sees the same; no case is no value."""
    told = {one["name"]: one for one in get(reviewed, "metrics")["items"]}
    accepted = told["accepted"]["items"]
    assert {one["value"] for one in accepted} == {1.0}
    assert all(one["low"] < 1.0 and one["high"] == 1.0 for one in accepted)
    for one in told.values():
        with reviewed.lake.sql(one["source"]) as result:
            assert sum(row["n"] > 0 for row in result.to_pylist()) == len(
                [item for item in one["items"] if item["n"]]
            ), one["name"]
    [confirmed] = told["confirmed"]["items"]
    assert (confirmed["hits"], confirmed["n"]) == (2, 2)
    [reopened] = told["reopened"]["items"]
    assert (reopened["hits"], reopened["n"]) == (1, 2)
    assert sum(one["value"] for one in told["tiers"]["items"]) == pytest.approx(1.0)


def test_figures_of_nothing_have_no_value(tmp_path: Path) -> None:
    """Not 0: nobody was asked."""
    with serving(tmp_path) as served:
        for one in get(served, "metrics")["items"]:
            assert all(item["value"] is None for item in one["items"]), one["name"]


def test_lists_and_the_search(reviewed: Served) -> None:
    """Paged, by their filters."""
    assert len(get(reviewed, "findings", limit=2)["items"]) == 2
    assert get(reviewed, "findings", limit=2)["next"]
    kinds = {one["kind"] for one in get(reviewed, "refactor_signals")["items"]}
    assert {"looping", "reopened"} <= kinds
    assert [one["iteration"] for one in get(reviewed, "scrum_log")["items"]] == [6, 5, 4, 3, 2, 1]
    hits = get(reviewed, "search", term="check_2")["items"]
    assert hits[0]["path"] == "lib/b.py"
    finding = get(reviewed, "findings", path="lib/c.py")["items"][0]
    body = {"reason": "wrong: by design"}
    good(reviewed.client.post(f"/review/findings/{finding['id']}/ignore", json=body))
    [over] = get(reviewed, "overrides")["items"]
    assert (over["who"], over["reason"]) == ("ada", "wrong: by design")
    assert {one["name"] for one in get(reviewed, "services")["items"]} >= {"journal"}


def test_who_may_not_read_reviews_sees_none(reviewed: Served) -> None:
    """Both datasets, for every answer; the log of the process is for who may do everything."""
    half = reviewed.as_("bo", "read:system.reviews", "read:planes")
    names = ("reviews", "map", "metrics", "trust", "findings", "overrides", "scrum_log")
    for name in (*names, "refactor_signals", "search?term=a", "file?path=src/a.py"):
        assert slug(half.get(f"/data/{name}"), 403) == "refused", name
    for name in ("process", "events", "all"):
        assert slug(half.get(f"/data/logs/{name}"), 403) == "refused", name
    assert good(half.get("/data/services"))["logs"] == []
    events = reviewed.as_("cy", "read:system.events")
    assert slug(events.get("/data/logs/process"), 403) == "refused"
    assert slug(reviewed.client.get("/data/logs/other"), 404) == "not-found"


def batch(client: httpx.Client, path: str) -> Any:
    """The first batch of a log."""
    with client.stream("GET", path) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))
    raise AssertionError("it ended")


def test_lines_come_without_secrets(reviewed: Served, lines: LogLines) -> None:
    """Of the process and of programs; by level; no more of the past than a batch."""
    for number in range(1_200):
        level = "ERROR" if number == 1_199 else "INFO"
        lines.put("lakecore.test", level, f"line {number} {SECRET}", {"key": SECRET})
    told = batch(reviewed.client, "/data/logs/process")
    assert len(told["lines"]) == 1_000
    assert f"line {1_199}" in json.dumps(told)
    assert SECRET not in json.dumps(told)
    errors = batch(reviewed.client, "/data/logs/process?level=error")
    assert [one["message"][:9] for one in errors["lines"]] == ["line 1199"]
    event = {"source": "robot", "level": "warning", "message": f"said {SECRET}"}
    good(reviewed.client.post("/event", json=event), 202)
    reviewed.lake._parts.records.flush()
    told = batch(reviewed.client, "/data/logs/events")
    assert [one["service"] for one in told["lines"]] == ["robot"]
    assert SECRET not in json.dumps(told)


def test_where_the_repository_is_named_git_says_lines_and_churn(tmp_path: Path) -> None:
    """As of HEAD; a file that changed and has severe findings is a signal by itself."""
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project")
    for number in range(4):
        project.write("src/a.py", "x = 1\n" * (number + 1))
        project.write("src/b.py", "y = 1\n")
        project.commit()
    more = f'[[review.repository]]\nname = "{REPOSITORY}"\npath = "{project.root}"\n'
    with serving(tmp_path, more=more) as served:
        paths = [("src/a.py", "looping"), ("src/b.py", "plateau")]
        fill_reviews(served.lake, paths, claim="c", quote="q")
        told = get(served, "map")
        items = {one["path"]: one for one in told["items"]}
        assert told["code"] == "git"
        assert (items["src/a.py"]["lines"], items["src/a.py"]["churn"]) == (5, 4)
        assert items["src/b.py"]["churn"] == 1
        kinds = [one["kind"] for one in get(served, "refactor_signals")["items"]]
        assert kinds[0] == "churn"
