"""Writes a spool of records of format 1, as it is found in state directories.

The statements are those of the release that wrote it, so that a change of the code does not
change the file:

    python -m tests.golden.generate_records_v1
"""

from __future__ import annotations

import io
import sqlite3
import zlib
from pathlib import Path

import pyarrow as pa

SPOOL = Path(__file__).with_name("records_v1.sqlite")
SPOOL_ID = "0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c2e"
LAST = 1_700_000_000_000_003
SCHEMA = pa.schema([("time", pa.timestamp("us", "UTC")), ("run", pa.string()), ("n", pa.int64())])
BATCHES = {
    LAST - 2: ("system.steps", [(1, "a", 1), (2, None, 2)], None),
    LAST - 1: ("system.notes", [(3, "ü", 3)], None),
    LAST: ("system.steps", [(4, "a", 4)], "InvalidInput: not these"),
}
_TABLES = """
CREATE TABLE meta (format INTEGER NOT NULL, spool_id TEXT NOT NULL, last INTEGER NOT NULL);
CREATE TABLE batch (
    number INTEGER PRIMARY KEY, dataset TEXT NOT NULL, rows INTEGER NOT NULL,
    crc INTEGER NOT NULL, refused TEXT, data BLOB NOT NULL
);
CREATE TABLE seen (first INTEGER PRIMARY KEY, ids BLOB NOT NULL);
"""


def data_of(rows: list[tuple[int, str | None, int]]) -> bytes:
    """An Arrow stream of one batch, LZ4."""
    names = enumerate(SCHEMA)
    columns = [pa.array([row[at] for row in rows], field.type) for at, field in names]
    batch = pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(sink, SCHEMA, options=options) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def write(path: Path) -> None:
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(_TABLES)
    connection.execute("INSERT INTO meta VALUES (1, ?, ?)", (SPOOL_ID, LAST))
    for number, (dataset, rows, refused) in BATCHES.items():
        data = data_of(rows)
        row = (number, dataset, len(rows), zlib.crc32(data), refused, data)
        connection.execute("INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?)", row)
    # The first 16 bytes of SHA-256("system.steps\\0" + id), of "one" and "two".
    ids = bytes.fromhex("3b6c9dc133d610654fdab0c3c1d28d56f06a3f5c58c9376e7f8e20509b86225c")
    connection.execute("INSERT INTO seen VALUES (?, ?)", (LAST - 2, ids))
    connection.commit()
    connection.close()


if __name__ == "__main__":
    write(SPOOL)
