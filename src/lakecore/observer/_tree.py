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
    for span_id, span in spans.items():
        parent = spans.get(span["parent_id"]) if span["parent_id"] else None
        if parent is None or _is_below(spans, span["parent_id"], span_id):
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
        waiting = list(span["children"])
        while waiting:
            below = waiting.pop(0)
            flat.append(below)
            waiting = below["children"] + waiting
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


def _is_below(spans: Mapping[str, Mapping[str, Any]], one: str, other: str) -> bool:
    """Whether the way up from `one` comes to `other`, or to no end; parents form a cycle then."""
    seen: set[str] = set()
    at: str | None = one
    while at is not None and at in spans:
        if at == other or at in seen:
            # Only who closes the circle first becomes a root; the others hang below it.
            return at == other and other == min(_circle(spans, other))
        seen.add(at)
        at = spans[at]["parent_id"]
    return False


def _circle(spans: Mapping[str, Mapping[str, Any]], start: str) -> list[str]:
    found = [start]
    at = spans[start]["parent_id"]
    while at != start:
        found.append(at)
        at = spans[at]["parent_id"]
    return found
