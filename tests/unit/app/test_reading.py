"""A row at a moment, its history and a dataset's changes, from Python and in SQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

import lakecore
from lakecore.app import Lake
from lakecore.base import InvalidInput, NotFound, Refused
from lakecore.config import QuerySettings, Settings
from lakecore.journal import Event, json_text

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("n", pa.int64()),
        ("price", pa.decimal128(12, 2)),
        ("at", pa.timestamp("us", tz="UTC")),
        ("day", pa.date32()),
        ("f", pa.float64()),
        ("tags", pa.list_(pa.string())),
        ("place", pa.struct([("x", pa.int64()), ("name", pa.string())])),
    ]
)
IDS = list("abcde")
ROW = st.fixed_dictionaries(
    {
        "id": st.sampled_from(IDS),
        "n": st.none() | st.integers(-3, 3) | st.just(2**60),
        "price": st.none() | st.decimals(-99, 99, places=2),
        "at": st.none()
        | st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
        "day": st.none() | st.dates(),
        "f": st.none() | st.sampled_from([0.5, -1e21, float("inf"), float("nan")]),
        "tags": st.none() | st.lists(st.none() | st.sampled_from(["", 'a"b', "é"]), max_size=2),
        "place": st.none()
        | st.fixed_dictionaries(
            {"x": st.none() | st.integers(0, 3), "name": st.none() | st.just("here")}
        ),
    }
)
ROWS = st.lists(ROW, min_size=1, max_size=4, unique_by=lambda row: str(row["id"]))
NUMBERS = pa.schema(
    [
        *SCHEMA,
        ("i", pa.int32()),
        ("g", pa.float32()),
    ]
)
COLUMN_CHANGE = st.one_of(
    st.tuples(st.just("rename"), st.sampled_from(["id", "n", "price", "tags", "place"])),
    st.tuples(st.just("drop"), st.sampled_from(["n", "f", "at", "place", "new"])),
    st.tuples(st.just("add"), st.sampled_from(["string", "double", "decimal(4,1)"])),
    st.tuples(
        st.just("widen"),
        st.sampled_from(
            [("price", "decimal(20,5)"), ("day", "timestamp"), ("i", "long"), ("g", "double")]
        ),
    ),
    st.tuples(st.just("both"), st.sampled_from(["n", "f"])),
    st.tuples(st.just("restore"), st.integers(0, 9)),
    st.tuples(st.just("name"), st.sampled_from(["t", "u", "v"])),
)
CHANGE = st.one_of(
    st.tuples(st.sampled_from(["insert", "upsert", "partial", "replace"]), ROWS),
    st.tuples(st.just("update"), st.integers(-3, 3)),
    st.tuples(st.just("rekey"), st.sampled_from(IDS)),
    st.tuples(st.just("delete"), st.sampled_from(IDS)),
)


def change(lake: Lake, kind: str, argument: Any) -> None:
    """One change; those that do not fit change nothing."""
    try:
        if kind == "update":
            lake.update("t", where=f"n > {argument}", set={"n": argument, "f": None})
        elif kind == "rekey":
            lake.update("t", where=f"id = '{argument}'", set={"id": "z"})
        elif kind == "delete":
            lake.delete("t", where=f"id = '{argument}'")
        else:
            rows = pa.Table.from_pylist(argument, schema=SCHEMA)
            rows = rows.select(["id", "n", "tags"]) if kind == "partial" else rows
            getattr(lake, "upsert" if kind == "partial" else kind)("t", rows)
    except (InvalidInput, Refused):
        return


def texts(rows: pa.Table) -> dict[str, dict[str, str]]:
    """JSON text by column, of each row by its id, the first column."""
    columns = {name: json_text(rows.column(name)).to_pylist() for name in rows.schema.names}
    ids = rows.column(0).to_pylist()
    return {key: {name: columns[name][at] for name in columns} for at, key in enumerate(ids)}


@settings(max_examples=12, deadline=None)
@given(changes=st.lists(CHANGE, min_size=1, max_size=6))
def test_the_state_of_every_version_is_the_row_of_that_version(
    changes: list[tuple[str, Any]],
) -> None:
    """What the journal folds is what the table had, value by value, whatever was done."""
    with lakecore.open("memory://", actor="ada") as lake:
        entry = lake.create("t", key="id")
        lake.insert("t", pa.Table.from_pylist([{"id": "a"}], schema=SCHEMA))
        for kind, argument in changes:
            change(lake, kind, argument)
        newest = lake.describe("t")["version"]
        for version in range(newest + 1):
            held = texts(lake.as_of("t", version=version).to_arrow())
            for key in [*IDS, "z"]:
                state = lake.journal.state(key, dataset_id=entry.dataset_id, version=version)
                assert (None if state is None else dict(state.fields)) == held.get(key)


def column_change(lake: Lake, kind: str, argument: Any) -> None:
    """One change of columns or of the dataset; those that do not fit change nothing."""
    (entry,) = lake.datasets()
    name = entry.name
    try:
        if kind == "rename":
            lake.alter(name, rename={argument: f"{argument}{lake.describe(name)['version']}"})
        elif kind == "drop":
            lake.alter(name, drop=[argument])
        elif kind == "add":
            lake.alter(name, add={"new": argument})
        elif kind == "widen":
            lake.alter(name, widen=dict([argument]))
        elif kind == "both":
            lake.alter(name, drop=[argument], add={argument: "long"})
        elif kind == "restore":
            lake.restore(name, version=argument)
        elif kind == "name":
            lake.rename(name, argument)
        else:
            lake.upsert(name, pa.Table.from_pylist(argument, schema=NUMBERS))
    except (InvalidInput, NotFound):
        return


NUMBER_ROW = st.builds(
    lambda row, i, g: {**row, "i": i, "g": g},
    ROW,
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.floats(width=32),
)
NUMBER_ROWS = st.lists(NUMBER_ROW, min_size=1, max_size=3, unique_by=lambda row: str(row["id"]))


@settings(max_examples=int(os.environ.get("LAKECORE_SOAK_ROUNDS", "12")), deadline=None)
@given(
    rows=NUMBER_ROWS,
    changes=st.lists(
        COLUMN_CHANGE | st.tuples(st.just("upsert"), NUMBER_ROWS), min_size=1, max_size=6
    ),
    sealed=st.booleans(),
)
def test_the_state_of_every_version_has_the_columns_of_that_version(
    rows: list[dict[str, Any]], changes: list[tuple[str, Any]], sealed: bool
) -> None:
    """Names and values, whatever became of columns, keys and the dataset's own name."""
    with lakecore.open("memory://", actor="ada") as lake:
        entry = lake.create("t", key="id")
        lake.insert("t", pa.Table.from_pylist(rows, schema=NUMBERS))
        for kind, argument in changes:
            column_change(lake, kind, argument)
        if sealed:
            lake.journal.seal()
        (entry,) = lake.datasets()
        for version in range(lake.describe(entry.name)["version"] + 1):
            held = texts(lake.as_of(entry.name, version=version).to_arrow())
            for key in IDS:
                state = lake.journal.state(key, dataset_id=entry.dataset_id, version=version)
                assert (None if state is None else dict(state.fields)) == held.get(key)
                row = lake.entity(entry.name, key, version=version)
                assert row == (None if state is None else state.values())


def test_a_row_with_its_datasets_name(tmp_path: Path) -> None:
    """What became of the dataset's columns is no history of that row; in time, too."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        lake.create("t", key="id")
        lake.insert("t", [{"id": "t", "n": 1}])
        before = lake.history("t", "t")[-1].timestamp
        lake.alter("t", rename={"n": "m"}, add={"x": "long"})
        assert lake.entity("t", "t") == {"id": "t", "m": 1, "x": None}
        assert lake.entity("t", "t", time=before) == {"id": "t", "n": 1}
        assert [event.action for event in lake.history("t", "t")] == ["insert"]
        dataset_id = lake.dataset("t").dataset_id
        schema = lake.journal.state("t", "schema", dataset_id=dataset_id)
        assert schema is not None
        assert dict(schema.fields) == {"n": '"m"', "x": '"long"'}


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """Planes in four versions: two rows; one updated; one gone; one new with a new column."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        lake.create("planes", key="tailnum", entity_type="plane")
        lake.insert(
            "planes",
            [
                {"tailnum": "N1", "seats": 55, "price": Decimal("1.50")},
                {"tailnum": "N2", "seats": 182, "price": None},
            ],
        )
        lake.update("planes", where="tailnum = 'N1'", set={"seats": 60}, actor="bob", source="cli")
        lake.delete("planes", where="tailnum = 'N2'")
        lake.upsert("planes", [{"tailnum": "N3", "seats": 7, "maker": "BOEING"}])
        yield lake


def test_a_row_at_a_version_seq_or_time(lake: Lake) -> None:
    """Inclusive; None before it was there and when it is gone."""
    first = {"tailnum": "N1", "seats": 55, "price": "1.50"}
    events = lake.history("planes", "N1")
    times = [event.timestamp for event in events]
    assert times[0] is not None
    assert times[1] is not None
    assert lake.entity("planes", "N1", version=0) == first
    assert lake.entity("planes", "N1") == {**first, "seats": 60, "maker": None}
    assert lake.entity("planes", "N1", version=1) == {**first, "seats": 60}
    assert lake.entity("planes", "N1", time=times[0]) == first
    assert lake.entity("planes", "N1", time=times[1] - timedelta(microseconds=1)) == first
    assert lake.entity("planes", "N1", time=times[1].isoformat()) == {**first, "seats": 60}
    assert lake.entity("planes", "N1", time="2000-01-01T00:00:00Z") is None
    assert lake.entity("planes", "N2", version=1) is not None
    assert lake.entity("planes", "N2", version=2) is None
    assert lake.entity("planes", "N3", version=2) is None
    lake.journal.seal()
    seq = lake.history("planes", "N1")[1].seq
    assert seq is not None
    assert lake.entity("planes", "N1", seq=seq) == {**first, "seats": 60}
    assert lake.entity("planes", "N1", seq=seq - 1) == first


def test_moments_that_are_none(lake: Lake) -> None:
    """A version or seq that is not there yet, two moments, a dataset without a key."""
    with pytest.raises(NotFound, match="no such version"):
        lake.entity("planes", "N1", version=4)
    with pytest.raises(NotFound, match="no event has this seq yet"):
        lake.entity("planes", "N1", seq=10**6)
    with pytest.raises(InvalidInput, match="more than one moment"):
        lake.entity("planes", "N1", seq=0, version=0)
    lake.create("plain")
    with pytest.raises(NotFound, match="no key"):
        lake.entity("plain", "x")


def test_history_in_sql(lake: Lake) -> None:
    """All fields of the events, oldest first; it joins, and takes parameters."""
    found = lake.sql("select * from history('planes', 'N1')").to_arrow()
    events = [event.to_dict() for event in lake.history("planes", "N1")]
    assert found.column("event_id").to_pylist() == [event["event_id"] for event in events]
    assert found.schema.names == list(events[0])
    joined = lake.sql(
        "select p.seats, h.actor from planes p join history($name, $key) h "
        "on h.entity_id = p.tailnum where h.field = 'seats'",
        {"name": "planes", "key": "N1"},
    )
    assert joined.to_pylist() == [{"seats": 60, "actor": "bob"}]
    assert lake.sql("select * from history('planes', 'N9')").to_arrow().num_rows == 0


def test_history_of_a_key_of_several_columns(lake: Lake) -> None:
    """One argument each, or the JSON array."""
    lake.create("trips", key=["origin", "number"])
    lake.insert("trips", [{"origin": "JFK", "number": 7, "late": True}])
    for key in ("'JFK', 7", "'[\"JFK\",7]'"):
        assert lake.sql(f"select count(*) n from history('trips', {key})").to_pylist() == [{"n": 1}]


def changed(lake: Lake, arguments: str, params: Any = None) -> list[tuple[Any, ...]]:
    """Version, key and field of changes."""
    query = f"select version, key, field from changes({arguments}) order by 1, 2, 3"
    return [tuple(row.values()) for row in lake.sql(query, params).to_pylist()]


INSERTED = [(0, "N1", "*"), (0, "N2", "*")]
UPDATED = [(1, "N1", "seats")]
DELETED = [(2, "N2", "*")]
ADDED = [(3, "N3", "*")]
"""Not the column that came with it: the dataset is no row."""


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        ("'planes'", [*INSERTED, *UPDATED, *DELETED, *ADDED]),
        ("'planes', 0", [*UPDATED, *DELETED, *ADDED]),
        ("'planes', 0, 2", [*UPDATED, *DELETED]),
        ("'planes', null, 1", [*INSERTED, *UPDATED]),
        ("'planes', 2, 2", []),
        ("'main.planes', $low, $high", UPDATED),
        ("'planes', '2000-01-01', '2100-01-01T00:00:00Z'", [*INSERTED, *UPDATED, *DELETED, *ADDED]),
        ("'planes', '2000-01-01', '2000-01-02'", []),
    ],
)
def test_changes_in_sql(
    lake: Lake, arguments: str, rows: list[tuple[Any, ...]], sealed: bool
) -> None:
    """Behind the first, up to and with the second; versions, times, parameters, or open."""
    if sealed:
        lake.journal.seal()
    assert changed(lake, arguments, {"low": 0, "high": 1}) == rows


def test_what_is_not_about_rows_is_no_change(lake: Lake, tmp_path: Path) -> None:
    """Columns, the sum of a file's rows, the sum of another program's commit."""
    file = tmp_path / "more.csv"
    file.write_text("tailnum,seats\nN7,7\n")
    lake.ingest(file, dataset="planes", mode="upsert")
    lake.alter("planes", drop=["maker"])
    table = DeltaTable(str(tmp_path / "lake" / lake.dataset("planes").location))
    table.update(updates={"seats": "8"}, predicate="tailnum = 'N7'")
    assert lake.reconcile().problems == []
    assert changed(lake, "'planes', 3") == [(4, "N7", "*"), (6, "N7", "seats")]


def test_a_version_that_nobody_can_tell_is_a_change(lake: Lake, tmp_path: Path) -> None:
    """Rows with double keys are told as sets, and files that are gone as a gap."""
    place = tmp_path / "lake" / lake.dataset("planes").location
    table = DeltaTable(str(place))
    rows = table.to_pyarrow_table().slice(0, 1)
    write_deltalake(str(place), pa.concat_tables([rows, rows]), mode="append")
    write_deltalake(str(place), rows, mode="overwrite")
    lake.reconcile()
    before = DeltaTable(str(place)).file_uris()
    write_deltalake(str(place), rows.slice(0, 0), mode="overwrite")
    for uri in before:
        Path(uri).unlink()
    lake.reconcile()
    found = lake.sql("select version, action from changes('planes', 3) order by 1").to_pylist()
    assert [tuple(row.values()) for row in found] == [
        (4, "insert"),
        (5, "delete"),
        (6, "gap"),
    ]


def test_a_change_has_everything(lake: Lake) -> None:
    """Who, what, old and new; it joins with the rows."""
    lake.journal.seal()
    (row,) = lake.sql("select * from changes('planes', 0, 1)").to_pylist()
    event = lake.history("planes", "N1")[1]
    assert row.pop("timestamp") == event.timestamp
    assert row == {
        "version": 1,
        "action": "update",
        "key": "N1",
        "field": "seats",
        "old_value": "55",
        "new_value": "60",
        "actor": "bob",
        "source": "cli",
        "mutation_id": event.mutation_id,
        "seq": event.seq,
    }
    joined = "select p.price from changes('planes', 0, 1) c join planes p on c.key = p.tailnum"
    assert lake.sql(joined).to_pylist() == [{"price": Decimal("1.50")}]


@pytest.mark.parametrize(
    ("query", "error", "says"),
    [
        ("history('plane', 'N1')", NotFound, "no such table"),
        ("changes('plane', 0, 1)", NotFound, "no such table"),
        ("history('plain', 'N1')", NotFound, "has no key"),
        ("changes('plain', 0, 1)", NotFound, "has no key"),
        ("history('planes')", InvalidInput, "a row's key"),
        ("history('planes', null)", InvalidInput, "a row's key"),
        ("history()", InvalidInput, "a row's key"),
        ("changes()", InvalidInput, "two versions or times"),
        ("changes('planes', 0, 1, 2)", InvalidInput, "two versions or times"),
        ("changes('planes', 2, 1)", InvalidInput, "end before they begin"),
        ("changes('planes', 0, 9)", NotFound, "expected 0 to 3, found 9"),
        ("changes('planes', 9)", NotFound, "expected 0 to 3, found 9"),
        ("changes('planes', 'soon')", InvalidInput, "no version and no time"),
        ("changes('planes', -1, 1)", InvalidInput, "no version and no time"),
    ],
)
def test_what_has_no_answer(lake: Lake, query: str, error: type[Exception], says: str) -> None:
    """Each wrong question says what is wrong with it."""
    lake.create("plain")
    with pytest.raises(error, match=says):
        lake.sql(f"select * from {query}")


def test_a_dataset_without_rows_has_no_changes(lake: Lake) -> None:
    """Registered, keyed, empty."""
    lake.create("later", key="id")
    assert lake.sql("select * from changes('later')").to_arrow().num_rows == 0


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    """An isolated query asks this process for events, too."""
    isolated = Settings(query=QuerySettings())
    with lakecore.open(tmp_path / "lake", actor="ada", config=isolated) as lake:
        lake.create("planes", key="tailnum")
        lake.insert("planes", [{"tailnum": "N1", "seats": 55}])
        pairs = (
            "select count(*) n from history('planes', 'N1') h, changes('planes') c "
            "where h.entity_id <= c.key"
        )
        assert lake.sql(pairs, timeout_s=60).to_pylist() == [{"n": 1}]


def test_history_leaves_out_unmerged_workspaces(lake: Lake) -> None:
    """By default; on request one workspace's events."""
    lake.journal.record(
        Event(
            entity_type="plane",
            entity_id="N1",
            field="seats",
            action="update",
            new_value="99",
            dataset_id=lake.dataset("planes").dataset_id,
            workspace_id="w",
        )
    )
    assert [e.new_value for e in lake.history("planes", "N1", "seats")][1:] == ["60"]
    assert [e.new_value for e in lake.history("planes", "N1", workspace_id="w")] == ["99"]
    assert lake.entity("planes", "N1") == {
        "tailnum": "N1",
        "seats": 60,
        "price": "1.50",
        "maker": None,
    }
