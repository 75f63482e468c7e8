"""Rows that a deletion vector takes out: applied on both sides of a version."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from deltalake import write_deltalake
from tests.unit.reconcile.conftest import ROWS, Lake, rows_of

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def vector(*rows: int) -> dict[str, Any]:
    """An inline deletion vector (Delta protocol, "Deletion Vector Format")."""
    # One array container of a 32-bit bitmap, in the portable format of Roaring bitmaps.
    bitmap = struct.pack("<IIHHI", 12346, 1, 0, len(rows) - 1, 16)
    bitmap += b"".join(struct.pack("<H", row) for row in rows)
    data = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
    padded = data + bytes(-len(data) % 4)
    text = ""
    for start in range(0, len(padded), 4):
        number = int.from_bytes(padded[start : start + 4], "big")
        text += "".join(_DIGITS[number // 85**power % 85] for power in range(4, -1, -1))
    return {
        "storageType": "i",
        "pathOrInlineDv": text,
        "sizeInBytes": len(data),
        "cardinality": len(rows),
    }


def commit(place: Path, version: int, *actions: dict[str, Any]) -> None:
    """A version as an engine with deletion vectors writes it."""
    info = {"commitInfo": {"timestamp": 1_700_000_000_000, "operation": "DELETE"}}
    text = "".join(json.dumps(action) + "\n" for action in (info, *actions))
    (place / "_delta_log" / f"{version:020d}.json").write_text(text)


def test_deletion_vectors(lake: Lake) -> None:
    """The same file with another vector: the rows that differ, and nothing else."""
    place = lake.place / "landing" / "routes"
    write_deltalake(str(place), rows_of(*ROWS))
    lake.lake.adopt("landing/routes", dataset="routes", key=["id"])
    first = place / "_delta_log" / f"{0:020d}.json"
    added = next(
        json.loads(line)["add"] for line in first.read_text().splitlines() if '"add"' in line
    )
    features = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"],
        "writerFeatures": ["deletionVectors", "appendOnly", "invariants"],
    }
    gone = {"path": added["path"], "dataChange": True, "deletionTimestamp": 1}
    one, two = vector(0), vector(0, 2)
    commit(
        place,
        1,
        {"protocol": features},
        {"remove": gone},
        {"add": {**added, "deletionVector": one}},
    )
    commit(
        place,
        2,
        {"remove": {**gone, "deletionVector": one}},
        {"add": {**added, "deletionVector": two}},
    )
    report = lake.lake.reconcile()
    assert [(v.kind, v.deleted, v.why) for v in report.versions] == [
        ("changes", 1, ""),
        ("changes", 1, ""),
    ]
    assert [change[:2] for change in lake.changes(1, "routes")] == [
        ("delete", "1"),
        ("set_protocol", "routes"),
    ]
    assert [change[:2] for change in lake.changes(2, "routes")] == [("delete", "3")]
    assert lake.green()


def test_a_vector_that_cannot_be_read(lake: Lake) -> None:
    """A gap that says so."""
    place = lake.place / "landing" / "routes"
    write_deltalake(str(place), rows_of(*ROWS))
    lake.lake.adopt("landing/routes", dataset="routes", key=["id"])
    first = place / "_delta_log" / f"{0:020d}.json"
    added = next(
        json.loads(line)["add"] for line in first.read_text().splitlines() if '"add"' in line
    )
    lost = {"storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^", "offset": 4}
    lost |= {"sizeInBytes": 40, "cardinality": 1}
    gone = {"path": added["path"], "dataChange": True}
    commit(place, 1, {"remove": gone}, {"add": {**added, "deletionVector": lost}})
    (found,) = lake.lake.reconcile().versions
    assert found.kind == "gap"
    assert "deletion vector" in found.why
