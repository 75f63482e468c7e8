"""Writes row_hash_v1.json: rows, their records and their hashes, by the plain definition.

Run it after a deliberate change of the format, which is a new version; never to make a
test pass:

    python -m tests.golden.generate_row_hash_v1
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakecore.journal._values.row_hash import kind_of, row_hashes, row_record

PATH = Path(__file__).with_name("row_hash_v1.json")
SCHEMA = pa.schema(
    [
        ("z", pa.int16()),
        ("a", pa.float64()),
        ("ok", pa.bool_()),
        ("day", pa.date32()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("local", pa.timestamp("us")),
        ("name", pa.string()),
        ("raw", pa.binary()),
        ("price", pa.decimal128(10, 2)),
        ("tags", pa.list_(pa.string())),
    ]
)


def rows() -> list[dict[str, Any]]:
    """Rows whose hashes are fixed for ever."""
    full = {
        "z": -2,
        "a": 0.1,
        "ok": True,
        "day": date(2026, 1, 31),
        "at": datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC),
        "local": datetime(1969, 12, 31, 23, 59, 59, 999_999),
        "name": "N10156 é 😀",
        "raw": b"\x00\xff",
        "price": Decimal("12.30"),
        "tags": ["a", None],
    }
    nothing: dict[str, Any] = dict.fromkeys(full)
    odd = {**full, "a": float("nan"), "name": "", "raw": b"", "tags": [], "z": 0, "ok": False}
    return [full, nothing, odd]


def content() -> dict[str, Any]:
    """What the golden file holds."""
    table = pa.Table.from_pylist(rows(), schema=SCHEMA)
    return {
        "columns": [[field.name, kind_of(field.type)] for field in SCHEMA],
        "records": [row_record(row, SCHEMA).hex() for row in rows()],
        "hashes": [hashlib.sha256(row_record(row, SCHEMA)).hexdigest() for row in rows()],
        "vectorised": [bytes(row).hex() for row in row_hashes(table)],
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(content(), indent=1) + "\n")
