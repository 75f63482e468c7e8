"""The routes as OpenAPI: what FastAPI says of them, and what holds for every one here.

Every operation may answer with a problem, needs a key but for /health, and names what can follow
it by links: the key that was made can be rotated and revoked, the mutation undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Match

from lakecore.gateway._forms import CHAT, OPENAI_PATHS
from lakecore.gateway._guard import access_of
from lakecore.gateway._problems import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

_TEXT: Final = {"type": "string"}
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "instance"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:lakecore:error:"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "instance": {"type": "string", "pattern": "^urn:lakecore:request:"},
        **dict.fromkeys(("expected", "found", "where", "hint"), _TEXT),
    },
}
_ROWS: Final = (
    *("application/json", "application/x-ndjson", "text/csv"),
    *("application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"),
)
_SPANS: Final = ("application/json", "application/x-protobuf")
_CONTENT: Final[Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]]] = {
    ("/query/sql", "post"): {"200": _ROWS, "202": ("application/json",)},
    ("/datasets/{dataset}/diff", "get"): {"200": _ROWS},
    ("/workspaces/{name}/diff", "get"): {"200": _ROWS},
    ("/journal/tail", "get"): {"200": ("text/event-stream",)},
    ("/agent/runs/{run_id}/stream", "get"): {"200": ("text/event-stream",)},
    (CHAT, "post"): {"200": ("application/json", "text/event-stream")},
    ("/metrics", "get"): {"200": ("text/plain",)},
    ("/v1/traces", "post"): {"200": _SPANS},
    ("/api/public/otel/v1/traces", "post"): {"200": _SPANS},
    ("/journal/checkpoint", "get"): {"200": ("text/plain",)},
    ("/journal/tile/{path}", "get"): {"200": ("application/octet-stream",)},
    ("/journal/proof/{event_id}", "get"): {"200": ("application/json", "text/plain")},
}
"""Answers that are not always, or not only, JSON."""

_JSON: Final = ("application/json",)
_STATUSES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("/journal/events", "post"): ("201",),
    ("/catalog/adopt", "post"): ("201",),
    ("/catalog/datasets", "post"): ("201",),
    ("/workspaces", "post"): ("201",),
    ("/keys", "post"): ("201",),
    ("/keys/{key_id}/rotate", "post"): ("201",),
    ("/webhooks", "post"): ("201",),
    ("/search/indexes", "post"): ("201",),
    ("/agent/runs", "post"): ("202",),
    ("/review/runs", "post"): ("202",),
    ("/event", "post"): ("202",),
    ("/api/public/scores", "post"): ("202", "207"),
    **{
        (path, "post"): ("200", "202")
        for path in (
            "/ingest/file",
            "/datasets/{dataset}/columns",
            "/datasets/{dataset}/mutations",
            "/mutations/{mutation_id}/revert",
            "/pending/{change_id}/approve",
            "/workspaces/{name}/merge",
        )
    },
}
"""Answers to what goes well, where it is not just 200."""

_LINKS: Final[Mapping[tuple[str, str], tuple[tuple[str, str, str, str], ...]]] = {
    ("/keys", "post"): (
        ("/keys/{key_id}", "delete", "key_id", "/id"),
        ("/keys/{key_id}/rotate", "post", "key_id", "/id"),
    ),
    ("/webhooks", "post"): (
        ("/webhooks/{webhook_id}", "get", "webhook_id", "/id"),
        ("/webhooks/{webhook_id}", "delete", "webhook_id", "/id"),
    ),
    ("/search/indexes", "post"): (
        ("/search/indexes/{index}", "get", "index", "/name"),
        ("/search/indexes/{index}", "delete", "index", "/name"),
        ("/search/{index}", "post", "index", "/name"),
    ),
    ("/agent/runs", "post"): (
        ("/agent/runs/{run_id}", "get", "run_id", "/id"),
        ("/agent/runs/{run_id}/cancel", "post", "run_id", "/id"),
    ),
    ("/review/runs", "post"): (("/review/runs/{run_id}", "get", "run_id", "/id"),),
    ("/workspaces", "post"): (
        ("/workspaces/{name}/diff", "get", "name", "/name"),
        ("/workspaces/{name}", "get", "name", "/name"),
        ("/workspaces/{name}/merge", "post", "name", "/name"),
    ),
    ("/datasets/{dataset}/mutations", "post"): (
        ("/mutations/{mutation_id}/revert", "post", "mutation_id", "/mutation_id"),
        ("/pending/{change_id}", "get", "change_id", "/mutation_id"),
        ("/pending/{change_id}/approve", "post", "change_id", "/mutation_id"),
        ("/pending/{change_id}/reject", "post", "change_id", "/mutation_id"),
    ),
    ("/journal/events", "post"): (
        ("/journal/proof/{event_id}", "get", "event_id", "/event_ids/0"),
    ),
}
"""From an operation to another: which parameter of that, and where it is in this one's answer."""


def describe(app: FastAPI, document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's document, completed in place."""
    open_paths = {
        route.path
        for route in routes_of(app)
        if (access := access_of(getattr(route, "endpoint", None))) is not None and access.is_open
    }
    components = document.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "lc_<id>_<secret>_<sum>"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = _PROBLEM
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["security"] = [] if path in open_paths else [{"bearer": []}, {"key": []}]
            operation["responses"] = _responses(document, path, method)
    return document


def methods_of(app: Any, scope: Any) -> list[str]:
    """The methods that a path has, of all routes of it."""
    asked = {**scope, "path_params": {}}
    routes = [route for route in routes_of(app) if route.matches(asked)[0] is not Match.NONE]
    # `/query/sql` is a path of its own, though `/query/{query_id}` would match it, too.
    same = [route for route in routes if route.path == routes[0].path]
    return sorted(set().union(*(route.methods or () for route in same)))


def _responses(document: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    where = (path, method)
    kinds = _CONTENT.get(where, {})
    statuses = dict.fromkeys([*_STATUSES.get(where, ()), *kinds] or ["200"])
    links = {
        f"{other_method} {other_path}": {
            "operationId": document["paths"][other_path][other_method]["operationId"],
            "parameters": {name: f"$response.body#{pointer}"},
        }
        for other_path, other_method, name, pointer in _LINKS.get(where, ())
    }
    made: dict[str, Any] = {}
    for status in statuses:
        content: dict[str, Any] = {kind: {} for kind in kinds.get(status, _JSON)}
        made[status] = {"description": _SAID[status], "content": content}
        if links:
            made[status]["links"] = links
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if where == ("/ready", "get"):
        made["503"] = {"description": "Something does not answer.", "content": {_JSON[0]: {}}}
    made["default"] = {
        "description": "A problem; see docs/http.md.",
        "content": {MEDIA_TYPE: problem},
    }
    if path in OPENAI_PATHS:
        made["default"]["content"][_JSON[0]] = {}
    return made


_SAID: Final = {
    "200": "Done.",
    "201": "Made.",
    "202": "Taken: it waits for an approval, goes on, or is kept.",
    "207": "Some of it.",
}


def routes_of(app: Any) -> list[Any]:
    """All routes, those of included routers too."""
    found: list[Any] = []
    for route in app.routes:
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        if getattr(route, "endpoint", None) is None and inner is not None:
            found += routes_of(inner)
        else:
            found.append(route)
    return found
