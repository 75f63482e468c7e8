"""One table held against the journal: its versions, its files, its checkpoints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from lakecore.base import CorruptData, NotFound
from lakecore.base.limits import MIB
from lakecore.reconcile import _words as words
from lakecore.reconcile._checkpoints import (
    Checkpoint,
    checkpoints_of,
    disagreements,
    read_checkpoint,
)
from lakecore.reconcile._entry import read_entry
from lakecore.reconcile._folder import Folder, FolderCheck, Tally, Version
from lakecore.reconcile._log import base_of
from lakecore.reconcile._memory import Memory, Remembered
from lakecore.reconcile._replay import Replay
from lakecore.reconcile._report import TablesReport
from lakecore.reconcile._rows import Underivable, file_path
from lakecore.tables import actions_sha256

if TYPE_CHECKING:
    from lakecore.reconcile._places import Place
    from lakecore.storage import ObjectInfo, Store

_READ_BYTES: Final = 4 * MIB


@dataclass(slots=True)
class TableListing:
    """What lies in a table's folder.

    Attributes:
        folder: the log's entries, and what is sealed of them.
        others: what else is in the log's folder, by name.
        files: everything else, by path.
        is_closed: it is of a workspace that is over, so its files may be gone.
    """

    location: str
    folder: Folder
    others: dict[str, ObjectInfo] = field(default_factory=dict)
    files: dict[str, ObjectInfo] = field(default_factory=dict)
    is_closed: bool = False

    @property
    def newest(self) -> int:
        return max(self.folder.entries, default=-1)


class TableCheck:
    """Checks tables one by one; see `FolderCheck`."""

    def __init__(
        self,
        store: Store,
        versions: FolderCheck,
        memory: Memory,
        report: TablesReport,
        *,
        full: bool,
    ) -> None:
        self._store = store
        self._versions = versions
        self._memory = memory
        self._report = report
        self._full = full

    def check(self, table: TableListing, place: Place | None) -> None:
        """Everything about one table; `place` is what the catalog says of it."""
        if self._gone(table, place):
            return
        checkpoints = checkpoints_of(table.others)
        seen = {name: _look(info) for name, info in table.others.items()}
        state = self._remembered(table, place, seen)
        replay, tally = state.replay, state.tally
        self._report.verified_before += tally.versions
        is_replayed = self._begin(table, replay)
        is_clean = is_replayed
        shas: dict[str, str] = {}
        for version in self._versions.versions(
            table.folder,
            [number for number in sorted(table.folder.entries) if number > state.version],
            lambda data, path: actions_sha256(data, where=path),
            dataset_id=place.dataset_id if place is not None else None,
            first=place.adopted_version if place is not None else 0,
        ):
            if is_clean and not version.is_clean:
                # What is whole up to here needs no second look, once this is settled.
                self._remember(table, place, state)
                is_clean = False
            is_replayed = is_replayed and self._apply(replay, version, shas)
            is_clean = is_clean and is_replayed
            tally.add(version)
            state.version = version.number
            if is_replayed:
                ours = [item for item in checkpoints if item.version == version.number]
                for item in ours:
                    is_clean = self._compare(table, replay, item) and is_clean
        tally.add_to(self._report)
        if is_replayed:
            self._check_place(table, replay, place)
            is_over = table.is_closed or (place is not None and place.is_over)
            self._check_files(table, replay, shas, is_over=is_over)
        if is_clean:
            self._remember(table, place, state)

    # -- versions that are gone -------------------------------------------------------

    def _gone(self, table: TableListing, place: Place | None) -> bool:
        """Tell of versions that are sealed and not there; True when nothing else is left."""
        folder, newest = table.folder, table.newest
        first = place.adopted_version if place is not None else 0
        gone = [n for n in sorted(folder.sealed) if n not in folder.entries and n >= first]
        is_over = not folder.entries and place is not None and place.is_over
        if gone and (is_over or table.is_closed):
            # What is left of a workspace that is being removed has nothing to be held against.
            self._report.purged += len(gone)
            return True
        for number in [n for n in gone if n < newest]:
            path = folder.sealed[number][0].path
            self._report.problems.append(words.gone_in_the_middle(path))
        behind = [n for n in gone if n > newest]
        if behind:
            path = folder.sealed[behind[0]][0].path
            self._report.problems.append(words.cut_off(path, len(behind), newest))
        return not folder.entries

    # -- the log replayed -------------------------------------------------------------

    def _begin(self, table: TableListing, replay: Replay) -> bool:
        """Whether the log can be replayed from where `replay` is, or from a checkpoint."""
        if replay.version >= 0:
            return True
        folder = table.folder
        try:
            found = base_of(self._store, folder.name, folder.entries, table.others)
        except (CorruptData, NotFound) as error:
            self._report.problems.append(words.unreadable(folder.name, error))
            return False
        if found is None:
            what = "its first entries are missing, and no checkpoint stands for them"
            self._report.problems.append(words.unreadable(folder.name, what))
            return False
        replay.version, replay.files = found.version, found.files
        replay.metadata, replay.protocol = found.metadata, found.protocol
        return True

    def _apply(self, replay: Replay, version: Version, shas: dict[str, str]) -> bool:
        if version.number <= replay.version:
            return True  # the checkpoint that stands for what was trimmed has it
        if version.number != replay.version + 1:
            self._report.unknown.append(f"{version.path}: the version before it is not there")
            return False
        try:
            entry = read_entry(version.data, where=version.path)
        except CorruptData:
            return False  # told as unreadable
        replay.apply(entry)
        shas |= {file.path: file.sha256 for file in entry.adds if file.sha256 is not None}
        return True

    def _compare(self, table: TableListing, replay: Replay, item: Checkpoint) -> bool:
        """Whether a checkpoint agrees with the log replayed up to its version."""
        where = f"{table.folder.name}/{item.names[0]}"
        if not item.is_readable:
            self._report.unknown.append(f"{where}: a checkpoint of a kind that is not compared")
            return False
        try:
            found = read_checkpoint(self._store, table.folder.name, item)
        except NotFound:
            return True  # removed meanwhile
        except CorruptData as error:
            self._report.problems.append(words.unreadable(where, error))
            return False
        differences = list(disagreements(replay, found))
        self._report.problems += [words.checkpoint(where, what) for what in differences]
        return not differences

    # -- the newest version -----------------------------------------------------------

    def _check_place(self, table: TableListing, replay: Replay, place: Place | None) -> None:
        if place is not None and replay.table_id != place.dataset_id:
            self._report.problems.append(
                words.other_table(table.location, place.dataset_id, replay.table_id)
            )

    def _check_files(
        self, table: TableListing, replay: Replay, shas: Mapping[str, str], *, is_over: bool
    ) -> None:
        live = set()
        for file in replay:
            try:
                path = file_path(table.location, file.path)
            except Underivable:
                continue
            live.add(path)
            info = table.files.get(path)
            if is_over and info is None:
                continue  # given up after the grace of a drop; the log stays
            if info is None and not self._store.exists(path):
                self._report.problems.append(words.missing_file(path, replay.version))
            elif info is not None and file.size_bytes not in (None, info.size_bytes):
                size = int(file.size_bytes or 0)
                self._report.problems.append(words.other_size(path, size, info.size_bytes))
            self._report.files_without_digest += file.sha256 is None
        if self._full:
            for logged, expected in shas.items():
                path = file_path(table.location, logged)
                if path in table.files:
                    self._hash(path, expected)

    def _hash(self, path: str, expected: str) -> None:
        hasher = hashlib.sha256()
        try:
            with self._store.open(path) as file:
                while data := file.read(_READ_BYTES):
                    hasher.update(data)
        except NotFound:
            return  # vacuumed meanwhile
        self._report.files += 1
        if hasher.hexdigest() != expected:
            self._report.problems.append(words.changed_file(path, expected, hasher.hexdigest()))

    # -- what was verified before -----------------------------------------------------

    def _remembered(
        self, table: TableListing, place: Place | None, seen: Mapping[str, list[int]]
    ) -> _State:
        nothing = _State(seen=seen)
        known = None if self._full else self._memory.get(table.folder.name)
        if known is None:
            return nothing
        if table.folder.fingerprint(known.version, _extra(place)) != known.fingerprint:
            return nothing
        try:
            state = _State.from_json(known.version, known.state)
        except (ValueError, KeyError, TypeError, AttributeError):
            return nothing
        late = checkpoints_of(name for name, look in seen.items() if state.seen.get(name) != look)
        for item in late:
            # One of a version that is behind, or another one than was seen: replay for it.
            if item.version < known.version:
                return nothing
            if item.version == known.version and not self._compare(table, state.replay, item):
                self._report.problems.pop()
                return nothing
        state.seen = seen
        return state

    def _remember(self, table: TableListing, place: Place | None, state: _State) -> None:
        fingerprint = table.folder.fingerprint(state.version, _extra(place))
        known = Remembered(state.version, fingerprint, state.to_json())
        self._memory.put(table.folder.name, known)


@dataclass(slots=True)
class _State:
    """A table as it was found whole, up to a version."""

    seen: Mapping[str, list[int]]
    version: int = -1
    replay: Replay = field(default_factory=Replay)
    tally: Tally = field(default_factory=Tally)

    def to_json(self) -> str:
        replay, tally = self.replay.to_json(), asdict(self.tally)
        return json.dumps({"replay": replay, "tally": tally, "seen": dict(self.seen)})

    @classmethod
    def from_json(cls, version: int, text: str) -> _State:
        content = json.loads(text)
        replay = Replay.from_json(content["replay"])
        return cls(content["seen"], version, replay, Tally(**content["tally"]))


def _look(info: ObjectInfo) -> list[int]:
    return [info.size_bytes, info.modified_us]


def _extra(place: Place | None) -> object:
    return None if place is None else sorted(asdict(place).items())
