"""Commit records, targets, and the fate of an attempt."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.journals import delta_commit, target

from lakecore.base import CorruptData, UnsupportedFormat
from lakecore.journal import CommitRecord, Fate, Mutation, Target, fate_of, read_commit_record

RECORD = CommitRecord("c1", 3, "00" * 32, (Mutation("m", "ada", "api", "", "why", 5, {"run": 1}),))

texts = st.text(max_size=20)
mutations = st.builds(
    Mutation, texts, texts, texts, texts, texts, st.integers(0, 2**53), st.just({"a": [1, None]})
)
records = st.builds(
    CommitRecord, texts, st.integers(0, 2**53), texts, st.lists(mutations, max_size=3).map(tuple)
)


@given(record=records)
def test_a_record_survives_both_kinds_of_objects(record: CommitRecord) -> None:
    """What is written into a Delta commit or a document is read back."""
    assert read_commit_record(delta_commit(record)) == record
    document = {"body": {"lakecore": "no record"}, "lakecore": record.to_json()}
    assert read_commit_record(json.dumps(document, indent=1).encode()) == record


def test_a_commit_of_one_line_is_a_delta_commit() -> None:
    """A commit that has only commitInfo is one JSON object, like a document."""
    line = json.dumps({"commitInfo": {"lakecore": RECORD.to_json()}}).encode()
    assert read_commit_record(line) == RECORD
    assert read_commit_record(line + b"\n") == RECORD


@pytest.mark.parametrize(
    "data",
    [
        delta_commit(None),
        b'{"add":{}}\n{"remove":{}}',
        b'{"add":{}}\n{"commitInfo":null}',
        b'{"name":"a document"}',
        b"{}",
    ],
)
def test_objects_without_a_record_are_foreign(data: bytes) -> None:
    """Valid JSON without a record was made by another program."""
    assert read_commit_record(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"[1]",
        b'"text"',
        b"\xff\xfe",
        b"{" * 100_000,
        delta_commit(RECORD)[:-3],
        delta_commit(RECORD) + b"\nnot json",
        b'{"lakecore":7}',
        b'{"lakecore":{"format":1}}',
        b'{"lakecore":{"format":"1"}}',
        json.dumps({"lakecore": RECORD.to_json() | {"event_count": "3"}}).encode(),
        json.dumps({"lakecore": RECORD.to_json() | {"mutations": [{}]}}).encode(),
    ],
)
def test_unreadable_is_not_foreign(data: bytes) -> None:
    """A torn or damaged object raises: a wrong 'dead' would lose events."""
    with pytest.raises(CorruptData):
        read_commit_record(data)


def test_a_newer_record_is_refused() -> None:
    """A record of a newer format is neither ours nor another's."""
    newer = json.dumps({"lakecore": RECORD.to_json() | {"format": 2}}).encode()
    with pytest.raises(UnsupportedFormat):
        read_commit_record(newer)


def test_unknown_members_are_left_alone() -> None:
    """A later release may add members to a record without a new format."""
    content = RECORD.to_json() | {"later": 1}
    assert CommitRecord.from_json(content) == RECORD


def test_fates() -> None:
    """Not there, ours, another's, foreign: that is all there is."""
    other = replace(RECORD, commit_id="c2")
    assert fate_of("c1", None, exists=False) is Fate.UNDECIDED
    assert fate_of("c1", RECORD, exists=True) is Fate.COMMITTED
    assert fate_of("c1", other, exists=True) is Fate.DEAD
    assert fate_of("c1", None, exists=True) is Fate.DEAD


def test_commit_time_is_the_latest_mutation() -> None:
    """A commit of several mutations has the time of its last one."""
    several = replace(RECORD, mutations=(*RECORD.mutations, replace(RECORD.mutations[0])))
    assert several.timestamp_us == 5
    assert replace(RECORD, mutations=()).timestamp_us == 0


def test_target_round_trip_and_refusals() -> None:
    """A target is read back; a kind that a later release adds is refused."""
    at = target(3)
    assert Target.from_json(at.to_json() | {"later": True}) == at
    with pytest.raises(UnsupportedFormat):
        Target.from_json(at.to_json() | {"kind": "view"})
    with pytest.raises(CorruptData):
        Target.from_json({"kind": "table"})
