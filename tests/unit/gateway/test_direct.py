"""Routes found by one look: whatever way a request takes, the answer is the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Match
from tests.gateways import ALL, Served, serving

from lakecore.gateway import GatewaySettings, create_app
from lakecore.gateway._direct import Direct, direct_routes
from lakecore.gateway._guard import guard
from lakecore.gateway._openapi import routes_of

EVENT = {"entity_type": "plane", "entity_id": "N1", "action": "inspect", "dataset": "planes"}
JSON = {"Content-Type": "application/json"}
ASKED = "asked-by-a-test"


def table_of(app: FastAPI) -> dict[tuple[str, str], Any]:
    """The routes that the application finds by one look; empty it, and it finds none so."""
    kept = next(one for one in app.user_middleware if one.cls is Direct)
    table: dict[tuple[str, str], Any] = kept.kwargs["routes"]
    return table


MADE = create_app(lambda principal: None, GatewaySettings(), None)
ROUTES = sorted(table_of(MADE))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lake behind keys."""
    with serving(tmp_path_factory.mktemp("direct")) as served:
        yield served


def both(served: Served, client: httpx.Client, *asked: Any, **more: Any) -> list[Any]:
    """What is answered by the one way and by the other: status, headers, body."""
    table = table_of(served.gateway.app)
    kept = dict(table)
    answers = [client.request(*asked, **more)]
    try:
        table.clear()
        answers.append(client.request(*asked, **more))
    finally:
        table.update(kept)
    # How long to wait, where there are too many: a second may pass between the two.
    varies = ("date", "retry-after", "content-length")
    return [
        (
            answer.status_code,
            {n: v for n, v in answer.headers.items() if n not in varies},
            re.sub(r"in \d+ s\b", "in … s", answer.text),
        )
        for answer in answers
    ]


def test_the_hot_routes_are_among_them() -> None:
    """What is sent most often goes the short way."""
    assert {("POST", "/journal/events"), ("POST", "/event"), ("POST", "/v1/traces")} <= set(ROUTES)
    assert ("POST", "/v1/chat/completions") in ROUTES


def test_a_route_is_the_one_that_the_router_would_find() -> None:
    """No route of the table stands behind another that matches its path first."""
    for (method, path), route in table_of(MADE).items():
        scope = {"type": "http", "method": method, "path": path, "path_params": {}}
        found = (one for one in routes_of(MADE) if one.matches(dict(scope))[0] is Match.FULL)
        assert next(found) is route


def test_the_guard_is_all_that_the_application_asks_for() -> None:
    """Another dependency of every route would have to be asked on the short way, too."""
    assert [one.dependency for one in MADE.router.dependencies] == [guard]


def test_what_has_something_to_solve_takes_the_other_way() -> None:
    """Parameters, dependencies of its own, an answer that is none yet: not in the table."""
    paths = {path for _, path in ROUTES}
    assert not paths & {"/journal/flush", "/events", "/health"}
    assert not [path for path in paths if "{" in path]
    assert direct_routes([object()]) == {}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_both_ways_let_the_same_in(served: Served, method: str, path: str) -> None:
    """No key, no such key, a key that may not, a body that is none: one answer, to the letter."""
    text = served.key("all", *ALL)
    cases: list[tuple[dict[str, str], bytes | None]] = [
        ({}, None),
        ({"X-API-Key": "lc_no_key"}, None),
        ({"Authorization": "Basic YWRhOmFkYQ=="}, None),
        ({"X-API-Key": served.key("elsewhere", "read:hr.*")}, b"{}"),
        ({"X-API-Key": text, "Content-Type": "text/plain"}, b"x"),
        ({"X-API-Key": text, **JSON}, b"{"),
        ({"X-API-Key": text, **JSON, "Idempotency-Key": "x" * 256}, b"[]"),
        ({"X-API-Key": text, **JSON, "Content-Encoding": "br"}, b"[]"),
    ]
    client = served.with_headers({"X-Request-Id": ASKED})
    for headers, body in cases:
        one, other = both(served, client, method, path, headers=headers, content=body)
        assert one[0] == other[0]
        if one[0] >= 400:
            assert one == other
            assert one[1]["x-request-id"] == ASKED


def test_a_method_that_a_path_has_not_is_told_as_ever(served: Served) -> None:
    """405 with the methods that there are, and 404."""
    for method, path, status in (("DELETE", "/event", 405), ("POST", "/event/", 404)):
        one, other = both(served, served.client, method, path, headers={"X-Request-Id": ASKED})
        assert one == other
        assert one[0] == status


def test_the_same_event_again_is_the_same_either_way(served: Served) -> None:
    """An Idempotency-Key that one way has taken, the other way knows."""
    headers = {"Idempotency-Key": "both", "X-Request-Id": ASKED}
    one, other = both(served, served.client, "POST", "/journal/events", json=EVENT, headers=headers)
    assert one == other
    assert one[0] == 201


def test_both_ways_are_counted_alike(served: Served) -> None:
    """The template of the route, the status and the bytes in /metrics."""

    def counted() -> float:
        text = served.client.get("/metrics").text
        label = r'route="/journal/events",status="201"\} ([0-9.]+)'
        found = re.search(r'lakecore_requests_total\{method="POST",' + label, text)
        return float(found[1]) if found else 0.0

    before = counted()
    both(served, served.client, "POST", "/journal/events", json=EVENT)
    assert counted() == before + 2


def test_both_ways_have_one_rate(tmp_path: Path) -> None:
    """Requests of one key are counted together, whichever way they take."""
    with serving(tmp_path, rate_per_s=0.001, rate_burst=3) as served:
        client = served.as_("sender", "write:*")
        found = [both(served, client, "POST", "/event", json=[]) for _ in range(2)]
        assert [answer[0] for pair in found for answer in pair] == [202, 202, 202, 429]
        client = served.as_("other", "write:*")
        answers = [client.post("/event", json=[]) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
        assert "retry-after" in answers[-1].headers
