"""Writes leaf_v1.ndjson, the canonical events, and leaf_v1.json, their leaf hashes and roots.

Everything here is plain: the scalar definition of a leaf, hashlib, and the recursion of
RFC 9162, section 2.1.1. Run it after a deliberate change of the format, which is a new leaf
version; never to make a test pass:

    python tests/golden/generate_leaf_v1.py
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from lakecore.journal._events.event import Event
from lakecore.journal._events.leaf import leaf_line

LINES = Path(__file__).with_name("leaf_v1.ndjson")
HASHES = Path(__file__).with_name("leaf_v1.json")

AT = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
EDGE = 16 * 1024
TABLE_ID = "0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c00"


def events() -> list[Event]:
    """Events whose leaves are fixed for ever."""
    plain = Event(entity_type="plane", entity_id="N10156", action="insert", timestamp=AT)
    update = Event(
        seq=7,
        event_id="0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c2d:7",
        timestamp=AT,
        entity_type="plane",
        entity_id='["N10156",2]',
        field="manufacturer",
        action="update",
        old_value='"BOEING"',
        new_value='"EMBRAER"',
        actor="data-team",
        source="ingest",
        workspace_id="w1",
        dataset="planes",
        dataset_id=TABLE_ID,
        version=3,
        mutation_id="0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c2d",
        context='{"reason": "nightly"}',
    )
    texts = [
        "\x00\x01\x07\x08\t\n\x0b\x0c\r\x1b\x1f",
        'quote " backslash \\ slash / del \x7f',
        "é ß 中 \u2028 \u2029 \ufeff \ufffd \ufb33",
        "😀 \U0010ffff e\u0301",
    ]
    moments = [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    ]
    values = [
        "null",
        # Each quote takes two bytes in the leaf.
        '"' + "a" * (EDGE - 4) + '"',
        '"' + "a" * (EDGE - 3) + '"',
        '"' + "é" * (EDGE // 2 - 2) + '"',
        '"' + "é" * (EDGE // 2 - 1) + '"',
    ]
    return [
        plain,
        update,
        *(_changed(plain, actor=text, entity_id=text) for text in texts),
        *(_changed(plain, new_value=json.dumps(text, ensure_ascii=False)) for text in texts),
        *(_changed(plain, timestamp=moment) for moment in moments),
        *(_changed(update, new_value=value) for value in values),
        _changed(update, old_value=values[2], new_value=values[4]),
        _changed(plain, context='{"note":"' + "x" * EDGE + '"}'),
        *(_changed(plain, version=version) for version in (0, 2**53 - 1)),
    ]


def _changed(event: Event, **fields: object) -> Event:
    return Event(**({name: getattr(event, name) for name in Event.__slots__} | fields))


def tree_hash(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, section 2.1.1, over leaf hashes, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    left, right = tree_hash(leaves[:split]), tree_hash(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def generate() -> tuple[bytes, str]:
    """The two golden files: lines, and hashes with the roots of all tree sizes."""
    lines = [leaf_line(event) for event in events()]
    hashes = [hashlib.sha256(b"\x00" + line).digest() for line in lines]
    roots = [tree_hash(hashes[:size]) for size in range(len(hashes) + 1)]
    document = {"hashes": [item.hex() for item in hashes], "roots": [item.hex() for item in roots]}
    return b"".join(line + b"\n" for line in lines), json.dumps(document, indent=1) + "\n"


if __name__ == "__main__":
    canonical, summary = generate()
    LINES.write_bytes(canonical)
    HASHES.write_text(summary)
