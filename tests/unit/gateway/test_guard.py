"""Closed by default: every route, method and scope is walked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from tests.gateways import Served, serving

from lakecore.auth import ACTIONS, Principal
from lakecore.base import Unauthenticated
from lakecore.gateway import GatewaySettings, create_app
from lakecore.gateway._guard import OPEN, Access, access_of

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


class Nobody:
    """A book without a key."""

    def authenticate(self, text: str | None, *, address: str | None = None) -> Principal:
        raise Unauthenticated("a key is needed")

    def at_once(self, text: str | None) -> Principal | None:
        return None

    def recheck(self, principal: Principal) -> None:
        raise Unauthenticated("a key is needed")


def routes(app: Any) -> list[APIRoute]:
    """All routes, those of routers that are kept as one included."""
    found: list[APIRoute] = []
    for route in app.routes:
        if isinstance(route, APIRoute):
            found.append(route)
        else:
            inner = getattr(route, "original_router", None) or getattr(route, "app", None)
            assert inner is not None, f"a route of another kind: {route}"
            found += routes(inner)
    return found


def made() -> FastAPI:
    """The application as it is served."""
    return create_app(lambda principal: None, GatewaySettings(), Nobody())


def test_every_route_says_who_may_enter() -> None:
    """None is forgotten, and only /health is open."""
    declared = {route.path: access_of(route.endpoint) for route in routes(made())}
    assert len(declared) >= 3
    assert [path for path, access in declared.items() if access is None] == []
    assert [path for path, access in declared.items() if access == OPEN] == ["/health"]
    over_path = [p for p, access in declared.items() if access and access.over == "path"]
    assert all("{dataset}" in path for path in over_path)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake behind keys."""
    with serving(tmp_path_factory.mktemp("guard")) as served:
        yield served


def filled(path: str) -> str:
    """A route's path with something in its holes."""
    return re.sub(r"\{[^}]*\}", "planes", path)


WALK = [
    (method, filled(route.path), access_of(route.endpoint))
    for route in routes(made())
    for method in sorted(route.methods)
]


def test_without_a_key_every_route_and_method_is_closed(served: Served) -> None:
    """Whatever is asked, by whatever method: 401, 404 or 405, and /health alone answers."""
    client = served.with_headers()
    paths = sorted({path for _, path, _ in WALK})
    opened = set()
    for path in paths:
        for method in METHODS:
            status = client.request(method, path).status_code
            if status not in (401, 404, 405):
                opened.add((method, path, status))
    assert opened == {("GET", "/health", 200)}


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer x"},
        {"Authorization": "Bearer lc_no_key"},
        {"Authorization": "Basic YWRhOmFkYQ=="},
        {"X-API-Key": "lc_no_key"},
        {"Authorization": "Bearer " + "x" * 8_000},
    ],
)
def test_what_is_no_key_opens_nothing(served: Served, headers: dict[str, str]) -> None:
    """401 with the scheme that is expected."""
    answer = served.with_headers(headers).get("/ready")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("held", ACTIONS)
def test_a_scope_opens_its_routes_and_no_others(served: Served, held: str) -> None:
    """A key with one action against every route of every other."""
    client = served.as_("walker", f"{held}:*")
    wrong = []
    for method, path, access in WALK:
        assert isinstance(access, Access)
        if access.action in (None, held):
            continue
        status = client.request(method, path).status_code
        if status != 403:
            wrong.append((method, path, access.action, status))
    assert wrong == []


def test_a_key_over_another_dataset_opens_nothing_of_this_one(served: Served) -> None:
    """Whatever names a dataset in its path asks about that one; all the lake needs a star."""
    client = served.as_("walker", *(f"{action}:hr.*" for action in ACTIONS))
    wrong = []
    for method, path, access in WALK:
        if access is None or access.action is None or access.over == "asked":
            continue
        status = client.request(method, path).status_code
        if status != 403:
            wrong.append((method, path, status))
    assert wrong == []


def test_a_dataset_named_in_a_body_is_asked_about(served: Served) -> None:
    """Who administers one dataset neither makes nor names another."""
    client = served.as_("steward", "admin:crew", "read:crew", "write:crew")
    made = client.post("/catalog/datasets", json={"name": "crew", "key": ["id"]})
    assert made.status_code == 201, made.text
    wrong = [
        client.post("/catalog/datasets", json={"name": "staff"}),
        client.post("/catalog/datasets/crew/rename", json={"new_name": "staff"}),
        client.post("/catalog/datasets/planes/rename", json={"new_name": "crew"}),
        client.patch("/catalog/datasets/planes", json={"owner": "me"}),
        client.patch("/catalog/datasets/crew", json={"checks": {"all": "select * from planes"}}),
        client.post(
            "/datasets/planes/columns", json={"changes": [{"op": "drop", "name": "seats"}]}
        ),
        client.get("/datasets/planes/diff", params={"from": 0, "to": 0}),
        client.get("/datasets/planes/entity", params={"key": "N10156", "version": 0}),
    ]
    assert [answer.status_code for answer in wrong] == [403] * len(wrong)
    assert client.patch("/catalog/datasets/crew", json={"owner": "me"}).status_code == 200


def test_a_workspace_shows_no_more_than_main(served: Served) -> None:
    """Of what is inside a key sees what it may read, and undoes what it may write."""
    inside = served.lake.workspace("guarded")
    made = inside.update("planes", set={"seats": 1}, keys=["N10156"])
    client = served.as_("crewman", "read:crew", "write:crew")
    named = {"workspace": "guarded"}
    query = {"sql": "select * from planes", **named}
    undo = client.post(f"/mutations/{made.mutation_id}/revert", json=named)
    wrong = [
        client.post("/query/sql", json=query),
        client.get("/catalog/datasets/planes", params=named),
        client.get("/workspaces/guarded"),
        undo,
    ]
    assert [answer.status_code for answer in wrong] == [403] * len(wrong)
    listed = client.get("/catalog/datasets", params=named).json()["items"]
    assert "planes" not in [one["name"] for one in listed]
    reader = served.as_("reader", "read:planes")
    assert reader.post("/query/sql", json=query).json()["items"][0]["seats"] == 1
    change = {"sql": "delete from planes", **named}
    assert served.client.post("/query/sql", json=change).status_code == 403
    assert inside.describe("planes")["version"] == 1


def test_a_revoked_key_opens_nothing(served: Served) -> None:
    """At once, in the process that revoked it."""
    client = served.as_("gone", "read:*")
    assert client.get("/ready").status_code == 200
    key_id = next(key.id for key in served.lake.keys.list() if key.principal.name == "gone")
    served.lake.keys.revoke(key_id)
    assert client.get("/ready").status_code == 401


def test_ready_tries_the_lake(served: Served) -> None:
    """Store, journal and query, by name."""
    answer = served.client.get("/ready")
    assert answer.json() == {"status": "ok", "store": "ok", "journal": "ok", "query": "ok"}


def test_the_probe_of_the_start_finds_the_door_locked(served: Served) -> None:
    """What the start-up line says was tried over the socket."""
    assert served.gateway.asks_for_keys
    assert served.gateway.probe() == 401


def test_without_keys_only_this_machine_is_served(tmp_path: Path) -> None:
    """Neither another name for this address nor another's page gets in."""
    with serving(tmp_path, keys=False) as served:
        assert served.gateway.probe() == 200
        assert served.client.get("/ready").status_code == 200
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            answer = httpx.get(f"{served.url}/ready", headers=headers)
            assert answer.status_code == 403, headers
