"""A lake with planes, and a workspace in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lakecore
from lakecore.app import Lake

PLANES = [{"tailnum": f"N{number}", "seats": number, "engine": "jet"} for number in range(6)]


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake with a keyed, an unkeyed and an empty dataset."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        fill(lake)
        yield lake


def fill(lake: Lake) -> None:
    """Three datasets: with rows and a key, with rows, with neither rows nor columns."""
    lake.create("planes", key="tailnum", entity_type="plane")
    lake.insert("planes", PLANES)
    lake.create("log")
    lake.insert("log", [{"line": "first"}])
    lake.create("ops.crews", key="id")


def seats(lake: Any) -> dict[str, Any]:
    """Every plane's seats, of a lake or a workspace."""
    return {row["tailnum"]: row["seats"] for row in lake.sql("select * from planes").to_pylist()}
