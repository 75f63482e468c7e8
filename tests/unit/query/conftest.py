"""The lake and the engine that the query tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from tests.fakes.delta_lake import DeltaLake

from lakecore.query import QueryEngine, QuerySettings

PLANES = pa.table(
    {
        "tailnum": ["N10156", "N102UW", "N103US", "N104UW"],
        "seats": pa.array([55, 182, 182, None], pa.int64()),
        "maker": ["EMBRAER", "AIRBUS", "AIRBUS", None],
    }
)


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """`main.planes` with versions 0 (two planes) and 1 (four), `system.journal`, `numbers`."""
    lake = DeltaLake(tmp_path / "tables")
    lake.write("planes", PLANES.slice(0, 2))
    lake.write("planes", PLANES.slice(2))
    lake.others["system", "journal"] = pa.table({"seq": [0, 1], "action": ["insert", "update"]})
    lake.others["main", "numbers"] = pa.table({"n": pa.array(range(20_000), pa.int64())})
    return lake


@pytest.fixture
def spill(tmp_path: Path) -> Path:
    """Where the engine of a test spills."""
    return tmp_path / "spill"


@pytest.fixture
def engine(lake: DeltaLake, spill: Path) -> Iterator[QueryEngine]:
    """An engine over the lake, closed after the test."""
    with QueryEngine(lake, QuerySettings(spill_directory=spill)) as engine:
        yield engine
