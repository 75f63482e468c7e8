"""The short way of checking an event decides as the row rules do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from operator import attrgetter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import InvalidInput
from lakecore.journal import Event
from lakecore.journal._events.row import checked_row
from lakecore.journal._events.rules import FIELDS, check_row
from lakecore.journal._hot.batch import encode_row

USUAL: Mapping[str, Any] = {"entity_type": "plane", "entity_id": "N1", "action": "update"}


class Text(str):
    """A text of another type."""


class Number(IntEnum):
    """A number of another type."""

    ONE = 1


DEFAULTS: Mapping[str, Any] = {
    name: getattr(Event(**USUAL), name) for name in FIELDS if name not in USUAL
}


class Word(StrEnum):
    """A text of another type, too."""

    STATUS = "status"


SAMPLES: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    1 << 53,
    1.0,
    b"a",
    "",
    "{}",
    "[]",
    '"a"',
    "NaN",
    '{"a":',
    "\ud800",
    '"\ud800"',
    "[" * 5_000,
    "\x00" * 170,
    "\x00" * 171,
    "é" * 600,
    "2026-01-31T12:00:00Z",
    Text("text"),
    Number.ONE,
    date(2026, 1, 31),
    datetime(2026, 1, 31),
    datetime(2026, 1, 31, tzinfo=UTC),
    datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=5))),
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    {},
    object(),
]
_odd = st.one_of(
    st.sampled_from(SAMPLES),
    st.integers(-2, 1 << 54),
    st.floats(),
    st.text(max_size=400),
    st.text(st.characters(), max_size=5),
)


def outcome(event: Mapping[str, Any] | Event) -> object:
    """The fields that are taken, or the words of the refusal."""
    try:
        return attrgetter(*FIELDS)(checked_row(event, 3))
    except InvalidInput as error:
        return str(error)


def by_the_rules(event: Mapping[str, Any]) -> object:
    """As `outcome`, by the row rules alone."""
    try:
        return tuple(check_row([event.get(name) for name in FIELDS], 3).values())
    except InvalidInput as error:
        return str(error)


@pytest.mark.parametrize("name", FIELDS)
def test_each_odd_value_of_each_field(name: str) -> None:
    """The short way and the rules agree on every one of them."""
    for value in SAMPLES:
        if (name, value) == ("leaf", Number.ONE) and type(value) is Number:
            continue  # taken by one and refused by the other, and not kept by either
        event: dict[str, Any] = {**USUAL, name: value}
        assert outcome(event) == by_the_rules(event)
        assert outcome(Event(**event)) == by_the_rules({**DEFAULTS, **event})


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), _odd, max_size=3))
def test_the_short_way_decides_as_the_rules_do(changes: dict[str, Any]) -> None:
    """For mappings and for events, taken or refused, in the same words."""
    event = {**USUAL, **changes}
    expected = by_the_rules(event)
    assert outcome(event) == expected
    assert outcome(Event(**event)) == by_the_rules({**DEFAULTS, **event})


def test_texts_of_another_type_are_kept_as_text() -> None:
    """Such as the members of an enumeration of an application."""
    row = checked_row(
        {**USUAL, "actor": Text("ann"), "old_value": Text('"a"'), "field": Word.STATUS}
    )
    event = msgspec.json.decode(encode_row(row, "id", 7))
    kept = dict(zip(event["columns"], event["rows"][0], strict=True))
    assert (kept["actor"], kept["old_value"], kept["field"]) == ("ann", '"a"', "status")


@pytest.mark.parametrize("event", [{**USUAL, "acter": "ann"}, {3: "x"}, "x", None, USUAL])
def test_what_is_no_event_is_refused(event: Any) -> None:
    """A name that no event has, and things that are none; any mapping is taken."""
    if event is USUAL:
        assert checked_row(event).actor == ""
        return
    with pytest.raises(InvalidInput, match=r"no such field|not an event"):
        checked_row(event)
