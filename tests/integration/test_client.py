"""The client against a real gateway: answers that are lost, large rows, keys that may not."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from tests.gateways import ALL, Served, arrow, serving, slug

import lakecore
from lakecore.app import open_gateway
from lakecore.base import FixRequest, InvalidInput, Refused, Unauthenticated, Unavailable


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake with three planes, behind keys."""
    with serving(tmp_path_factory.mktemp("client")) as served:
        yield served


LOST = 2


class Lossy(httpx.BaseTransport):
    """A network that carries every request, and loses the first two answers to each.

    A request is known again by its Idempotency-Key: it does not matter in which order those
    of several threads come.
    """

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self._sent: Counter[tuple[str, str, str | None]] = Counter()
        self._lock = threading.Lock()
        self.lost = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        key = request.headers.get("idempotency-key")
        with self._lock:
            self._sent[request.method, str(request.url), key] += 1
            if self._sent[request.method, str(request.url), key] > LOST:
                return response
            self.lost += 1
        response.read()
        response.close()
        raise httpx.ReadError("the answer is lost")


def test_what_is_sent_twice_is_made_once(served: Served, tmp_path: Path) -> None:
    """Whatever answer is lost: changes, approvals, files, events, from several threads."""
    network = Lossy()
    with lakecore.Client(served.url, served.key("ada", *ALL), transport=network) as client:
        path = tmp_path / "crew.csv"
        path.write_text("id,name\n1,ada\n2,bo\n")
        (loaded,) = client.ingest(path, dataset="crew", key="id")
        assert loaded.duplicate_of == 0 or loaded.inserted == 2

        def work(number: int) -> str:
            row = {"id": 10 + number, "name": "new"}
            made = client.insert("crew", [row])
            assert (made.committed, made.held) == (True, False)
            held = client.update("crew", set={"name": "x"}, keys=[10 + number], tier="dry_run")
            assert held.held
            assert client.approve(held.mutation_id).committed
            client.journal.record({"entity_type": "gate", "entity_id": "A", "action": "open"})
            return made.mutation_id

        with ThreadPoolExecutor(3) as pool:
            ids = list(pool.map(work, range(6)))
    assert network.lost == LOST * (1 + 6 * 4)  # the file, and four calls of each work
    assert len(set(ids)) == 6
    rows = served.lake.sql("select count(*) n from crew where name = 'x'").to_pylist()
    assert rows == [{"n": 6}]
    for number in range(6):
        actions = [event.action for event in served.lake.history("crew", 10 + number)]
        assert actions == ["insert", "update"]
    assert len(served.lake.journal.entity_history("A", "gate")) == 6
    assert served.lake.verify().status in ("green", "inconclusive")


def test_many_rows_come_while_they_are_computed(served: Served) -> None:
    """The first batch is there long before the last; all of them are the lake's own."""
    query = "select a.value as n, a.value % 7 as m from generate_series(1, 500000) a"
    with lakecore.Client(served.url, served.key("reader", "read:*")) as client:
        with client.sql(f"{query} order by 1") as result:
            first = next(iter(result))
            assert first.num_rows < 500_000
        assert (
            client.sql(f"{query} order by 1")
            .to_arrow()
            .equals(served.lake.sql(f"{query} order by 1").to_arrow())
        )
        with pytest.raises(Unavailable):
            client.sql(f"select count(*) from ({query}) x, ({query}) y", timeout_s=0.5).to_arrow()


def test_a_query_is_ended_from_another_thread(served: Served) -> None:
    """`cancel` makes the reader raise; the gateway is free again."""
    with lakecore.Client(served.url, served.key("reader", "read:*")) as client:
        result = client.sql("select a.value from generate_series(1, 1000000000) a")
        threading.Timer(0.3, result.cancel).start()
        with pytest.raises(Unavailable):
            for _ in result:
                pass
        assert client.sql("select 1 as one").to_pylist() == [{"one": 1}]


def test_a_tail_survives_a_restart(tmp_path: Path) -> None:
    """The gateway stops and comes back: nothing is missed, nothing comes twice."""
    event = {"entity_type": "gate", "action": "open", "actor": "ada"}
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        port = 0
        seen: list[str] = []
        is_open, has_all = threading.Event(), threading.Event()
        tails: list[Any] = []

        def follow() -> None:
            with lakecore.Client(f"http://127.0.0.1:{port}") as client:
                tails.append(client.journal.tail(follow=True))
                for batch in tails[0]:
                    seen.extend(one.entity_id for one in batch if one.entity_type == "gate")
                    is_open.set()
                    if len(seen) == 6:
                        has_all.set()

        for restart in range(2):
            gateway = open_gateway(lake, port=port)
            port = int(gateway.url.rpartition(":")[2])
            server = threading.Thread(target=gateway.run)
            server.start()
            if restart == 0:
                reader = threading.Thread(target=follow)
                reader.start()
            lake.journal.record_many([{**event, "entity_id": f"{restart}-{n}"} for n in range(3)])
            lake.journal.seal()
            assert (is_open if restart == 0 else has_all).wait(30)
            if restart == 0:
                gateway.stop()
                server.join(30)
        tails[0].close()
        gateway.stop()
        server.join(30)
        reader.join(30)
        assert not reader.is_alive()
    assert seen == [f"{restart}-{n}" for restart in range(2) for n in range(3)]


def test_a_key_allows_what_it_allows(served: Served) -> None:
    """The same refusals as at every door; without a key, or with a wrong one, nothing."""
    with lakecore.Client(served.url, served.key("agent:r", "read:planes")) as client:
        assert [entry.name for entry in client.datasets()] == ["planes"]
        for refused in (
            lambda: client.insert("planes", [{"tailnum": "N7", "seats": 1}]),
            lambda: client.describe("crew"),
            lambda: client.verify(),
            lambda: client.keys.list(),
            lambda: client.journal.stats(),
        ):
            with pytest.raises(Refused):
                refused()
    for key in (None, "lc_no_key"):
        with lakecore.Client(served.url, key) as client, pytest.raises(Unauthenticated):
            client.datasets()


def test_what_cannot_be_sent(served: Served, tmp_path: Path) -> None:
    """Expressions, rows beyond the gateway's bound: an error, and nothing is changed."""
    with lakecore.Client(served.url, served.key("ada", *ALL)) as client:
        with pytest.raises(InvalidInput, match="SQL expression"):
            client.update("planes", set={"seats": lakecore.Sql("seats + 1")}, all=True)
        with pytest.raises(InvalidInput):
            client.update("planes", set={"seats": object()}, all=True)
    with (
        serving(tmp_path, max_body_bytes=10_000) as small,
        lakecore.Client(small.url, small.key("ada", *ALL)) as client,
        pytest.raises(FixRequest, match="too long"),
    ):
        client.insert("planes", [{"tailnum": "x" * 20_000, "seats": 1}])


ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}
ROWS = pa.table({"tailnum": ["N8"], "seats": [8]})


@pytest.mark.parametrize(
    ("params", "content", "status"),
    [
        ({}, arrow(ROWS), 400),
        ({"op": "delete"}, arrow(ROWS), 400),
        ({"op": "insert", "rows": "x"}, arrow(ROWS), 400),
        ({"op": "insert", "actor": "ada"}, arrow(ROWS), 400),
        ({"op": "insert", "tier": "strange"}, arrow(ROWS), 400),
        ({"op": "insert"}, b"", 400),
        ({"op": "insert"}, b"ARROW1", 400),
        ({"op": "insert"}, arrow(ROWS)[:-20], 400),
        (
            {"op": "insert"},
            arrow(
                ROWS.rename_columns(["tailnum", "nosuch_"]).append_column(
                    "seats", pa.array(["many"])
                )
            ),
            422,
        ),
        ({"op": "insert", "workspace": "nosuch"}, arrow(ROWS), 404),
    ],
)
def test_bad_rows_as_arrow(
    served: Served, params: dict[str, str], content: bytes, status: int
) -> None:
    """A problem, and the table is as it was."""
    before = served.lake.describe("planes")["version"]
    url = "/datasets/planes/mutations"
    answer = served.client.post(url, params=params, content=content, headers=ARROW)
    assert slug(answer, status)
    assert served.lake.describe("planes")["version"] == before


def test_rows_as_arrow_are_a_change_like_others(served: Served) -> None:
    """Made in the key's name; again under its Idempotency-Key, and not as another one."""
    client = served.as_("loader", "write:planes", "read:planes")
    headers = {**ARROW, "Idempotency-Key": "arrow-1"}
    url = "/datasets/planes/mutations"

    def post(rows: pa.Table, **params: str) -> httpx.Response:
        given = {"op": "insert", "reason": "new", **params}
        return client.post(url, params=given, content=arrow(rows), headers=headers)

    first, again = post(ROWS), post(ROWS)
    assert first.status_code == again.status_code == 200
    assert (first.json(), again.headers["idempotent-replayed"]) == (again.json(), "true")
    for other in (post(ROWS, op="upsert"), post(ROWS.slice(0, 0))):
        assert slug(other, 422) == "idempotency-key-reused"
    (event,) = served.lake.history("planes", "N8")
    told: dict[str, Any] = json.loads(event.context)
    assert (event.actor, told["reason"]) == ("loader", "new")
    stranger = served.as_("stranger", "write:hr.*")
    answer = stranger.post(url, params={"op": "insert"}, content=arrow(ROWS), headers=ARROW)
    assert slug(answer, 403) == "refused"
