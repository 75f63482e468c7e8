"""Is a backup what it was, and would the lake in it be sound? Nothing is copied to find out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from lakecore.backup._copy import side_by_side
from lakecore.backup._manifest import Entry, Manifest, numbers, read_manifest
from lakecore.backup._moved import MovedTables
from lakecore.backup._plan import DOCUMENTS, TABLES, is_commit
from lakecore.backup._view import BackupView
from lakecore.base import CorruptData, LakecoreError, NotFound, Retry, UnsupportedFormat
from lakecore.journal import Journal, JournalSettings
from lakecore.storage import BUCKETS, Store, sha256_of

Status = Literal["green", "broken", "inconclusive"]

MAX_PROBLEMS: Final = 1_000
"""More are counted, not listed."""


@dataclass(slots=True, kw_only=True)
class BackupReport:
    """What verifying backups showed.

    Attributes:
        backups: the numbers of those that were looked at.
        objects, size_bytes: that were read and hashed, each once.
        events, root: the journal that the newest of them holds, recomputed.
        problems: sentences; each names the object, and the path in the lake that it holds.
        problem_count: also those that are not listed.
        warnings: what was damaged in the lake already when it was backed up.
    """

    backups: list[int] = field(default_factory=list)
    objects: int = 0
    size_bytes: int = 0
    events: int = 0
    root: str = ""
    problems: list[str] = field(default_factory=list)
    problem_count: int = 0
    warnings: list[str] = field(default_factory=list)
    is_unknown: bool = False

    @property
    def status(self) -> Status:
        if self.problem_count:
            return "broken"
        return "inconclusive" if self.is_unknown else "green"

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready objects."""
        names = ("backups", "objects", "size_bytes", "events", "root", "problems", "problem_count")
        return {"status": self.status} | {name: getattr(self, name) for name in names}

    def add(self, problem: str) -> None:
        self.problem_count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


def verify(backups: Store, *, at: int | None = None) -> BackupReport:
    """Hash every object again, and verify the journal of the newest backup in place.

    Args:
        at: only this backup; default all of them.

    Raises:
        NotFound: there is none.
    """
    report = BackupReport()
    manifests = _manifests(backups, at, report)
    _check_objects(backups, manifests, report)
    if manifests:
        _check_journal(backups, manifests[-1], report)
    return report


def _manifests(backups: Store, at: int | None, report: BackupReport) -> list[Manifest]:
    there = numbers(backups)
    if not there or (at is not None and at not in there):
        read_manifest(backups, at)  # says what there is instead
    wanted = there if at is None else [at]
    if at is None and there != list(range(len(there))):
        gone = sorted(set(range(there[-1] + 1)) - set(there))
        report.add(f"backups are missing: {', '.join(map(str, gone[:20]))}")
    found = []
    for number in wanted:
        try:
            found.append(read_manifest(backups, number))
            report.backups.append(number)
            report.warnings += found[-1].warnings
        except CorruptData as error:
            report.add(f"backup {number}: {error}")
    return found


def _check_objects(backups: Store, manifests: list[Manifest], report: BackupReport) -> None:
    """Each object once, whichever backups have it."""
    entries: dict[str, tuple[int, Entry]] = {}
    for manifest in manifests:
        for entry in manifest.entries:
            entries.setdefault(entry.sha256, (manifest.number, entry))

    def check(item: tuple[int, Entry]) -> tuple[Entry, str | None]:
        number, entry = item
        what = f"{entry.place} ({entry.path}, backup {number})"
        try:
            sha256, size_bytes = sha256_of(backups, entry.place, entry.size_bytes)
        except NotFound:
            return entry, f"{what}: missing"
        if size_bytes != entry.size_bytes:
            return entry, f"{what}: {size_bytes} bytes instead of {entry.size_bytes}"
        if sha256 != entry.sha256:
            return entry, f"{what}: other bytes, with sha256 {sha256}"
        return entry, None

    for entry, problem in side_by_side(check, entries.values()):
        report.objects += 1
        report.size_bytes += entry.size_bytes
        if problem is not None:
            report.add(problem)


def _check_journal(backups: Store, manifest: Manifest, report: BackupReport) -> None:
    """The journal and its commits, read through a view of the backup."""
    view = BackupView(backups, manifest)
    name = f"backup {manifest.number}"
    with (
        TemporaryDirectory(prefix="lakecore-backup-") as state_dir,
        Journal.open(
            view, Path(state_dir), settings=JournalSettings(background=False, direct="staged")
        ) as journal,
    ):
        try:
            found = journal.verify()
            report.events, report.root = found.events, found.root
            report.is_unknown = found.status == "inconclusive"
            for problem in found.problems:
                report.add(
                    f"{name}: {problem.where}: {problem.field or 'a row'}: "
                    f"expected {problem.expected}, found {problem.found}"
                )
            if found.ok and (found.events, found.root) != (manifest.tree_size, manifest.root):
                report.add(
                    f"{name}: the journal has {found.events} events and root {found.root}, "
                    f"the manifest says {manifest.tree_size} and {manifest.root}"
                )
            complete = journal.completeness(_commits(view))
            for gap in (*complete.missing, *complete.unreadable):
                report.add(
                    f"{name}: {gap.where}: {gap.field}: expected {gap.expected}, found {gap.found}"
                )
            moved = MovedTables(view)
            for path in complete.without_object:
                if not _may_be_gone(view, moved, path):
                    report.add(f"{name}: {path}: its events are there, the version is not")
        except Retry:
            raise
        except UnsupportedFormat as error:
            report.is_unknown = True
            report.warnings.append(str(error))
        except LakecoreError as error:
            report.add(f"{name}: {error}")


def _commits(view: BackupView) -> Iterator[tuple[str, bytes]]:
    """Every version, by the path that the journal has it under."""
    moved = MovedTables(view)
    told: set[str] = set()
    for prefix in (DOCUMENTS, *TABLES, BUCKETS):
        for info in view.list_objects(prefix):
            path = moved.journaled_at(info.path) if is_commit(info.path) else None
            if path is not None and path not in told:
                told.add(path)
                yield path, view.get(info.path)


def _may_be_gone(view: BackupView, moved: MovedTables, path: str) -> bool:
    """Whether a version is of a table whose files go as a whole: a workspace's, or one moved away.

    What is left of one has nothing to be held against; what is missing in one that goes on is
    told, as long as any version of it is there.
    """
    location = path.partition("/_delta_log/")[0]
    if not location.startswith("workspaces/") and location not in moved.left:
        return False
    return next(view.list_objects(f"{location}/_delta_log/"), None) is None
