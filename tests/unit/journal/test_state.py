"""State of an entity: its events folded up to a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.journals import commit, open_journal, sample, target

from lakecore.base import InvalidInput, NotFound
from lakecore.journal import AsOf, Event
from lakecore.journal._read.state import EntityState, seen_from, state_of
from lakecore.storage import open_store

START = datetime(2026, 1, 1, tzinfo=UTC)


def event(number: int, field: str, old: str | None, new: str | None, **rest: Any) -> Event:
    """Event `number` of one entity, that many seconds after the start."""
    action = rest.pop("action", "update")
    given = {"timestamp": START + timedelta(seconds=number), "seq": number, **rest}
    return Event(
        entity_type="plane",
        entity_id="N1",
        field=field,
        action=action,
        old_value=old,
        new_value=new,
        **given,
    )


def fields(state: EntityState | None) -> dict[str, str] | None:
    """The texts of a state."""
    return None if state is None else dict(state.fields)


LIFE = [
    event(0, "*", None, '{"a":1.50,"b":{"c": [1, 2]}}', action="insert"),
    event(1, "a", "1.50", "null"),
    event(2, "x", None, '"new"'),
    event(3, "b", '{"c": [1, 2]}', None),
    event(4, "*", None, None, action="inspect"),
    event(5, "*", '{"a":null,"x":"new"}', None, action="delete"),
    event(6, "a", None, "7"),
    event(7, "*", None, None, action="insert"),
    event(8, "*", None, '"no object"', action="ingest"),
    event(9, "*", None, None, action="delete"),
    event(10, "*", "{}", '{"a":2}', action="replace"),
]
STATES: list[dict[str, str] | None] = [
    {"a": "1.50", "b": '{"c": [1, 2]}'},
    {"a": "null", "b": '{"c": [1, 2]}'},
    {"a": "null", "b": '{"c": [1, 2]}', "x": '"new"'},
    {"a": "null", "x": '"new"'},
    {"a": "null", "x": '"new"'},
    None,
    {"a": "7"},
    {},
    {"*": '"no object"'},
    None,
    {"a": "2"},
]


@pytest.mark.parametrize("seq", range(len(LIFE)))
def test_each_event_does_what_it_says(seq: int) -> None:
    """Whole rows, fields, nulls, fields that go, rows that go and come again; exact texts."""
    assert fields(state_of(reversed(LIFE), AsOf(seq=seq))) == STATES[seq]
    moment = int((START + timedelta(seconds=seq)).timestamp() * 1e6)
    assert fields(state_of(LIFE, AsOf(time_us=moment))) == STATES[seq]
    assert fields(state_of(LIFE, AsOf(time_us=moment + 999_999))) == STATES[seq]


def test_before_the_first_event_there_is_nothing() -> None:
    """A time before it, and no events at all."""
    assert state_of(LIFE, AsOf(time_us=int(START.timestamp() * 1e6) - 1)) is None
    assert state_of([]) is None


def test_values_and_the_event_that_made_them() -> None:
    """Decoded fields, and the last event that changed something."""
    state = state_of(LIFE, AsOf(seq=4))
    assert state is not None
    assert state.values() == {"a": None, "x": "new"}
    assert state.event.seq == 3


def test_a_changed_key_is_noted() -> None:
    """The row under its new key says what it was called before, also after further changes."""
    context = '{"rekeyed_from":"N0"}'
    life = [event(0, "*", None, '{"a":1}', context=context), event(1, "a", "1", "2")]
    state = state_of(life)
    assert state is not None
    assert state.rekeyed_from == "N0"


def test_a_version_goes_in_whole_whatever_the_clocks_said() -> None:
    """Order is the version's; a time finds the last version that is not later."""
    later = START + timedelta(hours=1)
    life = [
        event(0, "*", None, '{"a":1}', dataset_id="d", version=0, timestamp=START, seq=2),
        event(1, "a", "1", "2", dataset_id="d", version=1, timestamp=later, seq=0),
        event(2, "a", "2", "3", dataset_id="d", version=2, timestamp=START, seq=1),
    ]
    assert fields(state_of(life)) == {"a": "3"}
    assert fields(state_of(life, AsOf(version=1))) == {"a": "2"}
    assert fields(state_of(life, AsOf(time_us=int(START.timestamp() * 1e6)))) == {"a": "3"}


@pytest.mark.parametrize(
    "moment", [{"seq": 1, "version": 1}, {"seq": -1}, {"version": -1}, {"seq": True}]
)
def test_what_is_no_moment(moment: dict[str, Any]) -> None:
    """One of the three, and not below zero."""
    with pytest.raises(InvalidInput):
        AsOf(**moment)


def test_what_a_workspace_did_is_not_mains_until_it_is_merged() -> None:
    """Main has merged changes (they made a version) and events about no dataset."""
    unmerged = event(0, "a", None, "1", workspace_id="w", dataset_id="d")
    merged = event(1, "a", None, "2", workspace_id="w", dataset_id="d", version=3)
    direct = event(2, "a", None, "3", workspace_id="w")
    other = event(3, "a", None, "4", workspace_id="v", dataset_id="d")
    own = event(4, "a", None, "5", dataset_id="d", version=4)
    events = [unmerged, merged, direct, other, own]
    assert seen_from(events, "") == [merged, direct, own]
    assert seen_from(events, "w") == [unmerged, merged, direct]
    assert seen_from(events, None) == events


def test_the_journal_folds_what_it_holds(tmp_path: Path) -> None:
    """Sealed, pending and hot events; a dataset's state is what its versions made."""
    store = open_store("memory://")
    with open_journal(store, tmp_path) as journal:
        journal.record_update("plane", "N9", "seats", 1, 2, actor="ada")
        journal.seal()
        journal.record_update("plane", "N9", "seats", 2, 3, actor="ada")
        now, then = journal.state("N9"), journal.state("N9", "plane", seq=0)
        assert now is not None
        assert then is not None
        assert (now.values(), then.values()) == ({"seats": 3}, {"seats": 2})
        assert journal.state("N9", "boat") is None
        commit(store, journal, target(0), sample("a", 1, version=0, dataset_id="id-planes"))
        journal.record(
            Event(
                entity_type="plane",
                entity_id="N0",
                field="seats",
                action="note",
                new_value="99",
                dataset_id="id-planes",
            )
        )
        held = journal.state("N0", dataset_id="id-planes")
        assert held is not None
        assert held.values() == {"seats": 1}
        with pytest.raises(NotFound, match="less than 1"):
            journal.state("N9", seq=1)
        with pytest.raises(InvalidInput, match="versions are those of a dataset"):
            journal.state("N9", version=1)


def test_history_leaves_out_unmerged_workspaces(tmp_path: Path) -> None:
    """By default; on request one workspace's events, or all."""
    with open_journal(open_store("memory://"), tmp_path) as journal:
        for workspace in ("", "w"):
            journal.record(
                Event(
                    entity_type="plane",
                    entity_id="N1",
                    action="note",
                    dataset_id="d",
                    workspace_id=workspace,
                )
            )
        assert [e.workspace_id for e in journal.entity_history("N1")] == [""]
        assert [e.workspace_id for e in journal.entity_history("N1", workspace_id="w")] == ["w"]
        assert len(journal.entity_history("N1", workspace_id=None)) == 2
