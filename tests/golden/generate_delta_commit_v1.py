"""Writes delta_commit_v1.ndjson: one commit of a table, and the digest of what it does.

Run it after a deliberate change of the format, which is a new version; never to make a
test pass:

    python -m tests.golden.generate_delta_commit_v1
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from lakecore.journal import CommitRecord, Mutation
from lakecore.tables._delta_log import (
    AddFile,
    Commit,
    RemoveFile,
    metadata_for,
    protocol_for,
)

PATH = Path(__file__).with_name("delta_commit_v1.ndjson")
ACTIONS_SHA256 = "012804d82682d26323c1e4ac34272e1925d0e99c9bc1ab31c13d26d341672528"
"""What the last event of this commit carries."""

SCHEMA = pa.schema([("tailnum", pa.string()), ("seats", pa.int64()), ("at", pa.timestamp("us"))])


def commit() -> bytes:
    """A commit with every kind of action, whose bytes are fixed for ever."""
    mutation = Mutation(
        mutation_id="01890a5d-ac96-774b-bcce-b302099a8057",
        actor="ada",
        source="api",
        workspace_id="",
        reason="recount: “é”",
        timestamp_us=1_700_000_000_000_001,
        context={"run": 7, "decision": {"tier": "auto", "rules": {"version": 3}}},
    )
    record = CommitRecord(
        commit_id="01890a5d-ac96-774b-bcce-b302099a8058",
        event_count=2,
        digest="ab" * 32,
        mutations=(mutation,),
    )
    return Commit(
        operation="UPDATE",
        parameters={"predicate": "tailnum = 'N10156'"},
        timestamp_us=1_700_000_000_000_001,
        record=record.to_json(),
        protocol=protocol_for(SCHEMA),
        metadata=metadata_for(
            SCHEMA,
            table_id="6f1c5a52-4f0e-4a58-9d0e-1d8f0f0c0b11",
            created_us=1_690_000_000_000_000,
        ),
        txn=("lakecore-ingest:" + "0" * 64, 1),
        removes=[RemoveFile(path="part-old.parquet", size_bytes=10)],
        adds=[
            AddFile(
                path="part-new.parquet",
                size_bytes=12,
                rows=2,
                stats='{"numRecords":2}',
                sha256="cd" * 32,
            ),
            AddFile(path="part-foreign.parquet", size_bytes=12, rows=2),
        ],
        engine="lakecore/1",
    ).to_bytes()


if __name__ == "__main__":
    PATH.write_bytes(commit())
