"""Leaf version 1: one definition, and a fast way to the same bytes."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import Bug, Inconclusive, InvalidInput
from lakecore.journal._events.event import Event, events_to_arrow, with_seq
from lakecore.journal._events.joined import joined_lines
from lakecore.journal._events.leaf import (
    LEAF_FIELDS,
    event_hashes,
    leaf_hashes,
    leaf_line,
    leaf_lines,
)
from lakecore.journal._events.rules import PLAIN
from lakecore.tlog._digest import sha256_rows

AT = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
EVENT = Event(entity_type="plane", entity_id="N1", action="insert", timestamp=AT)
EDGE = 16 * 1024

UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
AWKWARD = st.text(st.sampled_from('\x00\x08\x1f\x7f"\\/\u2028\u2029\ufeff\ufffféa😀\U0010ffff'))
TEXT = UNICODE | AWKWARD
FILLED = st.builds(lambda text, size: (text or "x") * size, TEXT, st.sampled_from([1, 400, 20_000]))
JSON_TEXT = st.none() | FILLED.map(lambda text: json.dumps(text, ensure_ascii=False))
EVENTS = st.builds(
    Event,
    event_id=TEXT,
    timestamp=st.datetimes(timezones=st.just(UTC)),
    entity_type=TEXT.map(lambda text: text + "t"),
    entity_id=TEXT,
    field=TEXT,
    action=TEXT.map(lambda text: text + "a"),
    old_value=JSON_TEXT,
    new_value=JSON_TEXT,
    actor=TEXT,
    source=TEXT,
    workspace_id=TEXT,
    dataset=TEXT,
    dataset_id=TEXT,
    version=st.none() | st.integers(0, 2**53 - 1),
    mutation_id=TEXT,
    context=FILLED.map(lambda text: json.dumps({"note": text}, ensure_ascii=False)),
)


def expected_object(event: Event) -> dict[str, Any]:
    """The canonical event as an object, written down a second time."""
    row: dict[str, Any] = event.to_dict()
    del row["seq"], row["leaf"]
    for name in ("old_value", "new_value", "context"):
        text = row[name]
        if isinstance(text, str) and len(rfc8785.dumps(text)) - 2 > EDGE:
            data = text.encode()
            row[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return row


@settings(max_examples=80, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=6))
def test_both_ways_give_the_canonical_bytes(events: list[Event]) -> None:
    """Scalar, vectorised and an independent RFC 8785 library agree on all of Unicode."""
    lines = [leaf_line(event) for event in events]
    assert lines == [rfc8785.dumps(expected_object(event)) for event in events]
    assert leaf_lines(events_to_arrow(events)).to_pylist() == lines


PRINTED = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=4) | st.sampled_from(
    ['"', "\\", '\\"', "\x7f", "\u2028"]
)
PRINTED_JSON = st.none() | PRINTED.map(lambda text: json.dumps(text, ensure_ascii=False))


@st.composite
def uniform_tables(draw: st.DrawFn) -> list[Event]:
    """Events that share some of their values, as those of a commit do, without control codes."""
    count = draw(st.integers(1, 5))
    texts = dict.fromkeys(PLAIN, PRINTED) | dict.fromkeys(("old_value", "new_value"), PRINTED_JSON)
    moments = st.datetimes(timezones=st.just(UTC))
    columns: dict[str, list[Any]] = {}
    for name, cells in {
        **texts,
        "timestamp": moments,
        "version": st.none() | st.integers(0, 9),
    }.items():
        shared = draw(st.booleans())
        columns[name] = (
            [draw(cells)] * count
            if shared
            else draw(st.lists(cells, min_size=count, max_size=count))
        )
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return [
        Event(**row | {"entity_type": row["entity_type"] + "t", "action": row["action"] + "a"})
        for row in rows
    ]


@settings(max_examples=150, deadline=None)
@given(uniform_tables(), st.integers(0, 3))
def test_columns_are_joined_to_the_canonical_bytes(events: list[Event], skipped: int) -> None:
    """Shared values, nulls, quotes, backslashes; also of a table that is a part of another."""
    table = events_to_arrow(events)
    joined = joined_lines(table, LEAF_FIELDS)
    lines = [leaf_line(event) for event in events]
    assert joined is not None
    assert joined.to_pylist() == lines
    assert leaf_lines(table.slice(skipped)).to_pylist() == lines[skipped:]
    # The same where the caller knows what is shared, for a few events and for many.
    constant = [name for name in LEAF_FIELDS if len(table.column(name).unique()) == 1]
    told = joined_lines(table, LEAF_FIELDS, constant=constant)
    assert told is not None
    assert told.to_pylist() == lines
    hashes = leaf_hashes(leaf_lines(table))
    assert (event_hashes(table, constant) == hashes).all()
    many = pa.concat_tables([table] * 10)
    assert (event_hashes(many, constant) == np.concatenate([hashes] * 10)).all()


def test_shared_values_that_are_long_or_wrong() -> None:
    """A context beyond what a leaf holds enters as its digest; a rule is checked once, for all."""
    long = json.dumps({"text": "x" * 20_000})
    events = [replace(EVENT, context=long, entity_id=str(n)) for n in range(30)]
    table = events_to_arrow(events)
    lines = [leaf_line(event) for event in events]
    expected = [hashlib.sha256(b"\0" + line).digest() for line in lines]
    assert [row.tobytes() for row in event_hashes(table, ["context", "actor"])] == expected
    at = table.schema.get_field_index("actor")
    wrong = table.set_column(at, "actor", pa.array(["y" * 2_000] * 30))
    with pytest.raises(InvalidInput, match="too long"):
        event_hashes(wrong, ["actor"])


@settings(max_examples=30, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=3))
def test_events_are_hashed_as_their_lines(events: list[Event]) -> None:
    """Whichever way a chunk's lines are made, the hash is that of prefix and line."""
    table = events_to_arrow([*events, *[EVENT] * 16_384])
    assert (event_hashes(table) == leaf_hashes(leaf_lines(table))).all()
    assert event_hashes(table)[0].tobytes() == hashlib.sha256(b"\0" + leaf_line(events[0])).digest()
    assert len(event_hashes(table.slice(0, 0))) == 0


def test_every_character_is_escaped_alike() -> None:
    """Each code point that is no surrogate, in both ways."""
    points = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    texts = ["".join(points[start : start + 256]) for start in range(0, len(points), 256)]
    events = [replace(EVENT, entity_id=text) for text in texts]
    table = events_to_arrow(events)
    assert leaf_lines(table).to_pylist() == [leaf_line(event) for event in events]


def test_the_order_of_the_fields_is_canonical() -> None:
    """All fields but `seq` and `leaf` are there, nulls included, in order."""
    document = json.loads(leaf_line(EVENT))
    assert tuple(document) == LEAF_FIELDS == tuple(sorted(document))
    assert set(document) == set(Event.__slots__) - {"seq", "leaf"}
    assert document["old_value"] is None


@pytest.mark.parametrize("extra", [0, 1])
def test_values_above_the_bound_enter_as_digests(extra: int) -> None:
    """16 KiB, escaped, are written out; a byte more is size and SHA-256 of what is stored."""
    text = '"' + "a" * (EDGE - 4 + extra) + '"'
    line = leaf_line(replace(EVENT, new_value=text))
    value = json.loads(line)["new_value"]
    digest = {"bytes": EDGE - 1, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    assert value == (digest if extra else text)


@pytest.mark.parametrize("filler", ["x", "é", '"', "\\", "\x1f"])
def test_a_leaf_fits_its_entry_bundle(filler: str) -> None:
    """The longest leaf there can be has at most 65,535 bytes, whatever its texts are made of."""
    taken = len(rfc8785.dumps(filler)) - 2
    texts: dict[str, Any] = dict.fromkeys(PLAIN, filler * (1024 // taken))
    for size in range(EDGE // 8, EDGE, 7):
        value = json.dumps(filler * size, ensure_ascii=False)
        context = f'{{"a":{value}}}'
        if len(rfc8785.dumps(context)) - 2 > EDGE:
            break
        texts |= {"old_value": value, "new_value": value, "context": context}
    event = replace(EVENT, version=2**53 - 1, **texts)
    assert 50_000 < len(leaf_line(event)) < 1 << 16
    assert leaf_lines(events_to_arrow([event])).to_pylist() == [leaf_line(event)]


@pytest.mark.parametrize(("filler", "fits"), [("x", 1024), ("é", 512), ('"', 512), ("\x00", 170)])
def test_texts_are_bounded_as_they_stand_in_the_leaf(filler: str, fits: int) -> None:
    """One character more is refused, alone, in a batch, and in a staged table."""
    good = replace(EVENT, actor=filler * fits)
    assert leaf_lines(events_to_arrow([good])).to_pylist() == [leaf_line(good)]
    bad = replace(EVENT, actor=filler * (fits + 1))
    many = [EVENT] * 100 + [bad]
    for refuse in (lambda: events_to_arrow([bad]), lambda: events_to_arrow(many)):
        with pytest.raises(InvalidInput, match=r"text is too long.*field actor"):
            refuse()
    staged = events_to_arrow([good])
    at = staged.schema.get_field_index("actor")
    longer = staged.set_column(at, "actor", pa.array([filler * (fits + 1)]))
    with pytest.raises(InvalidInput, match="too long for a leaf"):
        leaf_lines(longer)


def test_rows_with_long_values_stay_in_their_place() -> None:
    """Long and short rows alternate over several chunks."""
    long = '"' + "é" * EDGE + '"'
    events = [replace(EVENT, entity_id=str(at)) for at in range(20_000)]
    for at in range(0, 20_000, 999):
        events[at] = replace(events[at], old_value=long)
    lines = leaf_lines(events_to_arrow(events)).to_pylist()
    assert [json.loads(line)["entity_id"] for line in lines] == [str(at) for at in range(20_000)]
    for at in (0, 1, 998, 999, 1998, 19_980, 19_981):
        assert lines[at] == leaf_line(events[at])


def test_an_unknown_leaf_version_is_inconclusive() -> None:
    """A newer Lakecore's leaf is neither right nor wrong here."""
    with pytest.raises(Inconclusive):
        leaf_line(replace(EVENT, leaf=2))
    sealed = with_seq(events_to_arrow([EVENT]), 0)
    newer = sealed.set_column(17, sealed.schema.field("leaf"), pa.array([2], pa.int8()))
    with pytest.raises(Inconclusive):
        leaf_lines(newer)


def test_what_no_leaf_can_hold_is_refused() -> None:
    """A file may hold anything: nulls and ranges are checked again."""
    with pytest.raises(InvalidInput, match="timestamp"):
        leaf_line(replace(EVENT, timestamp=None))
    with pytest.raises(InvalidInput):
        leaf_line(replace(EVENT, version=2**53))
    table = events_to_arrow([EVENT])
    for name, value in (("version", 2**53), ("timestamp", 2**62), ("actor", None)):
        at = table.schema.get_field_index(name)
        column = pa.array([value], table.schema.field(at).type)
        with pytest.raises(InvalidInput, match=f"field {name}"):
            leaf_lines(table.set_column(at, name, column))


def test_further_columns_do_not_enter() -> None:
    """A column of a later version survives in files and changes no leaf."""
    table = events_to_arrow([EVENT])
    assert leaf_lines(table.append_column("later", pa.array([1]))) == leaf_lines(table)
    assert len(leaf_lines(table.slice(0, 0))) == 0


@pytest.mark.parametrize("count", [0, 1, 512, 513, 40_000])
def test_hashes_belong_to_their_lines(count: int) -> None:
    """Whatever the number of rows and chunks, hash i is that of line i."""
    lines = [f"line {at}".encode() * (at % 7) for at in range(count)]
    expected = [hashlib.sha256(b"\x00" + line).digest() for line in lines]
    for kind in (pa.large_binary(), pa.binary(), pa.binary_view()):
        hashes = leaf_hashes(pa.array(lines, kind))
        assert hashes.shape == (count, 32)
        assert hashes.dtype == np.uint8
        assert [row.tobytes() for row in hashes] == expected
    half = count // 2
    chunked = pa.chunked_array([pa.array(lines[:half], "binary"), pa.array(lines[half:], "binary")])
    assert [row.tobytes() for row in leaf_hashes(chunked)] == expected


def test_threads_do_not_disturb_each_other() -> None:
    """Each thread has its own context: hashes made at the same time are right."""
    wrong: list[list[int]] = []

    def work(seed: int) -> None:
        lines = [f"{seed}:{at}".encode() for at in range(3_000)]
        expected = b"".join(hashlib.sha256(b"\x00" + line).digest() for line in lines)
        results = [leaf_hashes(pa.array(lines)).tobytes() for _ in range(3)]
        wrong.append([seed for result in results if result != expected])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [[]] * 4


def test_a_null_has_no_hash() -> None:
    """A hole in the lines is a mistake of ours, not a leaf."""
    with pytest.raises(Bug):
        sha256_rows(pa.array([b"a", None]))
