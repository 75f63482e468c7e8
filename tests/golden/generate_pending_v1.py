"""Writes pending_v1.json, pending_diff_v1.arrow and pending_rows_v1.arrow: a change that waits.

Run it only when the format gets a new version, and give the files another name then.
"""

from __future__ import annotations

import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

import lakecore
from lakecore.tables import Sql

FOLDER = Path(__file__).parent
SET = {"seats": Sql("seats + 1"), "share": Decimal("0.5"), "engine": None}
ROWS = [{"tailnum": "N3", "seats": 7}, {"tailnum": "N4", "seats": None}]


def waiting() -> tuple[dict[str, Any], bytes, bytes]:
    """The document of an update that waits, its diff, and the rows of an insert that does."""
    with tempfile.TemporaryDirectory() as folder, lakecore.open(folder, actor="ada") as lake:
        lake.create("planes", key="tailnum", entity_type="plane")
        planes = {"tailnum": ["N1", "N2"], "seats": [55, 182], "share": [1.0, None]}
        lake.insert("planes", pa.table({**planes, "engine": ["jet", "jet"]}))
        where = "tailnum = 'N1'"
        options: dict[str, Any] = {"tier": "dry_run", "reason": "refit"}
        held = lake.update("planes", set=SET, where=where, mutation_id="m1", **options)
        rows = lake.insert("planes", ROWS, mutation_id="m2", **options)
        store = lake._parts.store
        document = lake._parts.documents.get("pending", held.mutation_id)
        body = lake.pending_change(rows.mutation_id).body
        assert document is not None
        content = json.loads(store.get(document.path))
        return content, store.get(content["body"]["diff"]), store.get(body["rows"])


if __name__ == "__main__":
    document, diff, rows = waiting()
    (FOLDER / "pending_v1.json").write_text(json.dumps(document, indent=1) + "\n")
    (FOLDER / "pending_diff_v1.arrow").write_bytes(diff)
    (FOLDER / "pending_rows_v1.arrow").write_bytes(rows)
