"""The events of the journal's benchmarks, and the peers' tables of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from lakecore.journal import staged_schema

ROWS_PER_ENTITY = 20
BATCH = 4 << 16
START_US = 1_700_000_000_000_000
STEP_US = 1_000
NAMES = [name for name in staged_schema().names if name != "event_id"]
_ACTORS = ["ada", "bob", "eve", "agent-7", "pipeline"]
_FIELDS = ["seats", "status", "engine", "owner", "note"]


def batch(first: int, count: int, entities: int) -> pa.Table:
    """Events `first` to `first + count` of the journal; the same ones every time."""
    chance = np.random.default_rng(first)
    group = pa.array(np.arange(first, first + count) // 1000)
    texts = {
        "entity_id": _join("N", pa.array(chance.integers(0, entities, count))),
        "old_value": pa.array(chance.integers(0, 10_000, count)).cast(pa.string()),
        "new_value": pa.array(chance.integers(0, 10_000, count)).cast(pa.string()),
        "mutation_id": _join("0190f0c4-8a3c-7cc1-9a5e-", group),
        "actor": pa.array(_ACTORS).take(pa.array(chance.integers(0, len(_ACTORS), count))),
        "field": pa.array(_FIELDS).take(pa.array(chance.integers(0, len(_FIELDS), count))),
    }
    constant = {
        "entity_type": "plane",
        "action": "update",
        "source": "api",
        "workspace_id": "",
        "dataset": "main.planes",
        "dataset_id": "0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c00",
        "context": '{"reason":"nightly sync"}',
    }
    columns = texts | {name: pa.array([text] * count) for name, text in constant.items()}
    times = START_US + STEP_US * np.arange(first, first + count)
    columns["timestamp"] = pa.array(times, pa.timestamp("us", "UTC"))
    columns["version"] = group
    # Without ids: the journal gives them, as it does to everybody who brings none.
    return pa.table({name: columns[name] for name in NAMES})


def batches(events: int) -> Iterator[pa.Table]:
    for first in range(0, events, BATCH):
        yield batch(first, min(BATCH, events - first), max(1, events // ROWS_PER_ENTITY))


def in_postgresql(address: str, events: int) -> Any:
    """A connection to a table with the events, and an index on the entity."""
    import psycopg

    connection = psycopg.connect(address, autocommit=True)
    kinds = {"seq": "bigint PRIMARY KEY", "timestamp": "timestamptz", "version": "bigint"}
    columns = ", ".join(f'"{name}" {kinds.get(name, "text")}' for name in ["seq", *NAMES])
    connection.execute(f"CREATE TABLE event ({columns})")
    first = 0
    with connection.cursor() as cursor, cursor.copy("COPY event FROM STDIN (FORMAT csv)") as copy:
        for table in batches(events):
            seq = pa.array(range(first, first + table.num_rows))
            sink = pa.BufferOutputStream()
            options = csv.WriteOptions(include_header=False)
            csv.write_csv(table.add_column(0, "seq", seq), sink, options)
            copy.write(sink.getvalue().to_pybytes())
            first += table.num_rows
    connection.execute("CREATE INDEX by_entity ON event (entity_id, seq)")
    connection.execute("CREATE INDEX by_time ON event (timestamp)")
    connection.execute("VACUUM ANALYZE event")
    return connection


def in_sqlite(path: Path, events: int) -> sqlite3.Connection:
    """The events as a table with an index on the entity."""
    names = ["seq", *NAMES]
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(f"CREATE TABLE event ({', '.join(names)}, PRIMARY KEY (seq))")
    first = 0
    marks = ", ".join("?" * len(names))
    for table in batches(events):
        columns = [
            (column.cast(pa.int64()) if name == "timestamp" else column).to_pylist()
            for name, column in zip(table.schema.names, table.columns, strict=True)
        ]
        rows = zip(range(first, first + table.num_rows), *columns, strict=True)
        connection.executemany(f"INSERT INTO event VALUES ({marks})", rows)
        first += table.num_rows
    connection.execute("CREATE INDEX by_entity ON event (entity_id, seq)")
    connection.execute("CREATE INDEX by_time ON event (timestamp)")
    connection.commit()
    return connection


def rows_of(connection: sqlite3.Connection, query: str) -> object:
    rows = connection.execute(query)
    names = [column[0] for column in rows.description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _join(prefix: str, numbers: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(prefix, numbers.cast(pa.string()), "")
