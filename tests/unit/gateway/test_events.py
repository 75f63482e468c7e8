"""Many events at once are what they are one by one."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.auth import Principal
from lakecore.base import LakecoreError
from lakecore.gateway._events import own, own_batch, parse_alike, parse_events

EVENT = {"entity_type": "plane", "entity_id": "N1", "action": "inspect"}
TEXT = st.text(max_size=20)
OPTIONAL = ("event_id", "field", "old_value", "new_value", "actor", "source", "dataset", "context")


def lines(events: list[Any]) -> bytes:
    """As NDJSON."""
    return "".join(json.dumps(event) + "\n" for event in events).encode()


@settings(deadline=None)
@given(data=st.data())
def test_events_alike_are_read_as_a_table(data: st.DataObject) -> None:
    """The same members in all: cell for cell what the other way finds."""
    names = data.draw(st.lists(st.sampled_from(OPTIONAL), unique=True))
    cells = st.none() | TEXT
    row = st.fixed_dictionaries(
        dict.fromkeys(EVENT, TEXT)
        | {name: TEXT.filter(bool) if name == "event_id" else cells for name in names}
    )
    events = data.draw(st.lists(row, min_size=1, max_size=5))
    table = parse_alike(lines(events))
    assert table is not None
    assert table.to_pylist() == parse_events(lines(events), lines=True)


@pytest.mark.parametrize(
    "events",
    [
        [EVENT, {**EVENT, "dataset": "planes"}],
        [{**EVENT, "event_id": ""}],
        [{**EVENT, "event_id": None}],
        [{**EVENT, "timestamp": "2026-01-01T00:00:00Z"}],
        [{**EVENT, "context": {"run": 1}}],
        [{**EVENT, "new_value": 7}],
        [{**EVENT, "seq": 1}],
        [{"entity_type": "plane"}],
        [{**EVENT, "entity_id": "\ud800"}],
        [7],
        [[EVENT]],
    ],
)
def test_whatever_else_goes_the_other_way(events: list[Any]) -> None:
    """It is not refused here: the row rules say what is wrong, if anything is."""
    assert parse_alike(lines(events)) is None
    assert parse_alike(lines([EVENT] * 3 + events)) is None
    assert parse_alike(b"{") is None


NAMES = st.sampled_from(["planes", "hr.staff", "system.journal", "main.planes", "", "x"])


@settings(deadline=None)
@given(
    event=st.fixed_dictionaries(
        dict.fromkeys(EVENT, TEXT | st.sampled_from(["decision", "schema"])),
        optional={
            "actor": st.sampled_from(["ada", "bob", ""]),
            "dataset": NAMES,
            "context": st.sampled_from(['{"a":1}', "[]", "", '{"key_id":"x"}', "{"]),
        },
    ),
    prefix=st.none() | st.just("p"),
)
def test_both_ways_allow_the_same(event: dict[str, str], prefix: str | None) -> None:
    """The same datasets are asked about, the same is refused, the same comes out."""
    ada = Principal.local("ada")

    def by_rows() -> tuple[list[Any], list[Any]]:
        asked: list[Any] = []
        events = [dict(event) for _ in range(3)]
        own(events, ada, asked.append, prefix)
        return asked, [{name: one[name] for name in sorted(one)} for one in events]

    def by_table() -> tuple[list[Any], list[Any]]:
        asked: list[Any] = []
        table = own_batch(pa.Table.from_pylist([event] * 3), ada, asked.append, prefix)
        return asked, table.select(sorted(table.schema.names)).to_pylist()

    found = []
    for way in (by_rows, by_table):
        try:
            found.append(way())
        except LakecoreError as error:
            found.append(([type(error)], [error.message]))
    assert found[0] == found[1]
