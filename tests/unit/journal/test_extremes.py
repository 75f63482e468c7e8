"""What people put into journals: any Unicode, large values, very many entities."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.journals import open_journal

from lakecore.base import InvalidInput, ManualClock
from lakecore.base.limits import KIB, MIB
from lakecore.journal import Event
from lakecore.storage import open_store

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "0"))
ENTITIES = min(200_000 + ROUNDS * 5_000, 10_000_000)
"""Ten million in a long run."""

ENTITY_IDS = st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60
) | st.sampled_from(
    ["\x00", "a\x00b", "'; drop table events; --", "../../etc", "N1\n", "é", "e\u0301", "\u202eabc"]
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(ids=st.lists(ENTITY_IDS, min_size=1, max_size=12))
def test_entities_of_any_name(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> None:
    """Each entity has its own events and nobody else's, before and after sealing."""
    folder = tmp_path_factory.mktemp("lake")
    with open_journal(open_store(str(folder / "lake")), folder / "state") as journal:
        journal.record_many(
            Event(entity_type="t", entity_id=name, action="insert", actor="ada", new_value=str(n))
            for n, name in enumerate(ids)
        )
        for _ in range(2):
            for name in ids:
                found = [event.new_value for event in journal.entity_history(name)]
                assert found == [str(n) for n, other in enumerate(ids) if other == name]
            journal.seal()
        assert journal.verify().status == "green"


@pytest.mark.parametrize("size_bytes", [16 * KIB - 2, 16 * KIB, 17 * KIB, 5 * MIB])
def test_values_of_megabytes(tmp_path: Path, size_bytes: int) -> None:
    """A value comes back as it was recorded, however long it is, beside short ones."""
    clock = ManualClock()
    large = json.dumps("ä" + "x" * size_bytes, ensure_ascii=False)
    with open_journal(open_store("memory://"), tmp_path, clock=clock) as journal:
        for number in range(70):
            clock.advance(1)
            new = large if number == 40 else str(number)
            journal.record(
                Event(entity_type="t", entity_id="e", action="update", actor="ada", new_value=new)
            )
        for _ in range(2):
            values = [event.new_value for event in journal.entity_history("e")]
            assert values[40] == large
            assert values[39] == "39"
            assert len(values) == 70
            journal.seal()
        assert journal.verify().status == "green"


def test_clocks_that_jump(tmp_path: Path) -> None:
    """Order is that of the record; a clock that goes back loses and doubles nothing."""
    clock = ManualClock()
    with open_journal(open_store("memory://"), tmp_path, clock=clock) as journal:
        moments = [0, 3_600_000_000, -7_200_000_000, 1, -1, 10**12, -(10**12)]
        for number, step in enumerate(moments * 3):
            clock.advance(step)
            journal.record(
                Event(entity_type="t", entity_id=f"e{number}", action="insert", actor="ada")
            )
            if number % 4 == 0:
                journal.seal()
        journal.seal()
        newest = [event.entity_id for event in journal.recent(100)]
        assert newest == [f"e{number}" for number in reversed(range(21))]
        assert journal.verify().status == "green"


def test_a_time_no_format_can_hold_is_refused(tmp_path: Path) -> None:
    """Year 10,000 has no RFC 3339 text: refused before it is acknowledged."""
    with (
        open_journal(open_store("memory://"), tmp_path) as journal,
        pytest.raises(InvalidInput, match="timestamp"),
    ):
        journal.record(
            {
                "entity_type": "t",
                "entity_id": "e",
                "action": "insert",
                "actor": "ada",
                "timestamp": 253_402_300_800_000_000,
            }
        )


def test_very_many_entities(tmp_path: Path) -> None:
    """Each of them is found by its name alone."""
    with open_journal(open_store(str(tmp_path / "lake")), tmp_path / "state") as journal:
        for first in range(0, ENTITIES, 100_000):
            names = pa.array([f"E{n:09d}" for n in range(first, first + 100_000)])
            journal.record_batch(
                pa.table(
                    {
                        "entity_type": pa.repeat("part", len(names)),
                        "entity_id": names,
                        "action": pa.repeat("insert", len(names)),
                        "actor": pa.repeat("loader", len(names)),
                    }
                )
            )
            if first % 1_000_000 == 0:
                journal.seal()
        journal.seal()
        rng = np.random.default_rng(7)
        for n in (0, ENTITIES - 1, *rng.integers(0, ENTITIES, 8)):
            assert [event.seq for event in journal.entity_history(f"E{n:09d}")] == [n]
        assert journal.entity_history(f"E{ENTITIES:09d}") == []
