"""Figures of a journal at one moment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lakecore.base import CorruptData, LakecoreError, NotFound, UnsupportedFormat
from lakecore.journal._commits.commit import Fate
from lakecore.journal._commits.staged import StagedReader
from lakecore.journal._log import runs
from lakecore.journal._log.runs import Place, Run
from lakecore.journal._log.segment import segment_path

if TYPE_CHECKING:
    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.pending import StagedCommit
    from lakecore.journal._read.scan import Snapshot
    from lakecore.storage import Store


def journal_stats(
    snapshot: Snapshot, store: Store, problems: Iterable[LakecoreError], *, now_us: int
) -> dict[str, Any]:
    """Counts of events and files, the tree's size and root, and what is pending.

    `buffer_events` are acknowledged and not yet sealed; `pending` are the staged files of
    them: commits, events, age of the oldest, undecided ones, and what cannot be read, or
    could not by the last sealing run (`problems`). `small_files` are segments of complete
    ranges: compaction makes one file of those of a range.
    """
    footers, view = snapshot.footers, snapshot.view
    committed = snapshot.staged.with_fate(Fate.COMMITTED)
    unreadable = {str(item) for item in (*snapshot.staged.problems, *problems)}
    staged = 0
    for commit in committed:
        try:
            count = _event_count(commit, store, footers)
        except (CorruptData, UnsupportedFormat) as error:
            unreadable.add(str(error))
        else:
            staged += count - footers.sealed_count(commit.commit_id, view.size)
    hot = sum(piece.table.num_rows for piece in snapshot.hot)
    oldest = min((commit.timestamp_us for commit in committed), default=now_us)
    return {
        "buffer_events": hot + staged,
        "persisted_files": len({place.path for place in snapshot.places}),
        "small_files": sum(_is_small(place, snapshot.size) for place in snapshot.places),
        "total_events_created": snapshot.size + hot + staged,
        "tree_size": view.size,
        "root": view.tree.root().hex(),
        "duplicate_ids": view.duplicate_ids,
        "pending": {
            "commits": len(committed),
            "events": staged,
            "oldest_age_s": max(0.0, (now_us - oldest) / 1e6),
            "undecided": len(snapshot.staged.with_fate(Fate.UNDECIDED)),
            "unreadable": sorted(unreadable),
        },
    }


def _is_small(place: Place, size: int) -> bool:
    """Whether a place is a segment that a run would take in."""
    run = Run.at(place.first_seq, runs.LEVELS[0])
    is_segment = place.path == segment_path(place.first_seq)
    return is_segment and place.count < run.count and run.end_seq <= size


def _event_count(commit: StagedCommit, store: Store, footers: Footers) -> int:
    if commit.record is not None:
        return commit.record.event_count
    info = commit.info
    reader = StagedReader(store, info.path, size_bytes=info.size_bytes)
    try:
        return sum(batch.num_rows for batch in reader.batches())
    except NotFound:
        # Sealed since the snapshot.
        footers.refresh()
        return next((piece.commit.total for piece in footers.pieces(commit.commit_id)), 0)
