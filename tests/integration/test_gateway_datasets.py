"""Datasets over the wire: differences in pages and streams, the same request again, upkeep."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow as pa
import pytest
from tests.gateways import Served, good, serving, slug

ROWS = [{"tailnum": f"X{n}", "seats": n} for n in range(25)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake with three planes, and then 25 more."""
    with serving(tmp_path_factory.mktemp("datasets")) as served:
        served.lake.insert("planes", ROWS)
        yield served


def test_a_difference_comes_in_pages_and_whole(served: Served) -> None:
    """Page by page what the lake itself says; all at once in the other forms; bounds are kept."""
    there = served.lake.diff("planes", 0, 1).read_all().to_pylist()
    assert len(there) == 25
    url, moments = "/datasets/planes/diff", {"from": "0", "to": "1"}
    items, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        params = {**moments, "limit": 10} | ({"cursor": cursor} if cursor else {})
        told = good(served.client.get(url, params=params))
        items, cursor, pages = items + told["items"], told["next"], pages + 1
    assert (items, pages) == (there, 3)
    arrow = {"Accept": "application/vnd.apache.arrow.stream"}
    answer = served.client.get(url, params=moments, headers=arrow)
    with pa.ipc.open_stream(io.BytesIO(answer.content)) as reader:
        assert reader.read_all().to_pylist() == there
    text = served.client.get(url, params=moments, headers={"Accept": "text/csv"}).text
    assert len(text.splitlines()) == 1 + 25
    for params, headers, status in [
        ({**moments, "limit": "10"}, arrow, 422),
        ({**moments, "limit": "1001"}, {}, 400),
        ({**moments, "cursor": "x"}, {}, 422),
        ({"from": "0"}, {}, 400),
        ({**moments, "to": "99"}, {}, 404),
        ({**moments, "to": "99"}, arrow, 404),
        ({**moments, "to": "-1"}, {}, 404),
        ({**moments, "to": "9" * 18}, {}, 404),
        ({**moments, "to": "noon"}, arrow, 422),
        (moments, {"Accept": "image/png"}, 406),
    ]:
        assert slug(served.client.get(url, params=params, headers=headers), status)


def test_a_workspaces_difference_comes_whole(served: Served) -> None:
    """Of one dataset, by whichever of its names; of all there are a few fields as JSON."""
    inside = served.lake.workspace("trial")
    inside.update("planes", set={"seats": 1}, where="tailnum like 'X%'")
    url, csv = "/workspaces/trial/diff", {"Accept": "text/csv"}
    for name in ("planes", "main.planes"):
        text = served.client.get(url, params={"dataset": name}, headers=csv).text
        assert len(text.splitlines()) == 1 + 24
    told = good(served.client.get(url, params={"limit": 5}))["datasets"]["planes"]
    assert (len(told["items"]), told["more"]) == (5, True)
    assert slug(served.client.get(url, headers=csv), 422)


def test_the_same_request_again_is_made_once(served: Served) -> None:
    """Datasets made, altered, renamed, dropped and brought back; columns, workspaces, upkeep."""
    steps = [
        ("POST", "/catalog/datasets", {"name": "crew", "key": ["id"]}, 201),
        ("PATCH", "/catalog/datasets/crew", {"owner": "hr"}, 200),
        ("POST", "/catalog/datasets/crew/rename", {"new_name": "staff"}, 200),
        ("DELETE", "/catalog/datasets/staff?grace_days=1", None, 200),
        ("POST", "/catalog/datasets/staff/undrop", {}, 200),
        (
            "POST",
            "/datasets/planes/columns",
            {"changes": [{"op": "add", "name": "note", "type": "string"}]},
            200,
        ),
        ("POST", "/workspaces", {"name": "once"}, 201),
        ("POST", "/workspaces/once/drop", {"reason": "enough"}, 200),
        ("POST", "/maintain", {"datasets": ["planes"], "dry_run": True}, 200),
    ]
    for number, (method, path, body, status) in enumerate(steps):
        headers = {"Idempotency-Key": f"step-{number}"}
        answers = [
            served.client.request(method, path, json=body, headers=headers) for _ in range(2)
        ]
        assert good(answers[0], status) == good(answers[1], status), path
        assert answers[1].headers["idempotent-replayed"] == "true"
    made = served.lake.sql(
        "select action, count(distinct mutation_id) n from system.journal "
        "where entity_id in ('crew', 'staff') and action <> 'rename' group by 1"
    ).to_pylist()
    counts = {one["action"]: one["n"] for one in made}
    assert counts == {"register": 1, "alter": 1, "drop": 1, "undrop": 1}
    assert served.lake.verify().status != "broken"


@pytest.mark.parametrize(
    "edit",
    [
        {"op": "add", "name": "x"},
        {"op": "drop", "name": "seats", "type": "long"},
        {"op": "rename", "name": "seats", "type": "long"},
        {"op": "rename", "name": "nosuch", "new_name": "other"},
        {"op": "widen", "name": "seats", "type": "nosuch"},
        {"op": "drop", "name": "tailnum"},
    ],
)
def test_columns_that_cannot_be_changed_so(served: Served, edit: dict[str, str]) -> None:
    """422, and the table is as it was."""
    before = served.lake.describe("planes")
    answer = served.client.post("/datasets/planes/columns", json={"changes": [edit]})
    assert slug(answer, 422)
    assert served.lake.describe("planes") == before
