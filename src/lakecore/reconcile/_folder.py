"""The versions in one folder held against the journal: what documents and tables share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import CorruptData, NotFound, UnsupportedFormat
from lakecore.journal import compare_commit, foreign_commit_id, read_commit_record
from lakecore.reconcile import _words as words

if TYPE_CHECKING:
    from lakecore.journal import Event, Journal, Ledger, SealedVersion
    from lakecore.reconcile._report import TablesReport
    from lakecore.storage import ObjectInfo, Store

_WINDOW: Final = 4096
"""Versions that are read before their last events are looked up together."""

Digest = Callable[[bytes, str], str]
"""From the bytes and the path of a version to the digest that its last event has."""


@dataclass(slots=True)
class Version:
    """One version that was read.

    `digest` is that of what it does, None where nothing is sealed to compare it with.
    `kind` is ``matched``, ``reconciled``, ``before_adoption``, or ``""``: a problem, or pending.
    """

    number: int
    path: str
    data: bytes
    sealed: list[SealedVersion]
    digest: str | None = None
    is_foreign: bool = False
    kind: str = ""
    has_digest: bool = True
    gap: str | None = None

    @property
    def is_clean(self) -> bool:
        return bool(self.kind)


@dataclass(slots=True)
class Tally:
    """Versions without a problem, counted by kind; `gaps` by path."""

    matched: int = 0
    reconciled: int = 0
    before_adoption: int = 0
    without_digest: int = 0
    gaps: dict[str, str] = field(default_factory=dict)

    def add(self, version: Version) -> None:
        if not version.kind:
            return
        setattr(self, version.kind, getattr(self, version.kind) + 1)
        self.without_digest += not version.has_digest
        if version.gap is not None:
            self.gaps[version.path] = version.gap

    @property
    def versions(self) -> int:
        return self.matched + self.reconciled + self.before_adoption

    def add_to(self, report: TablesReport) -> None:
        report.matched += self.matched
        report.reconciled += self.reconciled
        report.before_adoption += self.before_adoption
        report.without_digest += self.without_digest
        report.gaps |= self.gaps


@dataclass(slots=True)
class Folder:
    """What is listed in one folder of commits, and what the journal has sealed of it."""

    name: str
    entries: dict[int, ObjectInfo] = field(default_factory=dict)
    sealed: dict[int, list[SealedVersion]] = field(default_factory=dict)

    def fingerprint(self, until: int, extra: object = None) -> str:
        """How everything up to a version looks."""
        hasher = hashlib.sha256(repr((self.name, extra)).encode())
        for number in sorted(self.entries.keys() | self.sealed.keys()):
            if number > until:
                break
            info = self.entries.get(number)
            listed = None if info is None else (info.size_bytes, info.modified_us)
            told = [
                (v.commit_id, v.digest, v.total, v.count, v.last_seq)
                for v in self.sealed.get(number, ())
            ]
            hasher.update(repr((number, listed, told)).encode())
        return hasher.hexdigest()


class FolderCheck:
    """Checks folders; what is found goes into `report`.

    Args:
        from_rows: read last events from the segments, not through the index.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        ledger: Ledger,
        report: TablesReport,
        *,
        from_rows: bool,
    ) -> None:
        self._store = store
        self._journal = journal
        self._ledger = ledger
        self._report = report
        self._from_rows = from_rows
        self.is_ahead: Callable[[str], bool] = lambda path: False
        self.now_us = 0

    def versions(
        self,
        folder: Folder,
        numbers: Iterable[int],
        digest_of: Digest,
        *,
        dataset_id: str | None = None,
        first: int = 0,
    ) -> Iterator[Version]:
        """Read, check and give the versions with these numbers.

        Args:
            dataset_id: the table's, where it is known.
            first: older versions are from before the table's adoption.
        """
        waiting = iter(numbers)
        while window := list(islice(waiting, _WINDOW)):
            read = [
                version
                for number in window
                if (version := self._read(folder, number, digest_of, first)) is not None
            ]
            self._check_digests(read, dataset_id)
            yield from read

    def _read(self, folder: Folder, number: int, digest_of: Digest, first: int) -> Version | None:
        path = folder.entries[number].path
        sealed = folder.sealed.get(number, [])
        report = self._report
        try:
            version = Version(number, path, self._store.get(path), sealed)
        except NotFound:
            report.problems.append(words.gone(path))
            return None
        if number < first:
            version.kind = "before_adoption"
            return version
        try:
            record = read_commit_record(version.data)
            problem = compare_commit(path, record, sealed)
            if problem is None:
                version.is_foreign = record is None
                version.digest = digest_of(version.data, path)
                return version
        except (CorruptData, UnsupportedFormat) as error:
            report.problems.append(words.unreadable(path, error))
            return version
        waiting = self._ledger.pending_id(path)
        if waiting is not None and (record is None or record.commit_id == waiting):
            report.pending[path] = self._ledger.pending[path]
        elif problem.field == "event_count" and self.is_ahead(path):
            at_us = record.timestamp_us if record is not None else self.now_us
            report.pending[path] = max(0.0, (self.now_us - at_us) / 1e6)
        elif record is None and not sealed:
            report.foreign.append(path)
            report.problems.append(words.foreign(path))
        else:
            report.problems.append(words.mismatch(path, record, sealed, problem))
        return version

    def _check_digests(self, versions: Sequence[Version], dataset_id: str | None) -> None:
        """Compare what versions do with what their last events say they did."""
        wanted = {v.sealed[-1].last_seq: v for v in versions if v.digest is not None}
        events = self._journal.events_at(list(wanted), from_rows=self._from_rows)
        report = self._report
        for seq, version in wanted.items():
            event = events.get(seq)
            if event is None:
                # `verify` of the journal says what is wrong with the segment.
                report.unknown.append(f"{version.path}: its last event, seq {seq}, does not read")
                continue
            commit = _commit_of(event)
            said = commit.get("actions_sha256") or commit.get("body_sha256")
            what = _wrong(version, event, dataset_id)
            if what is not None:
                report.problems.append(words.wrong_events(version.path, what))
            elif said is not None and said != version.digest:
                report.problems.append(
                    words.rewritten(version.path, str(said), str(version.digest))
                )
            else:
                version.kind = "reconciled" if version.is_foreign else "matched"
                version.has_digest = said is not None
                version.gap = commit.get("gap")


def _wrong(version: Version, event: Event, dataset_id: str | None) -> str | None:
    """How the last event is not of this version, None when it is."""
    if version.is_foreign:
        expected = foreign_commit_id(dataset_id or event.dataset_id, version.number)
        found = version.sealed[-1].commit_id
        if found != expected:
            return f"expected commit {expected}, found {found}"
    if event.version is not None and event.version != version.number:
        return f"expected version {version.number}, found {event.version}"
    return None


def _commit_of(event: Event) -> Mapping[str, Any]:
    try:
        found = json.loads(event.context).get("commit")
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}
