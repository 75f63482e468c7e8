"""Old files of the log move to another store, and leave stubs.

For each file that has rows, of a complete aligned range that ends before the bound:

1. its checksum is recomputed: damage is not archived, and not hidden by it;
2. it is copied, create-only, under its own path, and read back;
3. a record of it is created in the lake (`RECORDS`): whoever scans the files themselves sees
   there that they are not all of the log;
4. its stub takes its place: *this is the commit point*. The name stays taken.

A crash before 4 leaves a copy that the next run finds. Names of commits, the tree and the
times stay in the stubs, so nothing but the events themselves has left; the index keeps their
lines. Nothing is ever removed from an archive here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lakecore.base import AlreadyExists, Conflict, CorruptData
from lakecore.journal._log import runs
from lakecore.journal._log.archived import ARCHIVED, MARKER, RECORDS
from lakecore.journal._log.runs import MERGED, Run, encode_stub, moved_of, sealed_ranges
from lakecore.journal._log.segment import Moved, open_segment, run_of, stored_checksum
from lakecore.storage import copy_object, sha256_of

if TYPE_CHECKING:
    from lakecore.storage import Store

FORMAT: Final = 1


@dataclass(slots=True)
class ArchiveReport:
    """What was archived, or would be.

    Attributes:
        files: paths of the files, in order.
        events, size_bytes: in them.
        waiting: files that are old enough, but that compaction has to merge first.
    """

    files: list[str] = field(default_factory=list)
    events: int = 0
    size_bytes: int = 0
    waiting: int = 0


@dataclass(slots=True)
class _File:
    """A file with rows: the range of its events, and their latest time."""

    path: str
    first_seq: int
    end_seq: int
    max_us: int


def archive_files(
    store: Store,
    target: Store,
    name: str,
    *,
    before_seq: int | None = None,
    before_us: int | None = None,
    dry_run: bool = False,
) -> ArchiveReport:
    """Move files whose events are all before the bounds to the archive of this name, `target`.

    Raises:
        CorruptData: a file is damaged, or the archive has another one of its name; what was
            archived before it stays archived.
        Unavailable: the archive cannot be reached.
    """
    report = ArchiveReport()
    made = {run for info in store.list_objects(MERGED) if (run := Run.of(info.path))}
    if not dry_run:
        _mark(target)
    for file in list(_files(store)):
        if before_seq is not None and file.end_seq > before_seq:
            continue
        if before_us is not None and file.max_us >= before_us:
            continue
        if not _is_final(file, made):
            report.waiting += 1
            continue
        size_bytes = store.head(file.path).size_bytes
        if not dry_run:
            _move(store, target, name, file, size_bytes)
        report.files.append(file.path)
        report.events += file.end_seq - file.first_seq
        report.size_bytes += size_bytes
    return report


def _files(store: Store) -> Iterator[_File]:
    """The files that have rows, in the lake itself."""
    found: _File | None = None
    for sealed in sealed_ranges(store):
        footer = sealed.footer
        if sealed.problem is not None or footer is None or sealed.rows_path.startswith(ARCHIVED):
            continue
        if found is None or found.path != sealed.rows_path:
            if found is not None:
                yield found
            found = _File(sealed.rows_path, footer.first_seq, footer.next_seq, 0)
        found.end_seq = footer.next_seq
        found.max_us = max(found.max_us, footer.timestamp_us[1])
    if found is not None:
        yield found


def _is_final(file: _File, made: set[Run]) -> bool:
    """Whether compaction has nothing to do with a file any more, but for larger runs."""
    named = run_of(file.path)
    if named is not None:
        # Of a run whose segments are all stubs, every position leads to it.
        run = Run(*named)
        larger = [other for other in made if other.level > run.level]
        is_whole = (file.first_seq, file.end_seq) == (run.first_seq, run.end_seq)
        return is_whole and not any(o.first_seq <= run.first_seq < o.end_seq for o in larger)
    is_full = file.end_seq - file.first_seq == 1 << runs.LEVELS[0]
    return is_full and not any(run.first_seq <= file.first_seq < run.end_seq for run in made)


def _move(store: Store, target: Store, name: str, file: _File, size_bytes: int) -> None:
    expected, found = stored_checksum(store, file.path)
    if expected != found:
        raise CorruptData(
            "a file of the log is damaged: it is not archived",
            expected=expected,
            found=found,
            where=file.path,
        )
    sha256, _ = sha256_of(store, file.path, size_bytes)
    try:
        copy_object(store, file.path, target, file.path, size_bytes, sha256)
    except AlreadyExists as error:
        raise CorruptData(
            "the archive has another file of this name",
            where=file.path,
            found=target.url,
            hint="Give each lake an archive of its own.",
        ) from error
    back, _ = sha256_of(target, file.path, size_bytes)
    if back != sha256:
        raise CorruptData(
            "the archive does not give back what it was given",
            expected=sha256,
            found=back,
            where=file.path,
        )
    record = {
        "format": FORMAT,
        "archive": name,
        "path": file.path,
        "first_seq": file.first_seq,
        "end_seq": file.end_seq,
        "sha256": sha256,
    }
    _create(store, f"{RECORDS}{file.first_seq:020d}.json", _bytes(record))
    with open_segment(store, file.path) as parquet:
        if moved_of(parquet, file.path) is not None:
            return  # another archival was faster
        stub = encode_stub(parquet, Moved(file.path, archive=name))
    store.put(file.path, stub)  # the commit point


def _mark(target: Store) -> None:
    try:
        target.create(MARKER, _bytes({"format": FORMAT}))
    except AlreadyExists:
        return


def _create(store: Store, path: str, data: bytes) -> None:
    try:
        store.create(path, data)
    except AlreadyExists:
        if store.get(path) != data:
            raise Conflict(
                "this range is being archived elsewhere", where=path, hint="look at the record"
            ) from None


def _bytes(content: object) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()
