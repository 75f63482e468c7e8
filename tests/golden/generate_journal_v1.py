"""Writes a segment of format 1 and a staged file of format 2, as they are found in lakes.

The staged file of format 1 was written by the releases before sums; it is kept as it is.

Every later release reads them. Run it after a deliberate change of a format, which is a
new format number and new files; never to make a test pass:

    python -m tests.golden.generate_journal_v1
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from tests.golden.generate_leaf_v1 import events

from lakecore.journal import Mutation, Staging, Target, events_to_arrow
from lakecore.journal._events.hashing import hash_events
from lakecore.journal._log.segment import SealedCommit, SegmentFooter, encode_segment
from lakecore.storage import open_store
from lakecore.tlog import Frontier

STAGED_V1 = Path(__file__).with_name("journal_staged_v1.arrow")
STAGED = Path(__file__).with_name("journal_staged_v2.arrow")
SEGMENT = Path(__file__).with_name("journal_segment_v1.parquet")

COMMIT_ID = "0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c2d"
LOG_ID = "0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c2e"
TARGET = Target(
    path="tables/main/planes/_delta_log/00000000000000000007.json",
    kind="table",
    dataset="planes",
    dataset_id="0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c00",
    version=7,
)
FIRST_SEQ = 65_536 + 10
HOT_EVENTS = 2


def table() -> pa.Table:
    """The events of the golden leaves."""
    return events_to_arrow(events())


def before() -> Frontier:
    """The tree that the segment continues: of as many leaves of zeros."""
    import numpy as np

    tree = Frontier.empty()
    tree.append(np.zeros((FIRST_SEQ, 32), dtype=np.uint8))
    return tree


def footer() -> SegmentFooter:
    """The footer of the segment: a part of a commit, and some hot events."""
    rows = table()
    tree = before()
    tree.append(hash_events(rows))
    part = rows.num_rows - HOT_EVENTS
    commit = SealedCommit(COMMIT_ID, TARGET.path, "ab" * 32, 0, 5, part, part + 5)
    return SegmentFooter(
        first_seq=FIRST_SEQ,
        count=rows.num_rows,
        seal_id="0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c2f",
        sealed_at_us=1_769_860_800_000_000,
        commits=(commit,),
        hot={LOG_ID: 1_000},
        tree_size=tree.size,
        root=tree.root().hex(),
        edge=tuple(node.hex() for node in tree.edge),
        timestamp_us=(0, 1_769_860_800_000_001),
    )


def staged_bytes() -> bytes:
    store = open_store("memory://")
    with Staging(store, TARGET, commit_id=COMMIT_ID) as staging:
        staging.write(table())
        staging.finish([Mutation("m", "ada", "api", "", "", 1)])
    return store.get(staging.path)


def segment_bytes() -> bytes:
    rows = table()
    return encode_segment(rows, hash_events(rows), footer())


if __name__ == "__main__":
    STAGED.write_bytes(staged_bytes())
    SEGMENT.write_bytes(segment_bytes())
