"""Leaf version 1 is what it was: a changed byte here breaks every journal there is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.golden.generate_leaf_v1 import HASHES, LINES, events, generate

from lakecore.journal._events.event import event_schema, events_to_arrow, with_seq
from lakecore.journal._events.leaf import leaf_hashes, leaf_lines
from lakecore.journal._events.row import checked_row
from lakecore.tlog._merkle import Frontier, root


def test_the_definition_reproduces_the_golden_files() -> None:
    """The scalar leaf still gives the stored lines, hashes and roots."""
    lines, document = generate()
    assert lines == LINES.read_bytes()
    assert document == HASHES.read_text()


def test_the_vectorised_leaf_reproduces_the_golden_files() -> None:
    """Tables give the same lines, hashes and roots."""
    golden = json.loads(HASHES.read_text())
    staged = events_to_arrow(events())
    lines = leaf_lines(staged)
    assert b"".join(line + b"\n" for line in lines.to_pylist()) == LINES.read_bytes()
    hashes = leaf_hashes(lines)
    assert [row.tobytes().hex() for row in hashes] == golden["hashes"]
    for size, expected in enumerate(golden["roots"]):
        assert root(hashes[:size]).hex() == expected
    sealed = with_seq(staged, 100)
    assert sealed.schema == event_schema()
    assert leaf_lines(sealed) == lines


def test_the_golden_events_are_events() -> None:
    """What the golden files hold passes the rules for events."""
    taken = [checked_row(event) for event in events()]
    assert [row.event_id for row in taken] == [event.event_id for event in events()]


@pytest.mark.parametrize("split", [0, 1, 7, 16])
def test_the_tree_grows_to_the_golden_roots(split: int) -> None:
    """Appending in two parts gives the stored root."""
    golden = json.loads(HASHES.read_text())
    hashes = leaf_hashes(leaf_lines(events_to_arrow(events())))
    tree = Frontier.empty()
    tree.append(hashes[:split])
    tree.append(np.ascontiguousarray(hashes[split:]))
    assert tree.root().hex() == golden["roots"][-1]
