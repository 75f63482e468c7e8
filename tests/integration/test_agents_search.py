"""What an agent finds by its tool `search`: by the rights of its principal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import lakecore
from lakecore.agents import lake_tools
from lakecore.app._acting import ActingLake
from lakecore.auth import Principal, Scopes
from lakecore.base import LakecoreError


def _asked(lake: lakecore.Lake, reads: str, **given: str) -> dict[str, Any]:
    principal = Principal(name="agent:look", kind="agent", scopes=Scopes({"read": (reads,)}))
    tools = lake_tools(ActingLake(lake, principal), principal)
    [tool] = [one for one in tools if one.name == "search"]
    told: dict[str, Any] = json.loads(tool.run(given, "s-1").text)
    return told


def test_an_agent_searches_what_it_may_read(tmp_path: Path) -> None:
    """The row, best first, and how far the index is behind; of another's dataset nothing."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        rows = [{"id": n, "note": f"wing {n}"} for n in range(5)]
        lake.create("notes", key=["id"])
        lake.insert("notes", [*rows, {"id": 9, "note": "a loose rivet"}])
        lake.index.create("words", "notes", ["note"], kind="text")
        lake.insert("notes", [{"id": 10, "note": "another rivet"}])
        found = _asked(lake, "notes", index="words", text="rivet")
        assert [row["id"] for row in found["rows"]] == [9]
        assert found["rows_behind"] == 1
        narrowed = _asked(lake, "notes", index="words", text="wing rivet", where="id < 2")
        assert sorted(row["id"] for row in narrowed["rows"]) == [0, 1]
        with pytest.raises(LakecoreError):
            _asked(lake, "planes", index="words", text="rivet")
