"""How one exact change differs from another, in a few words."""

from __future__ import annotations

from typing import Final

from lakecore.base import LakecoreError
from lakecore.changes._kept import read_page
from lakecore.storage import Store

_COMPARED: Final = 100_000
"""Changes of each side that are looked at."""

_NAMED: Final = 3


def what_differs(store: Store, before: str, now: str) -> str:
    """A few entities and fields that only one of two stored diffs has; empty when none is found."""
    try:
        sides = [read_page(store, path, limit=_COMPARED) for path in (before, now)]
    except LakecoreError:
        # Of no more use than the words: the new diff is kept, and can be looked at.
        return ""
    rows = [
        {
            (row["entity_id"], row["field"], row["action"]): (row["old_value"], row["new_value"])
            for row in side.to_pylist()
        }
        for side in sides
    ]
    told = []
    for key in dict.fromkeys([*rows[0], *rows[1]]):
        then, since = rows[0].get(key), rows[1].get(key)
        if then == since:
            continue
        entity, field, action = key
        name = f"{entity}.{field}" if field != "*" else f"{action} of {entity}"
        told.append(f"{name} {_text(then)} -> {_text(since)}")
        if len(told) == _NAMED:
            break
    return "; ".join(told)


def _text(sides: tuple[str | None, str | None] | None) -> str:
    if sides is None:
        return "(not changed)"
    return f"({sides[0]} to {sides[1]})"[:200]
