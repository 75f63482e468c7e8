"""Compaction of small ranges: 16 and 64 events instead of 65,536 and 1,048,576."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from tests.fakes.journals import open_journal, sample, sealed_ids

from lakecore.journal import Journal
from lakecore.journal._log import runs, segment
from lakecore.journal._log.runs import MERGED
from lakecore.journal._log.segment import FOLDER, read_footer
from lakecore.storage import Store

SMALL = 16
LARGE = 64


@contextmanager
def small_ranges(count: int = SMALL, small: int = 4, large: int = 6) -> Iterator[None]:
    """Segments never cross a multiple of 16, and runs are of 16 and 64 events."""
    levels = (small, large)
    with patch.object(segment, "SEGMENT_EVENTS", count), patch.object(runs, "LEVELS", levels):
        yield


def use_small_ranges() -> None:
    """For good: in a process of its own."""
    use_ranges(SMALL, 4, 6)


def use_ranges(count: int, small: int, large: int) -> None:
    """As `small_ranges`, for good."""
    vars(segment)["SEGMENT_EVENTS"] = count
    runs.LEVELS = (small, large)


def seal_pieces(journal: Journal, *counts: int, prefix: str = "e") -> list[str]:
    """A segment for each count; the ids of all events."""
    ids = []
    for number, count in enumerate(counts):
        journal.record_batch(sample(f"{prefix}{number}", count))
        journal.seal()
        ids += [f"{prefix}{number}:{n}" for n in range(count)]
    return ids


def paths(store: Store) -> list[str]:
    """The files of the log with rows, and `-` before the stubs; runs after the log."""
    found = []
    for folder in (FOLDER, MERGED):
        for info in store.list_objects(folder):
            is_stub = read_footer(store, info.path).moved is not None
            name = info.path.removeprefix("journal/").removesuffix(".parquet")
            where, _, name = name.partition("/")
            first, _, level = name.partition("-")
            text = f"{where}:{int(first)}" + (f"/{int(level)}" if level else "")
            found.append(f"-{text}" if is_stub else text)
    return found


def check_whole(store: Store, state_dir: Path, expected: list[str]) -> None:
    """A machine that sees the lake for the first time reads every event once, and all is green."""
    with open_journal(store, state_dir) as fresh:
        assert sealed_ids(fresh) == expected
        assert [event.event_id for event in reversed(fresh.recent(100_000))] == expected
        report = fresh.verify()
        assert (report.status, report.problems) == ("green", [])
        assert report.events == len(expected)
        stats = fresh.stats()
        assert (stats["tree_size"], stats["root"]) == (len(expected), report.root)
