"""The spans of a trace as a tree. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

_JSON: Final = ("attributes", "events", "links", "resource")
_LEFT_OUT: Final = ("principal", "received", "trace_id")


def tree_of(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The roots, each span with its `children`, in the order of time.

    A span that was delivered twice is there once. One whose parent is not there, or is below
    itself, is a root.

    >>> spans = [{"span_id": "a", "parent_id": None, "time": 1, "name": "trip"},
    ...          {"span_id": "b", "parent_id": "a", "time": 2, "name": "ask"}]
    >>> [(root["name"], [child["name"] for child in root["children"]]) for root in tree_of(spans)]
    [('trip', ['ask'])]
    """
    spans: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (row["time"], row["span_id"])):
        spans.setdefault(row["span_id"], {**_readable(row), "children": []})
    roots: list[dict[str, Any]] = []
    openings = _openings(spans)
    for span_id, span in spans.items():
        parent = spans.get(span["parent_id"]) if span["parent_id"] else None
        if parent is None or span_id in openings:
            roots.append(span)
        else:
            parent["children"].append(span)
    return roots


def depth_of(roots: list[dict[str, Any]]) -> int:
    """Levels of a tree."""
    depth = 0
    level = roots
    while level:
        depth += 1
        level = [child for span in level for child in span["children"]]
    return depth


def cut(roots: list[dict[str, Any]], depth: int) -> None:
    """Put what lies deeper than `depth` levels on the last of them, in place."""
    level = roots
    for _ in range(depth - 2):
        level = [child for span in level for child in span["children"]]
    for span in level:
        flat: list[dict[str, Any]] = []
        waiting = span["children"][::-1]
        while waiting:
            below = waiting.pop()
            flat.append(below)
            waiting += below["children"][::-1]
            below["children"] = []
        span["children"] = flat


def _readable(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without what is null, its JSON as objects."""
    found = {k: v for k, v in row.items() if v is not None and k not in _LEFT_OUT}
    found["parent_id"] = row.get("parent_id")
    for name in _JSON:
        if name in found:
            found[name] = json.loads(found[name])
    return found


def _openings(spans: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Of each circle of parents, the span that becomes a root: the one with the least id."""
    found: set[str] = set()
    way_of: dict[str, int] = {}
    for way, start in enumerate(spans):
        path: list[str] = []
        at: str | None = start
        while at is not None and at in spans and at not in way_of:
            way_of[at] = way
            path.append(at)
            at = spans[at]["parent_id"]
        if at is not None and way_of.get(at) == way:
            found.add(min(path[path.index(at) :]))
    return found
