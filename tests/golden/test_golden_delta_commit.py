"""The bytes of a commit and the digest of what it does are fixed for ever."""

from __future__ import annotations

import json

import pytest
from tests.golden.generate_delta_commit_v1 import ACTIONS_SHA256, PATH, commit

from lakecore.base import CorruptData
from lakecore.journal import read_commit_record
from lakecore.tables import actions_sha256


def test_a_commit_has_the_bytes_of_its_golden_file() -> None:
    """Every kind of action, the commit record, and the tags of a data file."""
    assert commit() == PATH.read_bytes()
    record = read_commit_record(commit())
    assert record is not None
    assert record.mutations[0].context["decision"] == {"tier": "auto", "rules": {"version": 3}}


def test_the_digest_is_of_the_actions_alone() -> None:
    """The commit record is left out of it, since the record depends on the events."""
    data = PATH.read_bytes()
    assert actions_sha256(data) == ACTIONS_SHA256
    first, *others = data.split(b"\n")
    action = json.loads(first)
    action["commitInfo"]["lakecore"]["digest"] = "ef" * 32
    reordered = dict(reversed(action["commitInfo"].items()))
    again = json.dumps({"commitInfo": reordered}).encode()
    assert actions_sha256(b"\n".join([again, *others])) == ACTIONS_SHA256


def test_whatever_the_commit_does_is_in_the_digest() -> None:
    """One byte of any action, their order, one more, one less: another digest."""
    lines = PATH.read_bytes().split(b"\n")[:-1]
    variants = [
        [lines[0].replace(b'"UPDATE"', b'"DELETE"'), *lines[1:]],
        [lines[0], *reversed(lines[1:])],
        lines[:-1],
        [*lines, lines[-1]],
        [*lines[:-1], lines[-1] + b" "],
        [*lines[:-2], lines[-2].replace(b"cdcd", b"cdce", 1), lines[-1]],
        lines[1:],
    ]
    found = {actions_sha256(b"\n".join(variant) + b"\n") for variant in variants}
    assert len(found) == len(variants)
    assert ACTIONS_SHA256 not in found


def test_a_commit_of_another_engine_has_a_digest() -> None:
    """commitInfo may be anywhere, or nowhere; a missing last newline changes nothing."""
    info, add = b'{"commitInfo":{"a":1}}', b'{"add":{"path":"commitInfo"}}'
    assert actions_sha256(info + b"\n" + add) == actions_sha256(add + b"\n" + info + b"\n")
    assert actions_sha256(add) != actions_sha256(info + b"\n" + add)


@pytest.mark.parametrize("data", [b'{"commitInfo"', b'{"commitInfo":{"a":"\\ud800"}}'])
def test_what_is_no_commit_has_none(data: bytes) -> None:
    """It says so, naming the object."""
    with pytest.raises(CorruptData, match="here"):
        actions_sha256(data, where="here")
