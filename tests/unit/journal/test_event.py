"""What an event may hold, one at a time and by the batch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import InvalidInput
from lakecore.journal._events.event import (
    FIELDS,
    Author,
    Event,
    arrow_to_events,
    event_schema,
    events_to_arrow,
    staged_schema,
    validate_batch,
    with_seq,
)
from lakecore.journal._events.row import checked_row

AT = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
LEAST: dict[str, object] = {"entity_type": "plane", "entity_id": "N1", "action": "insert"}
MANY = 40
"""Enough rows for the column rules; fewer are checked row by row."""

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
JSON_TEXT = st.sampled_from(["null", "1", '"é"', '{"a": [1, 2.5]}', "[]", " true "])
EVENTS = st.builds(
    Event,
    event_id=TEXT,
    timestamp=st.datetimes(timezones=st.just(UTC)),
    entity_type=TEXT.filter(bool),
    entity_id=TEXT,
    field=TEXT,
    action=TEXT.filter(bool),
    old_value=st.none() | JSON_TEXT,
    new_value=st.none() | JSON_TEXT,
    actor=TEXT,
    source=TEXT,
    workspace_id=TEXT,
    dataset=TEXT,
    dataset_id=TEXT,
    version=st.none() | st.integers(0, 2**53 - 1),
    mutation_id=TEXT,
    context=st.sampled_from(["{}", '{"reason":"x"}', ' {"a":{}} ']),
)

REFUSED: list[tuple[str, object]] = [
    ("entity_type", ""),
    ("action", ""),
    ("entity_id", None),
    ("actor", b"bytes"),
    ("actor", 7),
    ("actor", "\ud800"),
    ("actor", "x" * 1025),
    ("entity_id", "é" * 513),
    ("old_value", "plain text"),
    ("old_value", ""),
    ("new_value", "NaN"),
    ("new_value", "[1,]"),
    ("new_value", '"\\ud800"'),
    ("new_value", '{"a":Infinity}'),
    ("new_value", "[" * 100_000 + "]" * 100_000),
    ("context", "[]"),
    ("context", "null"),
    ("context", "{"),
    ("version", -1),
    ("version", 2**53),
    ("version", 2**70),
    ("version", True),
    ("version", 1.0),
    ("leaf", 2),
    ("timestamp", AT.replace(tzinfo=None)),
    ("timestamp", "2026-01-31"),
    ("timestamp", "2026-01-31T12:00:00.1234567Z"),
    ("timestamp", "2026-02-30T12:00:00Z"),
    ("timestamp", "2026-01-31T12:00:00"),
    ("timestamp", 1),
    ("timestamp", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
]


def rows_with(name: str, value: object, count: int, at: int) -> list[Mapping[str, object]]:
    """Rows of which one is bad."""
    good = {**LEAST, "timestamp": AT}
    return [{**good, name: value} if row == at else good for row in range(count)]


def test_an_event_has_the_columns_of_the_format() -> None:
    """The schema has 18 columns in the order of the fields; staged events lack two."""
    assert event_schema().names == list(FIELDS) == list(Event.__slots__)
    assert staged_schema().names == list(FIELDS[1:-1])
    assert [field.name for field in event_schema() if field.nullable] == [
        "old_value",
        "new_value",
        "version",
    ]


def test_missing_fields_get_defaults() -> None:
    """A mapping needs three fields; the rest is what `Event` gives."""
    taken = msgspec.structs.asdict(checked_row(LEAST))
    assert Event(**taken) == Event(**LEAST)  # type: ignore[arg-type] # a mapping of any values
    nulls = dict.fromkeys(FIELDS) | LEAST
    assert checked_row(nulls) == checked_row(LEAST)


@pytest.mark.parametrize("count", [1, MANY])
def test_defaults_are_the_same_in_batches(count: int) -> None:
    """Rows and columns fill the same defaults, ids and timestamps."""
    rows = [{**LEAST, "event_id": "mine"} if row == 0 else LEAST for row in range(count)]
    table = events_to_arrow(rows, now_us=5, id_prefix="m")
    assert table.schema == staged_schema()
    events = arrow_to_events(table)
    assert events[0].event_id == "mine"
    assert [event.event_id for event in events[1:]] == [f"m:{row}" for row in range(1, count)]
    assert {event.timestamp for event in events} == {datetime(1970, 1, 1, 0, 0, 0, 5, tzinfo=UTC)}
    assert {(event.field, event.source, event.context) for event in events} == {("*", "api", "{}")}


@pytest.mark.parametrize("count", [1, MANY])
def test_an_event_without_a_timestamp_is_refused_where_none_is_given(count: int) -> None:
    """The clock is an argument: nothing here reads one."""
    with pytest.raises(InvalidInput, match="row 0, field timestamp"):
        events_to_arrow([LEAST] * count)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """A typo is not dropped, and the message names what was meant."""
    with pytest.raises(InvalidInput, match="row 1: expected entity_id, found 'entityid'"):
        events_to_arrow([LEAST, {**LEAST, "entityid": "x"}], now_us=0)
    with pytest.raises(InvalidInput, match="expected actor"):
        validate_batch(pa.table({"entity_type": ["a"], "acter": ["b"]}))
    with pytest.raises(InvalidInput, match="not an event"):
        events_to_arrow([["plane", "N1"]], now_us=0)  # type: ignore[list-item] # refused


@pytest.mark.parametrize("count", [2, MANY])
@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_value_that_breaks_a_rule_is_refused(name: str, value: object, count: int) -> None:
    """Rows and batches refuse the same values and name row and field."""
    with pytest.raises(InvalidInput) as caught:
        events_to_arrow(rows_with(name, value, count, count - 1))
    assert caught.value.where == f"row {count - 1}, field {name}"


ARROW_REFUSED = [
    ("actor", pa.array(["x" * 1025])),
    ("action", pa.array([""])),
    ("entity_id", pa.array([None], pa.string())),
    ("context", pa.array(["[]"])),
    ("new_value", pa.array(["tru"])),
    ("version", pa.array([2**53])),
    ("version", pa.array([2**64 - 1], pa.uint64())),
    ("leaf", pa.array([2], pa.int8())),
    ("timestamp", pa.array([-(2**62)], pa.timestamp("us", tz="UTC"))),
    ("timestamp", pa.array([-62_135_596_800_000_001], pa.timestamp("us", tz="UTC"))),
    ("timestamp", pa.array([1], pa.timestamp("ns", tz="UTC"))),
    ("timestamp", pa.array([2**60], pa.timestamp("s", tz="UTC"))),
    ("timestamp", pa.array([None], pa.timestamp("us", tz="UTC"))),
]


@pytest.mark.parametrize(("name", "bad"), ARROW_REFUSED)
def test_a_bad_cell_of_a_batch_is_found(name: str, bad: pa.Array) -> None:
    """Whatever the type of the column, the error names the row."""
    good = pa.nulls(2, bad.type)
    columns = {key: pa.array([str(value)] * 3) for key, value in LEAST.items()}
    columns["timestamp"] = pa.array([AT] * 3)
    if name in LEAST:
        good = pa.array(["x", "y"])
    elif name == "timestamp":
        good = pa.array([0, 0], bad.type)
    columns[name] = pa.concat_arrays([good, bad])
    with pytest.raises(InvalidInput, match=f"row 2, field {name}"):
        validate_batch(pa.table(columns))


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("actor", pa.array([b"x"])),
        ("version", pa.array([1.0])),
        ("timestamp", pa.array([1])),
        ("timestamp", pa.array([1], pa.timestamp("us"))),
    ],
)
def test_a_column_of_another_type_is_refused(name: str, column: pa.Array) -> None:
    """Nothing is guessed from bytes, floats, numbers or times without a zone."""
    columns = {key: pa.array([str(value)]) for key, value in LEAST.items()} | {name: column}
    with pytest.raises(InvalidInput, match=f"wrong type at column {name}"):
        validate_batch(pa.table(columns), now_us=0)


def test_a_batch_needs_its_columns_once() -> None:
    """Missing and repeated columns are named."""
    with pytest.raises(InvalidInput, match="expected entity_id, action"):
        validate_batch(pa.table({"entity_type": ["a"]}))
    column = pa.array(["a"])
    with pytest.raises(InvalidInput, match="twice: found action"):
        validate_batch(pa.table([column, column], names=["action", "action"]))


def test_text_that_is_not_utf8_is_refused() -> None:
    """An Arrow string column can hold any bytes; the journal's cannot."""
    bytes_in_disguise = pa.array([b"\xff"]).view(pa.string())
    columns = {key: pa.array([str(value)]) for key, value in LEAST.items()}
    with pytest.raises(InvalidInput, match="UTF-8 at column actor"):
        validate_batch(pa.table({**columns, "actor": bytes_in_disguise}), now_us=0)


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_every_form_of_text_is_taken(kind: pa.DataType) -> None:
    """Encodings of text, and other zones and units of time, become the schema's."""
    plain = events_to_arrow([{**LEAST, "timestamp": AT, "version": 3}] * MANY)
    casts = {
        "entity_type": kind,
        "timestamp": pa.timestamp("ns", tz="Europe/Berlin"),
        "version": pa.uint8(),
    }
    columns = {name: plain.column(name).cast(form) for name, form in casts.items()}
    others = {name: plain.column(name) for name in plain.schema.names if name not in casts}
    other = pa.table({**columns, **others})
    assert validate_batch(other.select(other.schema.names[::-1])) == plain
    assert validate_batch(other.to_batches()[0]) == plain


def test_no_events_are_an_empty_table() -> None:
    """Nothing in, the schema out."""
    assert events_to_arrow([]) == staged_schema().empty_table()
    assert validate_batch(staged_schema().empty_table()) == staged_schema().empty_table()


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=4), st.sampled_from([1, MANY]))
def test_events_survive_arrow(events: list[Event], repeat: int) -> None:
    """To Arrow and back nothing changes, as events and as JSON-ready mappings."""
    table = events_to_arrow(events * repeat)
    assert table.schema == staged_schema()
    assert arrow_to_events(table) == events * repeat
    assert validate_batch(table) == table
    assert events_to_arrow([event.to_dict() for event in events * repeat]) == table


def test_sealed_events_have_a_place() -> None:
    """`with_seq` numbers from the given position and keeps everything else."""
    events = [{**LEAST, "timestamp": AT} for _ in range(3)]
    sealed = with_seq(events_to_arrow(events), 10)
    assert sealed.schema == event_schema()
    assert [event.seq for event in arrow_to_events(sealed)] == [10, 11, 12]


def test_other_zones_are_the_same_instant() -> None:
    """Aware timestamps of any zone, datetime or text, are stored in UTC."""
    zone = timezone(timedelta(hours=5, minutes=45))
    moments: list[object] = [AT, AT.astimezone(zone), AT.astimezone(zone).isoformat()]
    for rows in (moments, moments * MANY):
        events = arrow_to_events(events_to_arrow([{**LEAST, "timestamp": at} for at in rows]))
        assert {event.timestamp for event in events} == {AT}


def test_the_context_of_an_author_is_json() -> None:
    """Reason and extras are merged; what is no JSON is refused."""
    author = Author(actor="a", reason="because", context={"run": 1})
    assert author.context_text({"z": None}) == '{"reason":"because","run":1,"z":null}'
    assert Author(actor="a").context_text() == "{}"
    with pytest.raises(InvalidInput, match="context is not JSON"):
        author.context_text({"x": float("nan")})
    with pytest.raises(InvalidInput, match="context is not JSON"):
        author.context_text({"x": object()})


def test_buffers_that_are_longer_than_their_cells() -> None:
    """As a stream from elsewhere may have them: by any number of bytes."""

    def padded(text: str) -> pa.Array:
        _, offsets, data = pa.array([text] * MANY, pa.string()).buffers()
        longer = pa.py_buffer(offsets.to_pybytes() + b"xyz")
        return pa.Array.from_buffers(pa.string(), MANY, [None, longer, data])

    table = pa.table({name: padded(str(value)) for name, value in LEAST.items()})
    checked = validate_batch(table, now_us=0, id_prefix="p")
    assert checked.column("entity_id").to_pylist() == ["N1"] * MANY
    pair = padded("N1").slice(3)
    sliced = pa.table(dict.fromkeys(LEAST, pair))
    assert validate_batch(sliced, now_us=0, id_prefix="p").num_rows == MANY - 3
