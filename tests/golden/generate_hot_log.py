"""Writes hot logs of formats 1 to 3, as they are found in state directories.

The statements are those of the releases that wrote them, so that a change of the code does
not change the files:

    python -m tests.golden.generate_hot_log
"""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

import pyarrow as pa
from tests.fakes.journals import sample

from lakecore.journal._hot.batch import encode_table
from lakecore.journal._hot.keys import keys_of

LOG_V1 = Path(__file__).with_name("journal_hot_v1.sqlite")
LOG_V2 = Path(__file__).with_name("journal_hot_v2.sqlite")
LOG_V3 = Path(__file__).with_name("journal_hot_v3.sqlite")
LOG_ID = "0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c2e"

_META = "CREATE TABLE meta (format INTEGER NOT NULL, log_id TEXT NOT NULL)"
_BATCH = (
    "CREATE TABLE batch (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, "
    "encoding INTEGER NOT NULL, crc INTEGER NOT NULL, {keys}data BLOB NOT NULL)"
)


def events() -> pa.Table:
    """The events of both: two in a batch of JSON rows, forty in an Arrow stream."""
    return pa.concat_tables([sample("a", 2), sample("b", 40)])


def write(path: Path, number: int) -> None:
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute(_META)
    connection.execute("INSERT INTO meta VALUES (?, ?)", (number, LOG_ID))
    if number == 3:
        connection.execute("ALTER TABLE meta ADD COLUMN crc INTEGER")
        connection.execute("UPDATE meta SET crc = ?", (zlib.crc32(f"3 {LOG_ID}".encode()),))
    connection.execute(_BATCH.format(keys="keys BLOB, " if number > 1 else ""))
    first = 0
    for prefix, count in (("a", 2), ("b", 40)):
        encoding, data = encode_table(sample(prefix, count))
        row = [first, count, encoding, zlib.crc32(data), data]
        if number > 1:
            marked = [f"b:{n}" if prefix == "b" and n % 2 == 0 else None for n in range(count)]
            row.insert(4, keys_of(marked) if any(marked) else None)
        places = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO batch VALUES ({places})", row)
        first += count
    connection.commit()
    connection.close()


if __name__ == "__main__":
    write(LOG_V1, 1)
    write(LOG_V2, 2)
    write(LOG_V3, 3)
