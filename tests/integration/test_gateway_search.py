"""/search over HTTP, by the client, on the command line and as a tool for agents."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from tests.gateways import Served, good, serving, slug

import lakecore
from lakecore.base import InvalidInput, NotFound, Refused
from lakecore.cli import root

NOTES = [
    {"id": 1, "text": "wide body twin jet", "seats": 300},
    {"id": 2, "text": "regional jet", "seats": 76},
    {"id": 3, "text": "four engines", "seats": 450},
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Notes, and an index of their words; refreshed every second."""
    more = "[search]\nrefresh_interval_s = 1.0\n"
    with serving(tmp_path_factory.mktemp("search"), more=more) as served:
        served.lake.create("notes", key="id")
        served.lake.insert("notes", NOTES)
        served.lake.index.create("words", "notes", "text", kind="text")
        yield served


def until(client: httpx.Client, name: str, **wanted: Any) -> dict[str, Any]:
    """The index, once it is so."""
    for _ in range(300):
        told: dict[str, Any] = good(client.get(f"/search/indexes/{name}"))
        if all(told[key] == value for key, value in wanted.items()):
            return told
        time.sleep(0.1)
    raise AssertionError(told)


def test_pages_of_what_is_found(served: Served) -> None:
    """With what the index covers; the cursor goes on where the page ended."""
    body = {"text": "jet", "limit": 1}
    first = good(served.client.post("/search/words", json=body))
    assert (first["dataset"], first["is_behind"], len(first["items"])) == ("notes", False, 1)
    second = good(served.client.post("/search/words", json={**body, "cursor": first["next"]}))
    assert {one["items"][0]["id"] for one in (first, second)} == {1, 2}
    assert second["next"] is None
    filtered = good(
        served.client.post("/search/words", json={"text": "jet", "where": "seats < 99"})
    )
    assert [item["id"] for item in filtered["items"]] == [2]


def test_what_is_found_comes_in_pieces(served: Served) -> None:
    """So that whoever draws it needs no marks, which may be in the text."""
    body = {"text": "jet", "where": "id = 2", "highlight": "parts"}
    pieces = good(served.client.post("/search/words", json=body))["items"][0]["_highlight"]
    assert pieces == [
        {"text": "regional ", "is_found": False},
        {"text": "jet", "is_found": True},
    ]
    marked = good(served.client.post("/search/words", json={**body, "highlight": True}))
    assert marked["items"][0]["_highlight"] == "regional **jet**"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"text": ""}, "invalid-input"),
        ({}, "invalid-input"),
        ({"text": "x", "limit": 1_001}, "invalid-input"),
        ({"text": "x", "vector": [1.0]}, "invalid-input"),
        ({"text": "x", "where": "no_such > 1"}, "invalid-input"),
        ({"text": "x", "cursor": "nonsense"}, "invalid-input"),
        ({"text": "x", "limits": 3}, "bad-request"),
        ({"text": 5}, "bad-request"),
    ],
)
def test_a_bad_question_is_a_problem(served: Served, body: dict[str, Any], found: str) -> None:
    """Never a 500: what was expected is in the answer."""
    status = 400 if found == "bad-request" else 422
    assert slug(served.client.post("/search/words", json=body), status) == found


def test_made_refreshed_dropped(served: Served) -> None:
    """Built behind the answer; brought up to date by itself; its end is on record."""
    new = {"name": "made", "dataset": "notes", "columns": ["text"], "kind": "text", "reason": "r"}
    made = good(served.client.post("/search/indexes", json=new), 201)
    assert made["name"] == "made"
    until(served.client, "made", state="ready", rows=3)
    assert slug(served.client.post("/search/indexes", json=new), 409) == "already-exists"
    once, key = {**new, "name": "once"}, {"Idempotency-Key": "make-once"}
    first = good(served.client.post("/search/indexes", json=once, headers=key), 201)
    again = served.client.post("/search/indexes", json=once, headers=key)
    assert (good(again, 201)["id"], again.headers["idempotent-replayed"]) == (first["id"], "true")
    reused = served.client.post("/search/indexes", json=new, headers=key)
    assert slug(reused, 422) == "idempotency-key-reused"
    good(served.client.delete("/search/indexes/once"))
    served.lake.upsert("notes", [{"id": 9, "text": "zebra", "seats": 1}])
    until(served.client, "made", state="ready", rows=4)
    assert good(served.client.post("/search/made", json={"text": "zebra"}))["items"][0]["id"] == 9
    told = good(
        served.client.post("/search/indexes/made/refresh", json={"rebuild": True, "wait": True})
    )
    assert told["rows"] == 4
    listed = good(served.client.get("/search/indexes", params={"limit": 1}))
    assert (len(listed["items"]), listed["next"] is not None) == (1, True)
    ended = good(served.client.delete("/search/indexes/made"))
    assert ended["state"] == "dropped"
    assert slug(served.client.get("/search/indexes/made"), 404) == "not-found"
    events = served.lake.journal.query(entity_type="indexes", entity_id="made").items
    assert {event.actor for event in events if event.action != "refresh"} == {"ada"}


def test_scopes(served: Served) -> None:
    """Who may read the dataset may search; who is its admin may make and end indexes."""
    reader = served.as_("reader", "read:notes")
    other = served.as_("other", "read:planes", "admin:planes")
    assert good(reader.post("/search/words", json={"text": "jet"}))["items"]
    assert [one["name"] for one in good(reader.get("/search/indexes"))["items"]] == ["words"]
    assert good(other.get("/search/indexes"))["items"] == []
    new = {"name": "theirs", "dataset": "notes", "columns": ["text"], "kind": "text"}
    for answer in (
        other.post("/search/words", json={"text": "jet"}),
        other.get("/search/indexes/words"),
        other.post("/search/indexes/words/refresh", json={}),
        other.delete("/search/indexes/words"),
        other.post("/search/indexes", json=new),
        reader.delete("/search/indexes/words"),
        reader.post("/search/indexes", json=new),
        other.post("/query/sql", json={"sql": "select * from search('words', 'jet')"}),
    ):
        assert slug(answer, 403) == "refused"
    answer = reader.post("/query/sql", json={"sql": "select id from search('words', 'jet')"})
    assert {row["id"] for row in good(answer)["items"]} == {1, 2}


def test_the_client_has_the_same_calls(served: Served) -> None:
    """The same answers and errors as the lake itself."""
    with lakecore.Client(served.url, served.key("eve", "read:notes", "admin:notes")) as client:
        here, there = served.lake.search("words", "jet"), client.search("words", "jet")
        assert (there.facts(), there.to_pylist()) == (here.facts(), here.to_pylist())
        made = client.index.create("mine", "notes", ["text"], kind="text")
        assert (made["state"], made["rows"] >= 3) == ("ready", True)
        assert {one["name"] for one in client.index.list()} >= {"mine", "words"}
        assert client.index.refresh("mine", rebuild=True)["state"] == "ready"
        assert client.index.get("mine")["dataset"] == "notes"
        assert client.index.drop("mine")["state"] == "dropped"
        with pytest.raises(NotFound):
            client.search("mine", "jet")
        with pytest.raises(InvalidInput):
            client.search("words", " ")
        with pytest.raises(Refused):
            client.index.create("mine", "planes", ["tailnum"], kind="text")


def test_on_the_command_line(tmp_path: Path) -> None:
    """Made, listed, searched, behind, refreshed, dropped; as tables and as JSON."""
    folder = str(tmp_path / "lake")
    with lakecore.open(folder, actor="ada") as lake:
        lake.create("notes", key="id")
        lake.insert("notes", NOTES)

    def run(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(root, ["--lake", folder, *arguments])
        assert result.exit_code == code, result.output
        return result

    assert "there is no index" in run("index", "list").stderr
    made = run("index", "create", "words", "notes", "text", "--kind", "text").stdout
    assert "3 rows of notes version 0" in made
    assert "ready" in run("index", "list").stdout
    assert "**jet**" in run("search", "words", "jet").stdout
    found = json.loads(run("--json", "search", "words", "jet", "--where", "seats > 99").stdout)
    assert [item["id"] for item in found["items"]] == [1]
    assert "nothing was found" in run("search", "words", "zebra").stderr
    with lakecore.open(folder, actor="ada") as lake:
        lake.upsert("notes", [{"id": 4, "text": "zebra", "seats": 1}])
    assert "1 row behind" in run("search", "words", "zebra").stderr
    assert json.loads(run("index", "refresh", "words", "--json").stdout)["rows"] == 4
    assert "zebra" in run("search", "words", "zebra").stdout
    assert run("search", "worts", "x", code=2).stderr
    bad = ["--parameter", "exact_rows=many"]
    run("index", "create", "j", "notes", "text", "--kind", "text", *bad, code=2)
    assert "dropped words" in run("index", "drop", "words").stdout
