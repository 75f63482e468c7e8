"""Tables that were moved: their older versions were journaled where they were before."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lakecore.storage import Store

_DATASETS: Final = "documents/datasets/"
_LOG: Final = "/_delta_log/"
_NUMBERED: Final = re.compile(r"(.+)/(\d{20})\.json")


class MovedTables:
    """What the newest catalog documents say of places that tables left, or are copied to."""

    def __init__(self, store: Store) -> None:
        newest: dict[str, str] = {}
        for info in store.list_objects(_DATASETS):
            match = _NUMBERED.fullmatch(info.path)
            if match is not None:
                newest[match[1]] = max(newest.get(match[1], ""), info.path)
        self._former: dict[str, list[tuple[str, int]]] = {}
        self._adopted: dict[str, int] = {}
        self.copies: set[str] = set()
        for path in newest.values():
            self._take(_body(store.get(path)))

    @property
    def left(self) -> set[str]:
        """Places that tables have left."""
        return {place for places in self._former.values() for place, _ in places}

    def journaled_at(self, path: str) -> str | None:
        """By which path the journal knows a version of a table; None: by none."""
        location, mark, name = path.partition(_LOG)
        match = _NUMBERED.fullmatch(path)
        if not mark or match is None:
            return path
        if location in self.copies or int(match[2]) < self._adopted.get(location, 0):
            return None
        for before, last in self._former.get(location, ()):
            if int(match[2]) <= last:
                return f"{before}{_LOG}{name}"
        return path

    def _take(self, body: dict[str, Any]) -> None:
        try:
            location = str(body["location"])
            if body.get("former"):
                self._former[location] = [
                    (str(place["location"]), int(place["version"])) for place in body["former"]
                ]
            self._adopted[location] = int(body.get("adopted_version") or 0)
            if body.get("moving_to"):
                self.copies.add(str(body["moving_to"]))
        except (KeyError, TypeError, ValueError):
            return  # no dataset's: what is wrong with it is told elsewhere


def _body(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data).get("body")
    except (ValueError, AttributeError):
        return {}
    return body if isinstance(body, dict) else {}
