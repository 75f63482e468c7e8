"""Which tables there should be, from the documents that verifying has read anyway."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_DATASETS = "documents/datasets/"
_WORKSPACES = "documents/workspaces/"
_CLOSED = ("merged", "dropped")


@dataclass(frozen=True, slots=True)
class Place:
    """A dataset's table as one version of its document names it.

    `is_over`: dropped, and its grace has ended, or removed, or moved: its files may be gone.
    `former`: where the table was before, and the last version of each of these places.
    """

    location: str
    dataset_id: str
    adopted_version: int = 0
    is_over: bool = False
    former: tuple[tuple[str, int], ...] = ()


class Places:
    """All tables that any version of a catalog document names, and workspaces that are over."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us
        self._places: dict[str, Place] = {}
        self._workspaces: dict[str, str] = {}
        self._copies: set[str] = set()
        self._left: set[str] = set()

    def take(self, named: Mapping[str, Any], *, is_newest: bool) -> None:
        """What `facts_of` had of one version of a document; the newest one counts most."""
        if "workspace_id" in named:
            # One name may have had several; each one's last state is told last.
            self._workspaces[str(named["workspace_id"])] = str(named.get("state"))
        if named.get("moving_to") is not None:
            self._copies.add(str(named["moving_to"]))
        self._left.update(str(p["location"]) for p in named.get("former", ()) if p["purged_us"])
        if named.get("location") is None:
            return
        location = str(named["location"])
        known = self._places.get(location)
        purge_us = named.get("purge_after_us")
        is_live = is_newest and (
            named.get("state") == "active"
            or (named.get("state") == "dropped" and (purge_us or 0) >= self._now_us)
        )
        if known is not None and not known.is_over and not is_live:
            return
        self._places[location] = Place(
            location,
            str(named.get("dataset_id") or ""),
            int(named.get("adopted_version") or 0),
            is_over=not is_live,
            former=tuple((str(p["location"]), int(p["version"])) for p in named.get("former", ())),
        )

    def get(self, location: str) -> Place | None:
        return self._places.get(location)

    def is_copy(self, location: str) -> bool:
        """Whether a table is one that is being copied there, or was until that was given up."""
        return location in self._copies and location not in self._places

    def is_left(self, location: str) -> bool:
        """Whether a table was moved away from there, and what it left was given up."""
        return location in self._left

    def is_closed(self, location: str) -> bool:
        """Whether a table is of a workspace that is over: its files may be gone."""
        root, _, rest = location.partition("/")
        return root == "workspaces" and self._workspaces.get(rest.partition("/")[0]) in _CLOSED

    def locations(self) -> list[str]:
        """Where the tables are, sorted."""
        return sorted(self._places)


def facts_of(folder: str, data: bytes) -> dict[str, Any]:
    """What a document says of a place; {} when it says nothing of one, or is damaged."""
    if not folder.startswith((_DATASETS, _WORKSPACES)):
        return {}
    try:
        body = json.loads(data).get("body") or {}
        names: tuple[str, ...] = ("state", "workspace_id")
        if folder.startswith(_DATASETS):
            names = (
                *("location", "dataset_id", "adopted_version", "state", "purge_after_us"),
                *("former", "moving_to"),
            )
        return {name: body[name] for name in names if body.get(name) is not None}
    except (ValueError, AttributeError, TypeError):
        # It is reported as such; here it only names no place.
        return {}
