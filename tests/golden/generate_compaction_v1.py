"""Writes a run and a stub of format 1, as they are found in lakes.

The run is one of 16 events, of two segments; in lakes they have 65,536 or 1,048,576.
Every later release reads them. Run it after a deliberate change of a format, which is a
new format number and new files; never to make a test pass:

    python -m tests.golden.generate_compaction_v1
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.fakes.compaction import small_ranges
from tests.fakes.journals import sample

from lakecore.base import ManualClock
from lakecore.journal._events.hashing import hash_events
from lakecore.journal._log.compact import Compactor
from lakecore.journal._log.footers import Footers
from lakecore.journal._log.segment import (
    SealedCommit,
    SegmentFooter,
    encode_segment,
    segment_path,
)
from lakecore.storage import Store, open_store
from lakecore.tlog import Frontier

RUN = Path(__file__).with_name("journal_run_v1.parquet")
STUB = Path(__file__).with_name("journal_stub_v1.parquet")
RUN_PATH = "journal/merged/00000000000000000000-04.parquet"
STUB_PATH = segment_path(5)
SEAL_ID = "0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c2f"
COUNTS = (5, 11)


def footers() -> list[SegmentFooter]:
    """The footers of the two segments: a part of a commit in each, and hot events."""
    tree = Frontier.empty()
    found = []
    for number, count in enumerate(COUNTS):
        tree.append(hash_events(sample(f"e{number}", count)))
        part = SealedCommit(f"commit-{number}", f"tables/t{number}", "ab" * 32, 1, 0, 3, 3)
        found.append(
            SegmentFooter(
                first_seq=tree.size - count,
                count=count,
                seal_id=SEAL_ID,
                sealed_at_us=1_769_860_800_000_000 + number,
                commits=(part,),
                hot={"log": tree.size - 3 * number - 3},
                tree_size=tree.size,
                root=tree.root().hex(),
                edge=tuple(node.hex() for node in tree.edge),
                timestamp_us=(1_767_225_600_000_000, 1_767_225_600_000_000 + count - 1),
            )
        )
    return found


def lake() -> Store:
    """Two segments, as they were sealed."""
    store = open_store("memory://")
    for number, footer in enumerate(footers()):
        events = sample(f"e{number}", footer.count)
        store.create(footer.path, encode_segment(events, hash_events(events), footer))
    return store


def compacted() -> Store:
    """The same, merged."""
    store = lake()
    with small_ranges(), tempfile.TemporaryDirectory() as folder:
        known = Footers(store, Path(folder))
        Compactor(store, known, ManualClock()).compact(grace_s=0)
        known.close()
    return store


if __name__ == "__main__":
    RUN.write_bytes(compacted().get(RUN_PATH))
    STUB.write_bytes(compacted().get(STUB_PATH))
