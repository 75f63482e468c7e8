"""docs/http.md names every route, what it needs, and no route that is not there."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from tests.unit.gateway.test_guard import made, routes

from lakecore.gateway import GatewaySettings
from lakecore.gateway._guard import access_of

PAGE = Path(__file__).parents[3] / "docs" / "http.md"
ROW = re.compile(r"^\| `([A-Z]+) (/[^`]*)` \| ([^|]+) \|", re.MULTILINE)


def test_the_page_has_every_route() -> None:
    """Method and path, and the action that the guard asks for."""
    said = {(method, path): needs for method, path, needs in ROW.findall(PAGE.read_text())}
    there = {
        (method, route.path.replace(":path}", "}")): access_of(route.endpoint)
        for route in routes(made())
        for method in route.methods
    }
    assert set(said) == set(there)
    for route, access in there.items():
        assert access is not None
        if access.is_open:
            assert said[route] == "nothing"
        elif access.action is None:
            assert said[route].startswith("a key"), route
        else:
            assert said[route].startswith(access.action), route
            assert (access.over == "lake") == said[route].endswith(" all") or (
                access.over == "asked"
            ), route


def test_openapi_describes_every_route() -> None:
    """But its own; bodies of JSON have a schema."""
    document = made().openapi()
    there = {route.path.replace(":path}", "}") for route in routes(made())} - {"/openapi.json"}
    assert set(document["paths"]) == there
    sql = document["paths"]["/query/sql"]["post"]["requestBody"]["content"]["application/json"]
    asked = {"sql", "params", "limit", "timeout_s", "memory_limit_bytes", "reason", "tier"}
    asked |= {"read_only", "workspace", "engine"}
    assert set(sql["schema"]["properties"]) == asked
    assert "#/$defs/" not in json.dumps(document)


def test_the_page_has_every_limit() -> None:
    """Each bound of the gateway, but for times of its own, is on the page by its name."""
    page = PAGE.read_text()
    own = {"host", "port", "compress", "shutdown_s", "query_timeout_s", "query_memory_bytes"}
    names = {field.name for field in dataclasses.fields(GatewaySettings)} - own
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
