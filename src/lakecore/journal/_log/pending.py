"""What is durable but not sealed: staged commits with their fate, and the hot log's rest."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lakecore.base import (
    CorruptData,
    LakecoreError,
    NotFound,
    Refused,
    Unavailable,
    UnsupportedFormat,
)
from lakecore.journal._commits.commit import CommitRecord, Fate, fate_of, read_commit_record
from lakecore.journal._commits.staged import FOLDER, StagedHeader, StagedReader
from lakecore.storage import bucket_of

if TYPE_CHECKING:
    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.view import View
    from lakecore.storage import ObjectInfo, Store

_SUFFIX: Final = ".arrow"
_MAX_HEADERS: Final = 65_536


@dataclass(frozen=True, slots=True)
class StagedCommit:
    """One staged file with its fate; `record` is the target's when it is committed by one.

    Direct events, and those of a version that another program made, are committed without.
    """

    info: ObjectInfo
    commit_id: str
    header: StagedHeader
    fate: Fate
    record: CommitRecord | None

    @property
    def timestamp_us(self) -> int:
        """The commit time; without a record, the time when the store took the events."""
        return self.record.timestamp_us if self.record else self.info.modified_us

    @property
    def order(self) -> tuple[int, str, int, str]:
        """The order in which commits are sealed: commit time, target, version."""
        target = self.header.target
        return (self.timestamp_us, target.path, target.version, self.commit_id)


@dataclass(frozen=True, slots=True)
class PendingList:
    """All staged files.

    Attributes:
        commits: those that are not sealed, or not whole.
        sealed: leftovers.
        unreadable, problems: those that are damaged, and what is wrong with each.
        vanished: what was sealed, or dropped, by another since it was listed.
    """

    commits: tuple[StagedCommit, ...]
    sealed: tuple[str, ...]
    unreadable: tuple[ObjectInfo, ...]
    problems: tuple[LakecoreError, ...]
    vanished: tuple[str, ...]

    def with_fate(self, fate: Fate) -> list[StagedCommit]:
        """The commits of one fate, in sealing order."""
        return sorted((c for c in self.commits if c.fate is fate), key=lambda c: c.order)


_READERS: Final = 16
_FEW: Final = 2


def _commit_id(info: ObjectInfo) -> str:
    return info.path[len(FOLDER) : -len(_SUFFIX)]


class Pending:
    """Looks at the staged files of a lake. Headers never change, so they are kept."""

    def __init__(self, store: Store, footers: Footers) -> None:
        self._store = store
        self._footers = footers
        self._headers: dict[str, StagedHeader] = {}
        self._lock = threading.Lock()

    def files(self) -> list[ObjectInfo]:
        """The staged files there are; to be asked before the footers are refreshed."""
        found = self._store.list_objects(FOLDER)
        return [info for info in found if info.path.endswith(_SUFFIX)]

    def look(self) -> tuple[View, PendingList]:
        """What is sealed and what is staged at one moment: each commit is in one of them."""
        files = self.files()
        while True:
            self._footers.refresh()
            view = self._footers.view()
            found = self.judge(files, view.size)
            if not found.vanished:
                return view, found
            # What was sealed is in the log before its file goes: look there once more.
            gone = set(found.vanished)
            files = [info for info in files if info.path not in gone]

    def judge(self, files: list[ObjectInfo], end_seq: int | None = None) -> PendingList:
        """The fate of each file, against the footers as they are now.

        Args:
            end_seq: only what the first so many events have counts as sealed.

        Raises:
            Unavailable: and whatever else says that nothing can be known at this time.
        """
        commits: list[StagedCommit] = []
        sealed: list[str] = []
        problems: list[LakecoreError] = []
        unreadable: list[ObjectInfo] = []
        vanished: list[str] = []
        asked: list[ObjectInfo] = []
        for info in files:
            if self._footers.is_sealed(_commit_id(info), end_seq):
                sealed.append(info.path)
            else:
                asked.append(info)
        for info, found in zip(asked, self._at_once(asked), strict=True):
            if isinstance(found, StagedCommit):
                commits.append(found)
            elif isinstance(found, NotFound):
                vanished.append(info.path)
            else:
                unreadable.append(info)
                problems.append(found)
        return PendingList(
            tuple(commits), tuple(sealed), tuple(unreadable), tuple(problems), tuple(vanished)
        )

    def _at_once(self, files: list[ObjectInfo]) -> list[StagedCommit | LakecoreError]:
        """What each file is; on a remote store many are asked for at a time: two requests each."""
        if len(files) < _FEW or self._store.local_path(FOLDER[:-1]) is not None:
            return [self._judged(info) for info in files]
        with ThreadPoolExecutor(_READERS, thread_name_prefix="lakecore-staged") as readers:
            return list(readers.map(self._judged, files))

    def _judged(self, info: ObjectInfo) -> StagedCommit | LakecoreError:
        try:
            return self._judge_one(info, _commit_id(info))
        except (NotFound, CorruptData, UnsupportedFormat) as error:
            return error

    def _judge_one(self, info: ObjectInfo, commit_id: str) -> StagedCommit:
        header = self._header(info)
        if header.commit_id != commit_id:
            raise CorruptData(
                "a staged file lies under another's name",
                expected=commit_id,
                found=header.commit_id,
                where=info.path,
            )
        if header.target.kind == "direct":
            return StagedCommit(info, commit_id, header, Fate.COMMITTED, None)
        path = header.target.path
        try:
            data = self._store.get(path)
        except NotFound:
            return StagedCommit(info, commit_id, header, Fate.UNDECIDED, None)
        except (Unavailable, Refused):
            # Of a bucket that is away nothing can be known now, and the others do not wait for it.
            if not bucket_of(path):
                raise
            return StagedCommit(info, commit_id, header, Fate.UNDECIDED, None)
        try:
            record = read_commit_record(data)
        except (CorruptData, UnsupportedFormat) as error:
            raise type(error)(
                error.message, expected=error.expected, found=error.found, where=path
            ) from error
        fate = fate_of(commit_id, record, exists=True, target=header.target)
        return StagedCommit(
            info, commit_id, header, fate, record if fate is Fate.COMMITTED else None
        )

    def _header(self, info: ObjectInfo) -> StagedHeader:
        known = self._headers.get(info.path)
        if known is None:
            known = StagedReader(self._store, info.path, size_bytes=info.size_bytes).header()
            with self._lock:
                if len(self._headers) >= _MAX_HEADERS:
                    self._headers.clear()
                self._headers[info.path] = known
        return known
