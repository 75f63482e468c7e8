"""Both faces of a lake, made anew for a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faces import Faces
from tests.gateways import ALL, serving

import lakecore


@pytest.fixture
def faces(tmp_path: Path) -> Iterator[Faces]:
    """Both, empty but for the three planes that a served lake begins with."""
    (tmp_path / "served").mkdir()
    with (
        lakecore.open(tmp_path / "lake", actor="ada") as opened,
        serving(tmp_path / "served") as served,
        lakecore.Client(served.url, served.key("ada", *ALL)) as client,
    ):
        served.lake.drop("planes")
        yield Faces(opened, client, tmp_path)
