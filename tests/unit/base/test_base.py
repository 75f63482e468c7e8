"""Errors, ids and clock."""

from __future__ import annotations

import os
import threading
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore import base
from lakecore.base import (
    InvalidInput,
    LakecoreError,
    ManualClock,
    SystemClock,
    format_timestamp,
    uuid7,
    uuid8,
)


def classes(root: type[LakecoreError]) -> list[type[LakecoreError]]:
    return [root, *(found for sub in root.__subclasses__() for found in classes(sub))]


def test_every_error_has_a_documented_exit_code_and_a_slug_of_its_own() -> None:
    """Exit codes are a promise; slugs are what programs branch on.

    An error of another package says more of one of these, and has its code and slug.
    """
    everywhere = classes(LakecoreError)
    found = [error for error in everywhere if error.__module__ == "lakecore.base.errors"]
    assert {error.exit_code for error in found} == {1, 2, 3, 4}
    assert len({error.type for error in found}) == len(found)
    assert {error.__name__ for error in found} <= set(base.__all__)
    own = {(error.exit_code, error.type) for error in found}
    assert {(error.exit_code, error.type) for error in everywhere} == own


def test_an_error_says_what_where_expected_and_found() -> None:
    """The text has every part; the dictionary has only the parts that are set."""
    error = InvalidInput("wrong type", expected="int", found="'x'", where="row 3", hint="cast it")
    assert str(error) == "wrong type at row 3: expected int, found 'x'"
    assert error.to_dict() == {
        "type": "invalid-input",
        "message": "wrong type",
        "expected": "int",
        "found": "'x'",
        "where": "row 3",
        "hint": "cast it",
    }
    assert InvalidInput("no").to_dict() == {"type": "invalid-input", "message": "no"}


def test_uuid7_increases_even_when_the_clock_steps_back() -> None:
    """Ids of one process sort in the order they were made."""
    start_us = SystemClock().now_us()
    clock = ManualClock(start_us)
    made = []
    for step in range(10_000):
        clock.set(start_us + (2_000 if step % 3 == 0 else -5_000_000))
        made.append(uuid7(clock))
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {uuid.UUID(text).version for text in made[:100]} == {7}
    assert {uuid.UUID(text).variant for text in made[:100]} == {uuid.RFC_4122}


def test_uuid7_is_unique_over_threads() -> None:
    """Eight threads, no id twice."""
    made: list[str] = []

    def make() -> None:
        mine = [uuid7() for _ in range(5_000)]
        made.extend(mine)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 40_000


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_uuid8_is_the_same_for_the_same_names_only(a: list[str], b: list[str]) -> None:
    """Where one name ends and the next begins matters."""
    assert (uuid8(*a) == uuid8(*b)) == (a == b)
    assert uuid.UUID(uuid8(*a)).version == 8


@pytest.mark.parametrize(
    ("timestamp_us", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_795_360_956_460_001, "2026-11-22T15:22:36.460001Z"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_timestamps_have_one_form(timestamp_us: int, text: str) -> None:
    """RFC 3339 with six digits and Z, at both ends of the range too."""
    assert format_timestamp(timestamp_us) == text


def test_lazy_exports_give_what_is_there_and_refuse_the_rest() -> None:
    """A name is imported when it is used, stays, and an unknown one is an AttributeError."""
    import lakecore.tables

    assert lakecore.tables.Tables is lakecore.tables.Tables
    assert "Tables" in vars(lakecore.tables)
    with pytest.raises(AttributeError, match=r"'lakecore\.tables' has no attribute 'Table'"):
        _ = lakecore.tables.Table


def test_a_forked_child_makes_ids_of_its_own() -> None:
    """Random numbers that are kept in store are not used on both sides of a fork."""
    uuid7()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, "".join(uuid7()[-17:] for _ in range(200)).encode())
        os._exit(0)
    os.close(write)
    ours = {uuid7()[-17:] for _ in range(200)}
    with os.fdopen(read) as pipe:
        text = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    theirs = {text[at : at + 17] for at in range(0, len(text), 17)}
    assert (len(ours), len(theirs)) == (200, 200)
    assert not ours & theirs
