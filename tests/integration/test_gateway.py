"""The gateway over real sockets: every room, in its callers' names."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.gateways import Served, good, serving, slug

import lakecore

RULES = """
name = "fleet"

[[rule]]
id = "seats-within-reason"
task_class = ["insert", "upsert", "update"]
when = { field_greater = { path = "after.seats", value = 853 } }
action = "deny"
message = "no plane has more than 853 seats"
[[rule.test]]
context = { after = { seats = 8530 } }
expect = "fired"

[[tier]]
principal = "agent:*"
auto = { rows = 1 }
dry_run = { rows = 100 }
"""
EVENT = {"entity_type": "plane", "entity_id": "N1", "action": "inspect", "dataset": "planes"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake with three planes, behind keys."""
    with serving(tmp_path_factory.mktemp("gateway")) as served:
        yield served


# -- asking -----------------------------------------------------------------------------

QUESTION = {"sql": "select tailnum, seats from planes order by tailnum limit 3"}


def test_rows_come_in_every_form(served: Served) -> None:
    """The same rows as JSON, NDJSON, CSV, Arrow and Parquet."""
    rows = served.lake.sql(QUESTION["sql"]).to_pylist()

    def ask(accept: str) -> httpx.Response:
        answer = served.client.post("/query/sql", json=QUESTION, headers={"Accept": accept})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].partition(";")[0] == accept
        return answer

    document = ask("application/json").json()
    assert document["items"] == rows
    assert [column["name"] for column in document["columns"]] == ["tailnum", "seats"]
    assert (document["next"], document["truncated"]) == (None, False)
    assert [json.loads(line) for line in ask("application/x-ndjson").text.splitlines()] == rows
    assert ask("text/csv").text.splitlines()[0] == "tailnum,seats"
    stream = ask("application/vnd.apache.arrow.stream").content
    assert pa.ipc.open_stream(stream).read_all().to_pylist() == rows
    parquet = ask("application/vnd.apache.parquet").content
    assert pq.read_table(io.BytesIO(parquet)).to_pylist() == rows


def test_a_question_has_parameters_and_a_limit(served: Served) -> None:
    """Values by name; what the limit cuts off is said."""
    asked = {
        "sql": "select * from planes where seats >= $least",
        "params": {"least": 1},
        "limit": 1,
    }
    found = good(served.client.post("/query/sql", json=asked))
    assert (len(found["items"]), found["truncated"]) == (1, True)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"sql": "drop table planes"}, 403),
        ({"sql": "select * from nothing"}, 404),
        ({"sql": "selec"}, 422),
        ({"sql": "select * from '/etc/passwd'"}, None),
        ({"sql": "copy planes to '/tmp/x'"}, None),
        ({"sql": "set datafusion.execution.batch_size = 1"}, None),
        ({"sql": "select 1", "limit": -1}, 422),
        ({"sql": "select 1", "limit": "1"}, 400),
        ({"sql": "select 1", "lmit": 1}, 400),
        ({}, 400),
        ([], 400),
        ({"sql": "select 1 from generate_series(1,1)", "timeout_s": -1}, 422),
    ],
)
def test_bad_questions_are_problems(served: Served, body: Any, status: int | None) -> None:
    """Whatever is asked: an answer of the 400s, and nothing is read or changed."""
    answer = served.client.post("/query/sql", json=body)
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert answer.status_code == status if status else 400 <= answer.status_code < 500


def test_a_form_that_there_is_not(served: Served) -> None:
    """406 says which there are."""
    answer = served.client.post("/query/sql", json=QUESTION, headers={"Accept": "image/png"})
    assert slug(answer, 406) == "not-acceptable"


def test_sql_sees_what_the_key_may_read(served: Served) -> None:
    """Other tables are refused, by any way to name them, and are not listed."""
    served.lake.create("hr.staff", key=["id"])
    served.lake.insert("hr.staff", [{"id": 1, "name": "zoe"}])
    client = served.as_("reader", "read:planes")
    assert good(client.post("/query/sql", json=QUESTION))["items"]
    for sql in (
        "select * from hr.staff",
        "select * from as_of('hr.staff', 0)",
        'select * from hr."staff@0"',
        "select * from history('hr.staff', 1)",
        "select * from changes('hr.staff')",
        "select * from planes, hr.staff",
        "select (select max(name) from hr.staff)",
        "select * from system.journal",
        "select * from system.keys",
        "describe hr.staff",
    ):
        answer = client.post("/query/sql", json={"sql": sql})
        assert answer.status_code in (403, 404), (sql, answer.text)
        assert "zoe" not in answer.text
    listed = good(client.post("/query/sql", json={"sql": "show tables"}))
    assert "staff" not in json.dumps(listed)
    # The same text was asked by somebody who may: what is kept of it is not for others.
    text = {"sql": "select name from hr.staff"}
    assert good(served.client.post("/query/sql", json=text))["items"] == [{"name": "zoe"}]
    assert client.post("/query/sql", json=text).status_code == 403


def test_a_reader_that_leaves_ends_its_query(served: Served) -> None:
    """The pool is free again soon after many were broken off."""
    endless = {"sql": "select a.value from generate_series(1, 100000000) a"}
    headers = {"Accept": "application/x-ndjson"}
    for _ in range(20):
        with served.client.stream("POST", "/query/sql", json=endless, headers=headers) as answer:
            if answer.status_code != 200:
                pytest.fail(answer.read().decode())
            next(answer.iter_bytes())
    began_s = time.monotonic()
    assert good(served.client.post("/query/sql", json=QUESTION))["items"]
    assert time.monotonic() - began_s < 10


# -- the catalog, files, changes ----------------------------------------------------------


def upload(client: httpx.Client, text: str, name: str = "rows.csv", **form: Any) -> httpx.Response:
    """A file into a dataset."""
    return client.post("/ingest/file", files={"file": (name, text)}, data=form)


def test_a_file_becomes_a_dataset(served: Served) -> None:
    """Described and listed for who may read it, dropped by who may."""
    client = served.as_("loader", "write:airports", "read:airports")
    made = good(upload(client, "id,name\n1,EWR\n2,JFK\n", dataset="airports", key="id"))
    assert (made["inserted"], made["file"]) == (2, "rows.csv")
    again = good(upload(client, "id,name\n1,EWR\n2,JFK\n", dataset="airports"))
    assert again["duplicate_of"] == made["version"]
    listed = good(client.get("/catalog/datasets"))["items"]
    assert [entry["name"] for entry in listed] == ["airports"]
    described = good(client.get("/catalog/datasets/airports"))
    assert (described["rows"], described["key"]) == (2, ["id"])
    assert slug(client.get("/catalog/datasets/planes"), 403) == "refused"
    assert client.delete("/catalog/datasets/airports").status_code == 403
    assert good(served.client.delete("/catalog/datasets/airports"))["state"] == "dropped"
    assert slug(served.client.get("/catalog/datasets/airports"), 404) == "not-found"


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"dataset": "other"}, 403),
        ({"dataset": "../../etc"}, 403),
        ({"dataset": "cargo", "mode": "strange"}, 422),
        ({"dataset": "cargo", "strange": "x"}, 422),
        ({}, 422),
    ],
)
def test_bad_uploads(served: Served, form: dict[str, str], status: int) -> None:
    """Nothing is made of them."""
    client = served.as_("loader", "write:cargo")
    assert upload(client, "id\n1\n", name="../../x.csv", **form).status_code == status


def test_a_change_is_made_in_the_keys_name(served: Served) -> None:
    """Insert, update, delete, restore; history names who, by which key, why."""
    client = served.as_("agent:tidy", "read:planes", "write:planes")
    url = "/datasets/planes/mutations"
    rows = [{"tailnum": "N9", "seats": 9}]
    assert good(client.post(url, json={"op": "insert", "rows": rows}))["inserted"] == 1
    asked = {"op": "update", "where": "tailnum = 'N9'", "set": {"seats": 8}, "reason": "counted"}
    made = good(client.post(url, json=asked))
    assert (made["updated"], made["committed"], made["held"]) == (1, True, False)
    last = served.lake.history("planes", "N9")[-1]
    context = json.loads(last.context)
    assert (last.actor, context["reason"]) == ("agent:tidy", "counted")
    assert context["key_id"]
    undone = good(client.post(f"/mutations/{made['mutation_id']}/revert", json={}))
    assert undone["updated"] == 1
    assert good(client.post(url, json={"op": "delete", "keys": ["N9"]}))["deleted"] == 1
    restored = good(client.post(url, json={"op": "restore", "version": made["version"]}))
    assert restored["inserted"] == 1
    stranger = served.as_("stranger", "write:hr.*")
    answer = stranger.post(f"/mutations/{made['mutation_id']}/revert", json={})
    assert slug(answer, 403) == "refused"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"op": "update", "set": {"seats": 1}}, 422),
        ({"op": "update", "where": "true"}, 422),
        ({"op": "insert"}, 422),
        ({"op": "insert", "rows": [], "where": "true"}, 422),
        ({"op": "drop"}, 400),
        ({"op": "insert", "rows": [7]}, 400),
        ({"op": "insert", "rows": [{"tailnum": "N1"}], "actor": "ada"}, 400),
        ({"op": "delete", "where": "1 = (select 1 from hr.staff)"}, None),
    ],
)
def test_bad_changes_are_problems(served: Served, body: Any, status: int | None) -> None:
    """And the table is as it was."""
    before = served.lake.dataset("planes"), served.lake.describe("planes")["version"]
    answer = served.client.post("/datasets/planes/mutations", json=body)
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert answer.status_code == status if status else 400 <= answer.status_code < 500
    assert (served.lake.dataset("planes"), served.lake.describe("planes")["version"]) == before


def test_a_writer_that_may_not_read_sees_no_rows(served: Served) -> None:
    """What a preview shows of rows is for readers."""
    body = {"op": "update", "set": {"seats": 1}, "all": True, "tier": "preview"}
    url = "/datasets/planes/mutations"
    assert good(served.client.post(url, json=body))["changes"]
    assert good(served.as_("blind", "write:planes").post(url, json=body))["changes"] == []


def test_the_same_change_again_is_one_change(served: Served) -> None:
    """The first answer again, also of many at a time; another request by that key is refused."""
    url, headers = "/datasets/planes/mutations", {"Idempotency-Key": "order-66"}
    body = {"op": "insert", "rows": [{"tailnum": "N66", "seats": 66}]}

    def post(_: int) -> httpx.Response:
        return served.client.post(url, json=body, headers=headers)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(post, range(8)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    last = served.client.post(url, json=body, headers=headers)
    assert last.headers["idempotent-replayed"] == "true"
    made = {answer.text for answer in [*answers, last] if answer.status_code == 200}
    assert len(made) == 1
    assert json.loads(made.pop())["inserted"] == 1
    other = {"op": "insert", "rows": [{"tailnum": "N67", "seats": 66}]}
    answer = served.client.post(url, json=other, headers=headers)
    assert slug(answer, 422) == "idempotency-key-reused"
    assert len(served.lake.history("planes", "N66")) == 1


def test_a_change_that_failed_may_be_tried_again(served: Served) -> None:
    """A refusal is no answer that is kept."""
    url, headers = "/datasets/berths/mutations", {"Idempotency-Key": "again-1"}
    body = {"op": "insert", "rows": [{"id": 1}]}
    assert served.client.post(url, json=body, headers=headers).status_code == 404
    served.lake.create("berths", key="id")
    assert good(served.client.post(url, json=body, headers=headers))["inserted"] == 1


def test_an_answer_that_was_lost_is_found_in_the_journal(served: Served) -> None:
    """A process that dies behind the commit: the same request again is told of the change."""
    from lakecore.base import uuid8
    from lakecore.gateway._requests import Answer, Requests

    url = "/datasets/planes/mutations"
    body = {"op": "insert", "rows": [{"tailnum": "N77", "seats": 7}]}
    headers = {"Idempotency-Key": "lost-1"}
    good(served.client.post(url, json=body, headers=headers))
    mutation_id = uuid8("http", "ada", "lost-1")
    assert served.lake.history("planes", "N77")[0].mutation_id == mutation_id
    requests = Requests(None)

    class Killed(BaseException):
        """The process ends here."""

    def make() -> Answer:
        raise Killed

    with pytest.raises(Killed):
        requests.run(mutation_id, b"f", make, lambda: None)
    found = requests.run(mutation_id, b"f", make, lambda: Answer.of("found"))
    assert found.body == b'"found"'
    assert requests.run(mutation_id, b"f", make, lambda: None).is_again


# -- rules, approvals, workspaces, keys -----------------------------------------------------


def test_a_person_approves_what_an_agent_proposed(tmp_path: Path) -> None:
    """The story: rules, a key for an agent, a proposal, an approval; history names both."""
    with serving(tmp_path) as served:
        ada = served.client
        applied = good(ada.put("/truth/rules", json={"toml": RULES, "reason": "safety"}))
        assert applied["changed"]
        assert good(ada.get("/truth/rules"))["version"] == applied["version"]
        context = {"after": {"seats": 8530}}
        task = {"task_class": "update", "context": context}
        assert good(ada.post("/truth/evaluate", json=task))["action"] == "deny"
        assert good(ada.post("/truth/check", json=task))["items"][0]["rule_id"]
        scopes = ["read:planes", "write:planes"]
        made = good(ada.post("/keys", json={"principal": "agent:tidy", "scopes": scopes}), 201)
        agent = served.with_headers({"X-API-Key": made["key"]})
        url = "/datasets/planes/mutations"
        bad = {"op": "update", "keys": ["N10156"], "set": {"seats": 5500}}
        refused = agent.post(url, json=bad)
        assert slug(refused, 403) == "refused"
        assert "no plane has more than 853 seats" in refused.text
        body = {"op": "update", "where": "seats = 182", "set": {"seats": 180}}
        held = good(agent.post(url, json=body), 202)
        change = held["mutation_id"]
        waiting = good(ada.get("/pending"))["items"]
        assert [one["id"] for one in waiting] == [change]
        assert len(good(ada.get(f"/pending/{change}"))["diff"]) == 2
        assert agent.post(f"/pending/{change}/approve", json={}).status_code == 403
        approved = good(ada.post(f"/pending/{change}/approve", json={"reason": "right"}))
        assert (approved["updated"], approved["committed"]) == (2, True)
        last = served.lake.history("planes", "N102UW")[-1]
        told = json.loads(last.context)
        assert last.actor == "agent:tidy"
        assert "ada" in json.dumps(told)
        again = good(
            agent.post(url, json={**body, "where": "seats = 180"} | {"set": {"seats": 1}}), 202
        )
        rejected = good(ada.post(f"/pending/{again['mutation_id']}/reject", json={"reason": "no"}))
        assert rejected["state"] == "rejected"
        assert good(ada.get("/verify"))["status"] in ("green", "inconclusive")


def test_a_workspace_is_merged(tmp_path: Path) -> None:
    """Made, changed, compared, merged; conflicts are a problem."""
    with serving(tmp_path) as served:
        client = served.client
        assert good(client.post("/workspaces", json={"name": "recount"}), 201)["state"] == "open"
        assert slug(client.post("/workspaces", json={"name": "recount"}), 409) == "already-exists"
        body = {"op": "update", "keys": ["N10156"], "set": {"seats": 50}, "workspace": "recount"}
        assert good(client.post("/datasets/planes/mutations", json=body))["updated"] == 1
        assert served.lake.sql("select max(seats) m from planes").to_pylist() == [{"m": 182}]
        diff = good(client.get("/workspaces/recount/diff"))["datasets"]["planes"]
        assert ([row["new_value"] for row in diff["items"]], diff["more"]) == (["50"], False)
        main = {"op": "update", "keys": ["N10156"], "set": {"seats": 51}}
        good(client.post("/datasets/planes/mutations", json=main))
        assert client.post("/workspaces/recount/merge", json={}).status_code == 409
        merged = good(client.post("/workspaces/recount/merge", json={"on_conflict": "ours"}))
        assert merged["state"] == "merged"
        assert good(client.get("/workspaces"))["items"] == []
        assert served.lake.entity("planes", "N10156") == {"tailnum": "N10156", "seats": 50}
        event = served.lake.history("planes", "N10156")[-1]
        assert (event.actor, json.loads(event.context)["key_id"] is not None) == ("ada", True)
        assert good(client.post("/reconcile", json={}))["ok"]


def test_keys_are_made_rotated_and_revoked(served: Served) -> None:
    """The text is in one answer; lists and problems have none of it."""
    client = served.client
    made = good(client.post("/keys", json={"principal": "svc", "scopes": ["read:*"]}), 201)
    new = good(client.post(f"/keys/{made['id']}/rotate", json={"overlap_s": 60.0}), 201)
    for key in (made, new):
        answer = httpx.get(f"{served.url}/ready", headers={"X-API-Key": key["key"]})
        assert answer.status_code == 200
    listed = client.get("/keys", params={"limit": 1_000})
    secret = made["key"].split("_")[2]
    assert secret not in listed.text
    assert {made["id"], new["id"]} <= {key["id"] for key in good(listed)["items"]}
    assert good(client.delete(f"/keys/{new['id']}"))["revoked_us"]
    answer = httpx.get(f"{served.url}/ready", headers={"X-API-Key": new["key"]})
    assert slug(answer, 401) == "unauthenticated"
    wrong = client.delete(f"/keys/{made['key']}")
    assert secret not in wrong.text


# -- the process ----------------------------------------------------------------------------


def test_up_seals_at_the_end(tmp_path: Path) -> None:
    """`lakecore up`: ready soon; SIGTERM ends a tail, lets requests end, and seals."""
    environ = {**os.environ, "LAKECORE_JOURNAL__SEAL_INTERVAL_S": "3600"}
    command = [sys.executable, "-c", "from lakecore.cli import main; main()"]
    lake = tmp_path / "lake"
    with subprocess.Popen(
        [*command, "--lake", str(lake), "up", "--port", "0"],
        stderr=subprocess.PIPE,
        env=environ,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            url = process.stderr.readline().split()[-1]
            assert "NO KEY IS ASKED FOR" in process.stderr.readline()
            httpx.post(f"{url}/journal/events", json=EVENT).raise_for_status()
            opened = threading.Event()

            def read_tail() -> None:
                with httpx.stream("GET", f"{url}/journal/tail", timeout=30) as answer:
                    for _ in answer.iter_lines():
                        opened.set()

            reader = threading.Thread(target=read_tail)
            reader.start()
            assert opened.wait(10)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            reader.join(10)
            assert not reader.is_alive()
        finally:
            process.kill()
    with lakecore.open(lake) as opened_again:
        stats = opened_again.journal.stats()
        assert (stats["buffer_events"], stats["tree_size"] >= 1) == (0, True)


def test_other_addresses_always_ask_for_keys(tmp_path: Path) -> None:
    """Whatever the settings say, what others can reach is locked."""
    from lakecore.app import open_gateway

    with lakecore.open(tmp_path / "lake") as lake:
        gateway = open_gateway(lake, host="0.0.0.0", port=0)
        assert gateway.asks_for_keys
