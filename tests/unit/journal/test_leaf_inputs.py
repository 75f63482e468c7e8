"""Leaf inputs: lines behind the leaf prefix, hashed and packed into blocks without a copy."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest

from lakecore.journal import Event, events_to_arrow
from lakecore.journal._events.leaf import leaf_hashes, leaf_inputs, leaf_lines
from lakecore.journal._index.arrays import encode_blocks
from lakecore.tlog import sha256_rows

TEXTS = ("1", '"a\\u0000b"', '"лев"', '"' + "x" * 20_000 + '"', '"a\\"b\\\\c"')


def table(count: int) -> pa.Table:
    """Events with every kind of value that is not written as it is."""
    events = [
        Event(
            entity_type="plane",
            entity_id=f"N{number}" if number % 9 else "N\x001",
            field="seats",
            action="update",
            actor="ada",
            new_value=TEXTS[number % len(TEXTS)],
        )
        for number in range(count)
    ]
    return events_to_arrow(events, now_us=1_700_000_000_000_000, id_prefix="id")


@pytest.mark.parametrize("count", [1, 64, 200, 700])
def test_they_are_the_lines_behind_a_zero(count: int) -> None:
    """A zero byte and the line, and the zero byte nowhere else; their digests are the leaves."""
    events = table(count)
    lines, inputs = leaf_lines(events).to_pylist(), leaf_inputs(events)
    assert inputs.to_pylist() == [b"\0" + line for line in lines]
    assert not any(b"\0" in line for line in lines)
    assert (sha256_rows(inputs) == leaf_hashes(leaf_lines(events))).all()
    assert sha256_rows(inputs)[0].tobytes() == hashlib.sha256(b"\0" + lines[0]).digest()


@pytest.mark.parametrize("count", [1, 63, 64, 65, 700])
@pytest.mark.parametrize("cut", [0, 1, 64, 100])
def test_blocks_have_the_lines_alone(count: int, cut: int) -> None:
    """The same bytes as of lines, wherever the arrays begin and end; also when both are mixed."""
    events = table(count)
    lines, inputs = leaf_lines(events).chunk(0), leaf_inputs(events).chunk(0)
    expected = list(encode_blocks([lines]))
    assert list(encode_blocks([inputs.slice(0, cut), inputs.slice(cut)])) == expected
    assert list(encode_blocks([lines.slice(0, cut), inputs.slice(cut)])) == expected
    assert list(encode_blocks([inputs.slice(0, 0), lines])) == expected
