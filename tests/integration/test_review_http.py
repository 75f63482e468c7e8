"""Reviews over HTTP: begun by name, read by their rows, ignored by a person; closed to others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.model_server import Dial, Oracle, oracle
from tests.fakes.oracle_models import OracleModels
from tests.gateways import Served, good, serving, slug
from tests.integration.test_review import RUNG
from tests.unit.review.repositories import Project, faulty, mended

from lakecore.review import Call

FILES = 3
PATHS = [f"src/rules_{n}.py" for n in range(FILES)]
READ = ("read:system.reviews", "read:system.findings")


class Door:
    """A gateway with one repository to review, and models that can be held up."""

    def __init__(self, served: Served, project: Project, model: Oracle) -> None:
        self.served = served
        self.client = served.client
        self.project = project
        self.oracle = OracleModels(clean=set())
        self.go_on = threading.Event()
        self.go_on.set()
        for number, path in enumerate(PATHS):
            project.write(path, faulty(number))
        self.commit()
        model.plan = self._plan

    def commit(self) -> None:
        """Commit, and tell the oracle what is meant to be there."""
        self.project.commit()
        for path in self.project.root.rglob("*.py"):
            self.oracle.clean |= {line.strip() for line in path.read_text().splitlines()}

    def _plan(self, body: dict[str, Any], number: int) -> Dial:
        system, user = (one["content"] for one in body["messages"][:2])
        call = Call(id=f"request:{number}", system=system, user=user)
        text = self.oracle._answer(call, body["model"].partition("-")[0])
        return Dial(text=text, delay_s=0.0 if self.go_on.is_set() else 1.0)

    def ended(self, run_id: str) -> Any:
        """A run, once it is over."""
        for _ in range(600):
            told = good(self.client.get(f"/review/runs/{run_id}"))
            if told["state"] != "running":
                return told
            time.sleep(0.1)
        raise AssertionError(told)

    def run(self, **asked: Any) -> Any:
        """A review to its end."""
        answer = self.client.post("/review/runs", json={"repository": "rules", **asked})
        return self.ended(good(answer, 202)["id"])


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """Served, by keys."""
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project")
    with oracle() as model:
        more = [RUNG.format(name=name, url=model.url) for name in ("qwen", "llama")]
        more.append(f'[[review.repository]]\nname = "rules"\npath = "{project.root}"\n')
        with serving(tmp_path, more="\n".join(more)) as served:
            yield Door(served, project, model)


def test_two_iterations(door: Door) -> None:
    """Begun by a name, followed by its id; files, findings, report and trust by their routes."""
    assert good(door.client.get("/review/files")) == {"items": [], "next": None}
    assert slug(door.client.get("/review/files/src/rules_0.py"), 404) == "not-found"
    first = door.run()
    assert (first["state"], first["exit_code"], first["reviewed"]) == ("ended", 1, FILES)
    assert [one["path"] for one in first["paths"]] == PATHS

    door.project.write(PATHS[0], mended(door.project.read(PATHS[0])))
    door.commit()
    second = door.run(everything=True)
    runs = good(door.client.get("/review/runs"))["items"]
    assert [one["id"] for one in runs] == [second["id"], first["id"]]
    assert [(one["iteration"], one["files"]) for one in runs] == [(2, 3), (1, 3)]

    page = good(door.client.get("/review/files", params={"limit": 2}))
    assert [one["path"] for one in page["items"]] == PATHS[:2]
    rest = good(door.client.get("/review/files", params={"limit": 2, "cursor": page["next"]}))
    assert ([one["path"] for one in rest["items"]], rest["next"]) == (PATHS[2:], None)

    one = good(door.client.get(f"/review/files/{PATHS[0]}"))
    assert (one["signal"], one["repository"]) == ("INSUFFICIENT", "rules")
    assert "2 of 4 reviews" in one["reason"]
    assert [row["iteration"] for row in one["iterations"]] == [1, 2]
    assert {row["score"] for row in one["iterations"]} == {7.0, 9.0}
    assert "answer" not in one["iterations"][0]
    assert [row["found"] for row in one["iterations"]] == [[one["findings"][0]["id"]], []]
    # Three pairs are no floor: the fix is claimed, not confirmed.
    assert [(f["state"], f["path"]) for f in one["findings"]] == [("claimed_fixed", PATHS[0])]

    asked = {
        "": 3,
        "state=claimed_fixed": 1,
        "state=all": 3,
        "severity=critical": 3,
        "severity=info": 0,
        f"path={PATHS[1]}": 1,
        "symbol=check_1_0": 1,
    }
    for query, count in asked.items():
        assert len(good(door.client.get(f"/review/findings?{query}"))["items"]) == count, query
    assert slug(door.client.get("/review/findings?state=odd"), 422) == "invalid-input"
    report = good(door.client.get("/review/report"))["items"]
    assert [(r["iteration"], r["reviewed"]) for r in report] == [(1, 3), (2, 3)]
    assert {m["model"] for m in good(door.client.get("/review/trust"))["items"]} == {
        "qwen-coder-7b"
    }
    assert good(door.client.get("/review/files?repository=rules&bar=" + one["bar"]))["items"]
    assert slug(door.client.get("/review/files?bar=none"), 404) == "not-found"


def test_a_finding_is_ignored_once(door: Door) -> None:
    """By who has the key; the same request again is the same answer."""
    door.run()
    finding = good(door.client.get("/review/findings"))["items"][0]["id"]
    client = door.served.as_("bo", *READ, "write:system.findings")
    body = {"reason": "wrong: by design", "until": "2100-01-01T00:00:00Z"}
    where = f"/review/findings/{finding}/ignore"
    head = {"Idempotency-Key": "one"}
    done = client.post(where, json=body, headers=head)
    assert (good(done)["state"], good(done)["who"]) == ("ignored", "bo")
    again = client.post(where, json=body, headers=head)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == done.json()
    rows = door.served.lake.sql("select * from system.findings where sign = 'ignore'").to_pylist()
    assert len(rows) == 1
    # As if the process had died behind the row and before its answer was kept.
    requests = door.served.gateway.app.state.rooms.requests
    with requests._open() as database:
        database.execute("update requests set status = null, body = null")
    assert good(client.post(where, json=body, headers=head)) == done.json()
    query = "select * from system.findings where sign = 'ignore'"
    assert len(door.served.lake.sql(query).to_pylist()) == 1
    assert len(good(door.client.get("/review/findings"))["items"]) == FILES - 1
    assert slug(client.post("/review/findings/none/ignore", json=body), 404) == "not-found"
    for wrong, status in (({}, 400), ({"reason": " "}, 422), (body | {"until": "soon"}, 422)):
        assert client.post(where, json=wrong).status_code == status
    reader = door.served.as_("eve", *READ)
    assert slug(reader.post(where, json=body), 403) == "refused"


def test_one_review_at_a_time(door: Door) -> None:
    """Of one repository and in all; never a path; the same request again is the same run."""
    post = door.client.post
    for name in ("none", str(door.project.root), "../project", "."):
        assert slug(post("/review/runs", json={"repository": name}), 404) == "not-found"
    assert post("/review/runs", json={"repository": "rules", "path": "/"}).status_code == 400
    assert post("/review/runs", json={"repository": "rules", "prompt": "/etc/passwd"}).status_code
    odd = {"repository": "rules", "revision": "no-such-thing"}
    assert slug(post("/review/runs", json=odd), 404) == "not-found"

    door.go_on.clear()
    head = {"Idempotency-Key": "one"}
    begun = good(post("/review/runs", json={"repository": "rules"}, headers=head), 202)
    assert begun["href"] == f"/review/runs/{begun['id']}"
    assert begun["state"] == "running"
    assert post("/review/runs", json={"repository": "rules"}).status_code in (409, 429)
    again = post("/review/runs", json={"repository": "rules"}, headers=head)
    assert (good(again, 202)["id"], again.headers["idempotent-replayed"]) == (begun["id"], "true")
    door.go_on.set()
    assert door.ended(begun["id"])["reviewed"] == FILES


def test_scopes(door: Door) -> None:
    """Both datasets to read; models to begin. What a key lacks is refused, not left out."""
    asks = [
        ("GET", "/review/runs"),
        ("GET", "/review/runs/x"),
        ("GET", "/review/files"),
        ("GET", "/review/files/a.py"),
        ("GET", "/review/findings"),
        ("GET", "/review/report"),
        ("GET", "/review/trust"),
    ]
    none = door.served.as_("none", "read:planes")
    half = door.served.as_("half", READ[0])
    for method, path in asks:
        assert door.served.with_headers().request(method, path).status_code == 401
        assert slug(none.request(method, path), 403) == "refused"
        assert slug(half.request(method, path), 403) == "refused"
    body = {"repository": "rules"}
    reader = door.served.as_("reader", *READ)
    assert slug(reader.post("/review/runs", json=body), 403) == "refused"
    spender = door.served.as_("spender", "model:*")
    assert slug(spender.post("/review/runs", json=body), 403) == "refused"
    both = door.served.as_("both", "model:*", *READ)
    begun = good(both.post("/review/runs", json=body), 202)
    assert begun["actor"] == "both"
    door.ended(begun["id"])
    usage = door.served.lake.sql("select distinct actor, source from system.usage").to_pylist()
    assert usage == [{"actor": "both", "source": "review"}]


def test_a_server_that_stops_asks_nothing_more(door: Door) -> None:
    """What is missing is asked when the run is finished by its id."""
    door.go_on.clear()
    begun = good(door.client.post("/review/runs", json={"repository": "rules", "workers": 1}), 202)
    desk = door.served.lake._parts.reviews
    desk._closing.set()
    door.go_on.set()
    first = door.ended(begun["id"])
    assert (first["exit_code"] in (1, 3), first.get("reviewed", 0) < FILES) == (True, True)
    desk._closing.clear()
    last = door.run(run=begun["id"])
    assert (last["id"], last["reviewed"], last["iteration"]) == (begun["id"], FILES, 1)
