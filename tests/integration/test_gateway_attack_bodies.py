"""Bodies of every kind of wrong: an answer in words, and nothing is made of them."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.attacks import ARROW, EVENT, FUZZ, ROUNDS, under_attack
from tests.gateways import Served, arrow, good, slug


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake with three planes, behind keys and small bounds."""
    with under_attack(tmp_path_factory.mktemp("attack")) as served:
        yield served


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
ROUTES = (
    "/journal/events",
    "/query/sql",
    "/datasets/planes/mutations",
    "/keys",
    "/workspaces",
    "/truth/evaluate",
    "/catalog/adopt",
    "/reconcile",
)
MEMBERS = st.dictionaries(
    st.sampled_from(
        [
            *(*EVENT, "context", "timestamp", "event_id", "sql", "params", "op", "rows", "set"),
            *("where", "keys", "principal", "scopes", "name", "uri", "task_class", "tier"),
            *("limit", "version"),
        ]
    ),
    JSON,
    max_size=6,
)


@FUZZ
@given(route=st.sampled_from(ROUTES), body=JSON | MEMBERS)
def test_whatever_json_says(served: Served, route: str, body: Any) -> None:
    """An answer in words; a 500 is a bug."""
    headers = {"Content-Type": "application/json"}
    answer = served.client.post(route, content=json.dumps(body), headers=headers)
    assert answer.status_code < 500, (route, body, answer.text)


@pytest.mark.parametrize("route", [*ROUTES, "/pending/x/approve", "/mutations/x/revert"])
@pytest.mark.parametrize("body", [b"[" * 500_000, b'{"a":' * 200_000, b'"' + b"\\" * 1_000_000])
def test_json_that_is_deep(served: Served, route: str, body: bytes) -> None:
    """400, whatever the route does with it."""
    headers = {"Content-Type": "application/json"}
    assert served.client.post(route, content=body, headers=headers).status_code == 400


def test_bodies_that_are_too_long(served: Served) -> None:
    """By what they say, by what they are, and by what they become."""
    big = b"x" * (5 << 20)
    headers = {"Content-Type": "application/json"}
    for content in (big, iter([big[: 1 << 20]] * 5)):
        try:
            answer = served.client.post("/journal/events", content=content, headers=headers)
        except httpx.TransportError:
            continue  # told and closed while it was still being sent
        assert slug(answer, 413) == "too-large"
    files = {"file": ("x.csv", bytes(9 << 20))}
    try:
        answer = served.client.post("/ingest/file", files=files, data={"dataset": "long"})
    except httpx.TransportError:
        pass
    else:
        assert slug(answer, 413) == "too-large"
    bomb = gzip.compress(bytes(64 << 20))
    answer = served.client.post(
        "/journal/events", content=bomb, headers={**headers, "Content-Encoding": "gzip"}
    )
    assert slug(answer, 413) == "too-large"
    nested = gzip.compress(gzip.compress(bytes(64 << 20)))
    answer = served.client.post(
        "/journal/events", content=nested, headers={**headers, "Content-Encoding": "gzip"}
    )
    assert answer.status_code in (400, 413)


def bombs() -> dict[str, bytes]:
    """Small files that become large ones."""
    zeros = b"id,name\n" + b"1," + bytes(64 << 20)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", zeros)
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", bytes(64 << 20))
    zstd: bytes = pa.Codec("zstd").compress(zeros, asbytes=True)
    return {
        "rows.csv.gz": gzip.compress(zeros),
        "rows.csv.zst": zstd,
        "rows.csv.zip": zipped.getvalue(),
        "rows.xlsx": book.getvalue(),
    }


def test_files_that_are_bombs(served: Served) -> None:
    """A file that becomes longer than an upload may be is refused; nothing is made of it."""
    for name, data in bombs().items():
        assert len(data) < 1 << 20
        answer = served.client.post(
            "/ingest/file", files={"file": (name, data)}, data={"dataset": "bomb", "key": "id"}
        )
        assert answer.status_code == 422, (name, answer.text)
        assert "too long" in answer.text, (name, answer.text)
    assert served.client.get("/catalog/datasets/bomb").status_code == 404


@FUZZ
@given(data=st.data())
def test_whatever_multipart_says(served: Served, data: st.DataObject) -> None:
    """Broken parts, strange names, missing ends: 400s."""
    whole = (
        b'--b\r\nContent-Disposition: form-data; name="dataset"\r\n\r\nfuzz\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n'
        b"Content-Type: text/csv\r\n\r\nid,name\n1,x\n\r\n--b--\r\n"
    )
    broken = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(broken) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "insert"]))
        if kind == "flip":
            broken[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del broken[at : at + data.draw(st.integers(1, 20))]
        else:
            broken[at:at] = data.draw(st.binary(max_size=20))
        if not broken:
            break
    boundary = data.draw(st.sampled_from(["b", "", "B", "b" * 300]))
    client = served.as_("nobody", "write:elsewhere") if not served.clients else served.clients[0]
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = client.post("/ingest/file", content=bytes(broken), headers=headers)
    assert answer.status_code < 500, answer.text


def events_arrow() -> bytes:
    """An Arrow stream of events that is good."""
    table = pa.table(
        {name: [value] * 5 for name, value in EVENT.items()} | {"context": ['{"run":1}'] * 5}
    )
    return arrow(table)


def test_arrow_with_flipped_bits(served: Served) -> None:
    """Every answer is in words, and the process lives; a batch that is taken is a batch."""
    whole = events_arrow()
    chance = random.Random(7)
    client = served.as_("flipper", "write:planes", "read:planes")
    headers = {"Content-Type": ARROW}
    for _ in range(max(100, ROUNDS)):
        broken = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 8])):
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.2:
            broken = broken[: chance.randrange(len(broken))]
        answer = client.post("/journal/events", content=bytes(broken), headers=headers)
        assert answer.status_code < 500, (bytes(broken).hex(), answer.text)
    assert good(client.post("/journal/events", content=whole, headers=headers), 201)["count"] == 5


def test_rows_with_flipped_bits(served: Served) -> None:
    """The same for rows of a change, which only looks."""
    whole = arrow(pa.table({"tailnum": ["A1", "A2"], "seats": [1, 2]}))
    chance = random.Random(8)
    for _ in range(max(40, ROUNDS)):
        broken = bytearray(whole)
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        answer = served.client.post(
            "/datasets/planes/mutations",
            params={"op": "insert", "tier": "preview"},
            content=bytes(broken),
            headers={"Content-Type": ARROW},
        )
        assert answer.status_code < 500, (bytes(broken).hex(), answer.text)


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"entity_type": [1], "entity_id": ["x"], "action": ["y"]}),
        pa.table({"entity_type": [["x"]], "entity_id": ["x"], "action": ["y"]}),
        pa.table({"entity_type": [{"a": 1}], "entity_id": ["x"], "action": ["y"]}),
        pa.table({"entity_type": ["x"], "entity_id": ["x"], "action": ["y"], "actor": [{"a": 1}]}),
        pa.table({"entity_type": ["x"], "entity_id": ["x"], "action": ["y"], "context": [[1]]}),
        pa.table({"entity_type": ["x"], "entity_id": ["x"], "action": ["y"], "dataset": [b"\xff"]}),
        pa.table({"entity_type": ["x"], "entity_id": ["x"], "action": ["y"], "seq": [{"a": 1}]}),
        pa.table([["x"], ["x"], ["x"]], names=["entity_type", "entity_type", "entity_id"]),
        pa.table({}),
    ],
)
def test_arrow_of_other_shapes(served: Served, table: pa.Table) -> None:
    """Types and columns that events have not: 400 or 422."""
    answer = served.client.post(
        "/journal/events", content=arrow(table), headers={"Content-Type": ARROW}
    )
    assert answer.status_code in (400, 422), answer.text
