"""The journal over real sockets: recording, pages, proofs, tails."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pyarrow as pa
import pytest
from tests.gateways import Served, arrow, good, serving, slug

import lakecore

EVENT = {"entity_type": "plane", "entity_id": "N1", "action": "inspect", "dataset": "planes"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake with three planes, behind keys."""
    with serving(tmp_path_factory.mktemp("gateway")) as served:
        yield served


def test_an_event_is_recorded_in_the_keys_name(served: Served) -> None:
    """One by one, as a list, as NDJSON, as Arrow: the actor is the principal, the key is noted."""
    client = served.as_("agent:tidy", "read:planes", "write:planes")
    one = good(client.post("/journal/events", json={**EVENT, "context": '{"run":7}'}), 201)
    two = good(client.post("/journal/events", json=[EVENT, EVENT]), 201)
    lines = "\n".join(json.dumps(EVENT) for _ in range(3))
    headers = {"Content-Type": "application/x-ndjson"}
    three = good(client.post("/journal/events", content=lines, headers=headers), 201)
    table = pa.Table.from_pylist([EVENT] * 4)
    headers = {"Content-Type": "application/vnd.apache.arrow.stream"}
    four = good(client.post("/journal/events", content=arrow(table), headers=headers), 201)
    assert [one["count"], two["count"], three["count"], four["count"]] == [1, 2, 3, 4]
    found = good(client.get("/journal/events", params={"dataset": "planes", "actor": "agent:tidy"}))
    assert len(found["items"]) == 10
    key_ids = {json.loads(event["context"])["key_id"] for event in found["items"]}
    assert len(key_ids) == 1
    first = next(event for event in found["items"] if event["event_id"] == one["event_ids"][0])
    assert json.loads(first["context"])["run"] == 7


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({**EVENT, "actor": "ada"}, 403),
        ({**EVENT, "dataset": "hr.staff"}, 403),
        ({**EVENT, "dataset": "system.journal"}, 403),
        ({key: value for key, value in EVENT.items() if key != "dataset"}, 403),
        ({**EVENT, "version": 3}, 422),
        ({**EVENT, "dataset_id": "x"}, 422),
        ({**EVENT, "mutation_id": "x"}, 422),
        ({**EVENT, "seq": 0}, 422),
        ({**EVENT, "entity_type": "decision"}, 422),
        ({**EVENT, "context": '{"key_id":"other"}'}, 422),
        ({**EVENT, "context": "[]"}, 422),
        ({**EVENT, "strange": 1}, 422),
        ({**EVENT, "actor": 7}, 422),
        ([EVENT, 7], 400),
        (7, 400),
    ],
)
@pytest.mark.parametrize("form", ["json", "ndjson", "arrow"])
def test_what_a_client_may_not_say(served: Served, event: Any, status: int, form: str) -> None:
    """Nobody writes in another's name, nor of versions that were not made; nothing is kept."""
    client = served.as_("agent:liar", "read:planes", "write:planes")
    if form == "json":
        answer = client.post("/journal/events", json=event)
    elif form == "ndjson":
        headers = {"Content-Type": "application/x-ndjson"}
        answer = client.post("/journal/events", content=json.dumps(event), headers=headers)
    elif isinstance(event, dict):
        headers = {"Content-Type": "application/vnd.apache.arrow.stream"}
        body = arrow(pa.Table.from_pylist([event]))
        answer = client.post("/journal/events", content=body, headers=headers)
    else:
        return
    if form == "ndjson" and isinstance(event, list):
        status = 400
    assert answer.status_code == status, answer.text
    found = client.get("/journal/events", params={"dataset": "planes", "actor": "agent:liar"})
    assert good(found)["items"] == []


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"ARROW1", "application/vnd.apache.arrow.stream", 400),
        (b"", "application/vnd.apache.arrow.stream", 400),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
    ],
)
def test_bodies_that_are_none(served: Served, content: bytes, kind: str, status: int) -> None:
    """A problem that says so, never a 500."""
    headers = {"Content-Type": kind}
    answer = served.client.post("/journal/events", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_event_request_again_is_recorded_once(served: Served) -> None:
    """By the Idempotency-Key; with other content it is refused."""
    headers = {"Idempotency-Key": "inspection-7"}
    event = {**EVENT, "entity_id": "N7"}
    ids = [
        good(served.client.post("/journal/events", json=event, headers=headers), 201)["event_ids"]
        for _ in range(2)
    ]
    assert ids[0] == ids[1]
    other = {**event, "action": "repaint"}
    assert served.client.post("/journal/events", json=other, headers=headers).status_code == 422
    found = good(served.client.get("/journal/history/plane/N7"))["items"]
    assert [one["action"] for one in found] == ["inspect"]


def test_pages_of_events_have_no_gap(served: Served) -> None:
    """A cursor goes on behind the last; a wrong one is a problem."""
    for number in range(5):
        served.client.post("/journal/events", json={**EVENT, "entity_id": f"P{number}"})
    params: dict[str, Any] = {"limit": 2, "action": "inspect", "dataset": "planes"}
    seen: list[str] = []
    while True:
        page = good(served.client.get("/journal/events", params=params))
        seen += [event["event_id"] for event in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert len(seen) == len(set(seen)) >= 5
    params["cursor"] = "x"
    assert slug(served.client.get("/journal/events", params=params), 422) == "invalid-input"


def test_what_is_sealed_is_proven(served: Served) -> None:
    """Flush, checkpoint, tile, proof: all that a stranger needs."""
    recorded = good(served.client.post("/journal/events", json=EVENT), 201)
    assert good(served.client.post("/journal/flush"))["sealed"] >= 0
    assert good(served.client.get("/journal/stats"))["buffer_events"] == 0
    served.lake.journal.checkpoint()
    note = served.client.get("/journal/checkpoint")
    size = int(note.text.splitlines()[1])
    assert size == good(served.client.get("/journal/stats"))["tree_size"]
    tile = served.client.get(f"/journal/tile/0/000.p/{size}")
    assert len(tile.content) == 32 * size
    assert served.client.get(f"/journal/tile/entries/000.p/{size}").status_code == 200
    assert slug(served.client.get("/journal/tile/0/001"), 404) == "not-found"
    assert slug(served.client.get("/journal/tile/../../lakecore.json"), 404)
    proof = good(served.client.get(f"/journal/proof/{recorded['event_ids'][0]}"))
    assert json.loads(proof["entry"])["actor"] == "ada"
    text = served.client.get(f"/journal/proof/{proof['seq']}", headers={"Accept": "text/plain"})
    assert text.text.startswith("c2sp.org/tlog-proof@v1")
    reader = served.as_("reader", "read:planes")
    assert reader.get("/journal/checkpoint").status_code == 200
    assert reader.get(f"/journal/tile/0/000.p/{size}").status_code == 200
    assert reader.get(f"/journal/tile/entries/000.p/{size}").status_code == 403


def frames(answer: httpx.Response, count: int) -> list[dict[str, str]]:
    """Some frames of a stream of Server-Sent Events."""
    found: list[dict[str, str]] = []
    frame: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            frame[name] = value
        elif frame:
            found.append(frame)
            frame = {}
            if len(found) == count:
                break
    return found


def test_a_tail_goes_on_where_it_was(served: Served) -> None:
    """Old events, then what is sealed while it is open; then from its last id, without a gap."""
    client = served.client
    with client.stream("GET", "/journal/tail", params={"from_seq": 0}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        first = frames(answer, 3)
        assert json.loads(first[1]["data"])["seq"] == 0
    with client.stream("GET", "/journal/tail") as answer:
        lines = answer.iter_lines()
        start = [next(lines) for _ in range(3)]
        client.post("/journal/events", json={**EVENT, "entity_id": "LIVE"})
        client.post("/journal/flush")
        seen = []
        for line in lines:
            if line.startswith("data: "):
                seen.append(json.loads(line[6:]))
                if seen[-1]["entity_id"] == "LIVE":
                    break
    cursor = start[1].removeprefix("id: ")
    headers = {"Last-Event-ID": cursor}
    with client.stream("GET", "/journal/tail", headers=headers) as answer:
        again = [json.loads(frame["data"]) for frame in frames(answer, 2) if "data" in frame]
    assert again[0] == seen[0]


def test_no_tail_misses_an_event(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is doing when the journal grows: with waits as short as looks."""
    from lakecore.gateway import _tail

    monkeypatch.setattr(_tail, "BEAT_S", 0.01)
    monkeypatch.setattr(_tail, "LOOK_S", 0.01)
    wanted = [f"ROUND{number}" for number in range(8)]
    told: list[list[str]] = []
    is_open = threading.Barrier(13)

    def follow() -> None:
        seen: list[str] = []
        with served.client.stream("GET", "/journal/tail") as answer:
            lines = answer.iter_lines()
            next(lines)
            is_open.wait(20)
            while seen[-1:] != wanted[-1:]:
                line = next(lines)
                if "ROUND" in line:
                    seen.append(json.loads(line[6:])["entity_id"])
        told.append(seen)

    with ThreadPoolExecutor(12) as pool:
        followers = [pool.submit(follow) for _ in range(12)]
        is_open.wait(20)
        for entity_id in wanted:
            served.lake.journal.record({**EVENT, "entity_id": entity_id})
            served.lake.journal.seal()
        for follower in followers:
            follower.result(60)
    assert told == [wanted] * 12


def test_a_tail_shows_only_the_dataset_that_was_asked_for(served: Served) -> None:
    """And the whole journal only to who may read everything."""
    client = served.as_("reader", "read:planes")
    assert client.get("/journal/tail").status_code == 403
    params = {"dataset": "planes", "from_seq": 0}
    with client.stream("GET", "/journal/tail", params=params) as answer:
        found = [json.loads(one["data"]) for one in frames(answer, 4) if "data" in one]
    assert {event["dataset"] for event in found} == {"planes"}


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_a_tail_ends_with_its_key(served: Served, where: str) -> None:
    """Within 5 s of the revocation, also where another process revokes."""
    client = served.as_(f"short-{where}", "read:*")
    mine = (key for key in served.lake.keys.list() if key.principal.name == f"short-{where}")
    key_id = next(mine).id
    with client.stream("GET", "/journal/tail") as answer:
        lines = answer.iter_lines()
        next(lines)
        if where == "here":
            served.lake.keys.revoke(key_id)
        else:
            with lakecore.open(served.lake.url, actor="bob") as other:
                other.keys.revoke(key_id)
        began_s = time.monotonic()
        rest = list(lines)
    assert any("unauthenticated" in line for line in rest)
    assert time.monotonic() - began_s < 5
