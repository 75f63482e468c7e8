"""Double keys are found in memory and by spilling alike; keys that name nothing are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.tables.conftest import Lake, Ref

from lakecore.base import InvalidInput
from lakecore.storage import open_store
from lakecore.tables import TableSettings, _new_keys

SPILLING = TableSettings(keys_in_memory=0, file_rows=3, row_group_rows=2)
IN_MEMORY = TableSettings(file_rows=3, row_group_rows=2)
VALUES: dict[str, tuple[pa.DataType, list[Any], str]] = {
    "text": (pa.string(), ["a", "b", 'q"', "d"], 'q"'),
    "int": (pa.int64(), [1, 2, 2**60, 4], str(2**60)),
    "date": (pa.date32(), [date(2020, 1, d) for d in (1, 2, 3, 4)], "2020-01-03"),
    "zoned": (
        pa.timestamp("us", "UTC"),
        [datetime(2020, 1, d, tzinfo=UTC) for d in (1, 2, 3, 4)],
        "2020-01-03T00:00:00.000000Z",
    ),
    "decimal": (pa.decimal128(9, 2), [Decimal(n) / 4 for n in (1, 2, 3, 4)], "0.75"),
    "binary": (pa.binary(), [b"1", b"2", b"\xff", b"4"], "/w=="),
    "bool": (pa.bool_(), [True], "true"),
}


@pytest.mark.parametrize("settings", [IN_MEMORY, SPILLING], ids=["memory", "spilling"])
@pytest.mark.parametrize("name", VALUES)
def test_double_keys_are_found(name: str, settings: TableSettings, tmp_path: Path) -> None:
    """Against the table and inside the input, whatever the type, named as the journal would."""
    kind, values, shown = VALUES[name]
    lake = Lake(open_store(str(tmp_path)), settings=settings)
    lake.append(pa.table({"id": pa.array(values, kind), "v": values}))
    third = values[min(2, len(values) - 1)]
    assert shown in [event.entity_id for event in lake.events()]
    again = pa.table({"id": pa.array([third], kind)})
    with pytest.raises(InvalidInput, match="already") as caught:
        lake.append(again)
    assert caught.value.found == shown
    with pytest.raises(InvalidInput, match="more than once"):
        lake.replace(pa.concat_tables([again, again]))
    other = Lake(open_store(str(tmp_path)), dataset=Ref(location="tables/other"), settings=settings)
    with pytest.raises(InvalidInput, match="more than once") as caught:
        other.append(pa.concat_tables([again, again]))
    assert caught.value.found == shown


@pytest.mark.parametrize("settings", [IN_MEMORY, SPILLING], ids=["memory", "spilling"])
def test_composite_keys(settings: TableSettings, tmp_path: Path) -> None:
    """Only the combination has to be new."""
    dataset = Ref(key=("a", "b"))
    lake = Lake(open_store(str(tmp_path)), dataset=dataset, settings=settings)
    lake.append({"a": ["x", "x", "y"], "b": [1, 2, 1]})
    lake.append({"a": ["y"], "b": [2]})
    with pytest.raises(InvalidInput) as caught:
        lake.append({"a": ["z", "x"], "b": [1, 2]})
    assert caught.value.found == '["x",2]'


def test_errors_name_five_keys(lake: Lake) -> None:
    """However many there are."""
    lake.append({"id": list(range(50))})
    with pytest.raises(InvalidInput) as caught:
        lake.append({"id": list(range(50))})
    assert len((caught.value.found or "").split(", ")) == 5


def test_keys_that_name_nothing(lake: Lake) -> None:
    """Null, NaN, over-long and nested keys, and a missing key column."""
    for rows, words in (
        ({"id": ["a", None]}, "row 2"),
        ({"id": [1.0, float("nan")]}, "NaN"),
        ({"id": ["x" * 1025]}, "too long"),
        ({"id": [[1]]}, "cannot be a key"),
        ({"ID": [1]}, "missing"),
    ):
        with pytest.raises(InvalidInput, match=words):
            lake.append(rows)
    with pytest.raises(InvalidInput, match="missing"):
        lake.upsert({"v": [1]})


@pytest.mark.parametrize("hashing", ["as it is", "all alike"])
def test_many_keys_spilled_in_parts(
    hashing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several files of hashes find what one would; equal hashes alone refuse nothing."""
    monkeypatch.setattr(_new_keys, "_PARTITION_ROWS", 8)
    monkeypatch.setattr(_new_keys, "_MAX_DOUBTFUL", 5)
    if hashing == "all alike":
        monkeypatch.setattr(
            _new_keys._Spilled,
            "_hashes",
            lambda self, keys: np.zeros(keys.height, np.uint64),
        )
    settings = TableSettings(keys_in_memory=0, file_rows=40, chunk_rows=16)
    lake = Lake(open_store(str(tmp_path)), settings=settings)
    first = [f"k{number}" for number in range(100)]
    lake.append({"id": first, "v": first})
    second = [f"k{number}" for number in range(100, 150)]
    lake.append({"id": second, "v": second})
    for bad, message in (
        ([*(f"n{n}" for n in range(60)), "k42"], "already"),
        ([*(f"n{n}" for n in range(60)), "n7"], "more than once"),
    ):
        with pytest.raises(InvalidInput, match=message) as caught:
            lake.append({"id": bad, "v": bad})
        assert caught.value.found == bad[-1]
    assert len(lake.rows()) == 150
