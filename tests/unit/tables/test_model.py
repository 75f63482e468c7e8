"""Random changes against a dictionary, events replayed, and what other engines read."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.tables.conftest import Lake

from lakecore.base import InvalidInput
from lakecore.journal import Event
from lakecore.storage import open_store
from lakecore.tables import Sql, TableSettings

SCHEMA = pa.schema(
    [("id", pa.string()), ("n", pa.int64()), ("f", pa.float64()), ("t", pa.string())]
)
IDS = st.sampled_from("abcdefghij")
NUMBERS = st.none() | st.integers(-3, 3)
FLOATS = st.none() | st.sampled_from([0.0, -0.0, 1.5, float("nan"), float("inf")])
TEXTS = st.none() | st.sampled_from(["", "x", 'quote " and \\ back', "é\n"])
ROW = st.fixed_dictionaries({"id": IDS, "n": NUMBERS, "f": FLOATS, "t": TEXTS})
ROWS = st.lists(ROW, min_size=1, max_size=8, unique_by=lambda row: row["id"])
CHANGE = st.one_of(
    st.tuples(st.just("append"), ROWS),
    st.tuples(st.just("upsert"), ROWS),
    st.tuples(st.just("partial"), ROWS),
    st.tuples(st.just("replace"), ROWS),
    st.tuples(st.just("update"), st.integers(-3, 3)),
    st.tuples(st.just("rekey"), st.integers(-3, 3)),
    st.tuples(st.just("delete"), st.integers(-3, 3)),
)
Model = dict[str, dict[str, Any]]


def table(rows: list[dict[str, Any]], *columns: str) -> pa.Table:
    """Rows in the test's schema, all columns or those named."""
    whole = pa.Table.from_pylist(rows, schema=SCHEMA)
    return whole.select(columns) if columns else whole


def expect(model: Model, change: str, argument: Any) -> Model | None:
    """The model after a change; None when it has to be refused."""
    new = {key: dict(row) for key, row in model.items()}
    if change == "append":
        if any(row["id"] in new for row in argument):
            return None
        new |= {row["id"]: row for row in argument}
    elif change in ("upsert", "partial"):
        for row in argument:
            given = row if change == "upsert" else {"id": row["id"], "n": row["n"]}
            new[row["id"]] = {"f": None, "t": None, **new.get(row["id"], {}), **given}
    elif change == "replace":
        new = {row["id"]: row for row in argument}
    elif change == "update":
        for row in new.values():
            if row["n"] is not None and row["n"] > argument:
                row["n"], row["t"] = row["n"] - 1, "x"
    elif change == "rekey":
        moved = {k: r for k, r in new.items() if r["n"] == argument}
        new = {k: r for k, r in new.items() if k not in moved}
        new |= {k + "'": {**r, "id": k + "'"} for k, r in moved.items()}
        if len(new) != len(model):
            return None
    elif change == "delete":
        new = {k: r for k, r in new.items() if r["n"] is None or r["n"] < argument}
    return new


def apply(lake: Lake, change: str, argument: Any) -> None:
    """The same change on the table."""
    if change == "append":
        lake.append(table(argument))
    elif change == "upsert":
        lake.upsert(table(argument))
    elif change == "partial":
        lake.upsert(table(argument, "id", "n"))
    elif change == "replace":
        lake.replace(table(argument))
    elif change == "update":
        lake.update(where=f"n > {argument}", set={"n": Sql("n - 1"), "t": "x"})
    elif change == "rekey":
        lake.update(where=f"n = {argument}", set={"id": Sql("concat(id, '''')")})
    elif change == "delete":
        lake.delete(where=f"n >= {argument}")


def canonical(rows: list[dict[str, Any]]) -> list[str]:
    """Rows as sorted text: NaN equals itself, and the zeros each other."""
    return sorted(
        repr({k: 0.0 if v == 0 and isinstance(v, float) else v for k, v in sorted(row.items())})
        for row in rows
    )


def replay(events: list[Event]) -> list[dict[str, Any]]:
    """The rows that the events alone lead to; every old value is checked on the way."""
    rows: Model = {}
    for event in events:
        if event.action == "insert":
            assert event.entity_id not in rows
            assert event.new_value is not None
            rows[event.entity_id] = json.loads(event.new_value)
        elif event.action == "delete":
            assert json.loads(event.old_value or "") == rows.pop(event.entity_id)
        else:
            assert event.action == "update"
            assert json.loads(event.old_value or "") == rows[event.entity_id][event.field]
            rows[event.entity_id][event.field] = json.loads(event.new_value or "")
    special = {"NaN": float("nan"), "Infinity": float("inf")}
    for row in rows.values():
        row["f"] = special.get(row["f"], row["f"])
    return list(rows.values())


@settings(max_examples=40, deadline=None)
@given(st.lists(CHANGE, min_size=1, max_size=6), st.sampled_from([2, 5, 1_000]))
def test_changes_agree_with_a_dictionary(changes: list[tuple[str, Any]], file_rows: int) -> None:
    """After each change the table has the model's rows, and the events replayed give them too."""
    store = open_store("memory://")
    limits = TableSettings(file_rows=file_rows, row_group_rows=2, keys_in_memory=4)
    lake = Lake(store, settings=limits)
    lake.append(table([]))
    model: Model = {}
    for change, argument in changes:
        expected = expect(model, change, argument)
        if expected is None:
            try:
                apply(lake, change, argument)
            except InvalidInput:
                continue
            raise AssertionError("double keys were not refused")
        apply(lake, change, argument)
        model = expected
        assert canonical(lake.arrow().to_pylist()) == canonical(list(model.values()))
    assert canonical(_replayed(lake)) == canonical(list(model.values()))
    _engines_agree(lake)
    store.close()


def _replayed(lake: Lake) -> list[dict[str, Any]]:
    # The first commit of an empty table closes with a batch event of no rows.
    assert lake.events()[0].entity_id == "batch:0"
    events = lake.events()[1:]
    return replay(events)


def _engines_agree(lake: Lake) -> None:
    """Polars and DataFusion read what deltalake's pyarrow dataset reads."""
    import polars as pl
    from datafusion import SessionContext

    expected = canonical(lake.arrow().to_pylist())
    uri = lake.store.table_uri(lake.dataset.location)
    assert canonical(pl.read_delta(uri).to_dicts()) == expected
    view = lake.tables.open(lake.dataset)
    assert view is not None
    context = SessionContext()
    context.register_table("t", view.delta)
    assert canonical(context.sql("select * from t").to_pylist()) == expected
