"""Events as their senders tell them: what is taken, what is refused, whose clock counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakecore.base import InvalidInput
from lakecore.observer._event import MAX_AHEAD_US, event_row

NOW_US = 1_700_000_000_000_000


def row(**event: Any) -> dict[str, Any]:
    return event_row({"source": "s", **event}, principal="ada", now_us=NOW_US)


def test_the_least() -> None:
    """A source alone is an event: now, at level info, with an id."""
    found = row()
    assert (found["kind"], found["level"], found["time"]) == ("event", "info", NOW_US)
    assert (found["principal"], found["data"], found["is_cut"]) == ("ada", None, False)
    assert found["id"] != row()["id"]


def test_unknown_members_are_data() -> None:
    """Beside `data`, and instead of it."""
    assert json.loads(row(a=1, data={"b": 2})["data"]) == {"a": 1, "b": 2}
    assert json.loads(row(data=[1, 2])["data"]) == {"data": [1, 2]}
    assert json.loads(row(data="text")["data"]) == {"data": "text"}


@pytest.mark.parametrize(
    ("given", "expected_us"),
    [
        ("2023-11-14T22:13:20Z", NOW_US),
        ("2023-11-14T23:13:20+01:00", NOW_US),
        (NOW_US / 1e6, NOW_US),
        (0, 0),
    ],
)
def test_times(given: object, expected_us: int) -> None:
    """RFC 3339, or seconds."""
    found = row(time=given)
    assert (found["time"], found["skew_ms"], found["received"]) == (expected_us, None, NOW_US)


def test_a_clock_that_is_ahead() -> None:
    """A time in the future is taken as now, and it is said by how much."""
    ahead_s = NOW_US / 1e6 + 86_400
    assert (row(time=ahead_s)["time"], row(time=ahead_s)["skew_ms"]) == (NOW_US, 86_400_000)
    little = (NOW_US + MAX_AHEAD_US) / 1e6
    assert row(time=little)["skew_ms"] is None


@pytest.mark.parametrize(
    "event",
    [
        {"source": None},
        {"source": ""},
        {"source": "x" * 65},
        {"source": "two words"},
        {"source": 7},
        {"source": "gateway"},
        {"source": "lakecore"},
        {"kind": "a\nb"},
        {"level": "loud"},
        {"level": 3},
        {"id": ""},
        {"id": "x" * 201},
        {"id": 7},
        {"time": "yesterday"},
        {"time": "2026-01-01T00:00:00"},
        {"time": -1},
        {"time": float("nan")},
        {"time": 1e300},
        {"time": True},
        {"trace_id": "xyz"},
        {"span_id": 7},
        {"duration_ms": "long"},
        {"duration_ms": float("inf")},
    ],
)
def test_what_is_refused(event: dict[str, Any]) -> None:
    """The error names the member."""
    with pytest.raises(InvalidInput) as refused:
        row(**event)
    assert refused.value.where == next(iter(event))


@pytest.mark.parametrize("event", [None, 7, "text", [1]])
def test_no_object(event: object) -> None:
    """An event is an object."""
    with pytest.raises(InvalidInput, match="JSON object"):
        event_row(event, principal="ada", now_us=NOW_US)


def test_lakecore_itself_may_say_gateway() -> None:
    """Its own sources are its own."""
    found = event_row({"source": "gateway"}, principal="ada", now_us=NOW_US, is_own=True)
    assert found["source"] == "gateway"


def test_secrets_and_sizes() -> None:
    """Messages and data are cleaned."""
    found = row(message="password=hunter2", data={"api_key": "k", "x": "y" * 10_000})
    assert found["message"] == "password=***"
    assert "hunter2" not in str(found)
    assert (json.loads(found["data"])["api_key"], found["is_cut"]) == ("***", True)
