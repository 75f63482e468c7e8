"""Every version of every table and document held against its events, both ways."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import CorruptData, Unavailable
from lakecore.reconcile import _words as words
from lakecore.reconcile._folder import Folder, FolderCheck, Tally
from lakecore.reconcile._memory import Memory, Remembered
from lakecore.reconcile._places import Places, facts_of
from lakecore.reconcile._report import TablesReport
from lakecore.reconcile._table import TableCheck, TableListing

if TYPE_CHECKING:
    from lakecore.journal import Journal, Ledger
    from lakecore.storage import ObjectInfo, Store

_NUMBERED: Final = re.compile(r"(?P<folder>.+)/(?P<number>\d{20})\.json")
_LOG: Final = "/_delta_log"
_TABLES: Final = "tables/"
_WORKSPACES: Final = "workspaces/"
_DOCUMENTS: Final = "documents/"


def nothing_ahead(path: str) -> bool:
    """Every version that is there has events."""
    return False


def completeness(
    store: Store,
    journal: Journal,
    state_dir: Path,
    *,
    now_us: int,
    full: bool = False,
    is_ahead: Callable[[str], bool] = nothing_ahead,
) -> TablesReport:
    """Hold every version against its events, and every sealed commit against its version.

    What this machine found whole before, and what is listed and sealed as then, is not read
    again. Where something is wrong, all is looked at a second time, and what is wrong then as
    well is told: what others commit while one looks is in one part of it and not in another.

    Args:
        full: read everything again; hash the data files; read events from the segments.
        is_ahead: of a replica that is being brought up to date, which versions may be there
            before their events: they count as pending.

    Raises:
        CorruptData, Unavailable: the journal cannot be asked.
    """

    def look() -> TablesReport:
        report = TablesReport()
        with closing(Memory(state_dir)) as memory, journal.ledger() as ledger:
            run = _Run(store, journal, ledger, memory, report, now_us=now_us, full=full)
            run.versions.is_ahead, run.versions.now_us = is_ahead, now_us
            run.run()
            memory.save()
        return report

    report = look()
    if report.problems:
        first = set(report.problems)
        report = look()
        report.problems = [problem for problem in report.problems if problem in first]
    return report


class _Run:
    def __init__(
        self,
        store: Store,
        journal: Journal,
        ledger: Ledger,
        memory: Memory,
        report: TablesReport,
        *,
        now_us: int,
        full: bool,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._memory = memory
        self._report = report
        self._full = full
        self._places = Places(now_us)
        self.versions = FolderCheck(store, journal, ledger, report, from_rows=full)
        self._tables = TableCheck(store, self.versions, memory, report, full=full)
        self._done: set[str] = set()

    def run(self) -> None:
        report, ledger = self._report, self._ledger
        report.undecided, report.dead = ledger.undecided, ledger.dead
        report.problems += [words.unreadable(p.where, p.found) for p in ledger.unreadable]
        self._documents()
        for location in self._locations():
            try:
                for table in self._listed(location):
                    self._table(table)
            except Unavailable:
                # A table that left a bucket does not need it any more.
                if not self._places.is_left(location):
                    raise
        self._unlisted()

    # -- documents --------------------------------------------------------------------

    def _documents(self) -> None:
        numbered = (
            (match["folder"], int(match["number"]), info)
            for info in self._store.list_objects(_DOCUMENTS)
            if (match := _NUMBERED.fullmatch(info.path)) is not None
        )
        for name, group in groupby(numbered, key=lambda item: item[0]):
            folder = self._folder(name)
            folder.entries = {number: info for _, number, info in group}
            self._document(folder)

    def _document(self, folder: Folder) -> None:
        newest = max(folder.entries, default=-1)
        for number in sorted(folder.sealed.keys() - folder.entries.keys()):
            self._report.problems.append(words.gone(folder.sealed[number][0].path))
        known = None if self._full else self._memory.get(folder.name)
        if known is not None and known.fingerprint == folder.fingerprint(newest):
            try:
                content = json.loads(known.state)
                tally, named = Tally(**content["tally"]), content["named"]
            except (ValueError, KeyError, TypeError):
                known = None
            else:
                self._report.verified_before += tally.versions
                self._take(named)
                tally.add_to(self._report)
                return
        tally, named, is_clean = Tally(), [], True
        for version in self.versions.versions(folder, sorted(folder.entries), _body_sha256):
            tally.add(version)
            named.append(facts_of(folder.name, version.data))
            is_clean = is_clean and version.is_clean
        self._take(named)
        tally.add_to(self._report)
        if is_clean:
            state = json.dumps({"tally": asdict(tally), "named": named})
            self._memory.put(folder.name, Remembered(newest, folder.fingerprint(newest), state))

    def _take(self, named: list[dict[str, Any]]) -> None:
        for position, one in enumerate(named):
            self._places.take(one, is_newest=position + 1 == len(named))

    # -- tables -----------------------------------------------------------------------

    def _locations(self) -> Iterator[str]:
        """Folders that hold tables, each once."""
        for schema in self._store.list_folders(_TABLES):
            for name in self._store.list_folders(f"{_TABLES}{schema}/"):
                yield f"{_TABLES}{schema}/{name}"
        for name in self._store.list_folders(_WORKSPACES):
            yield f"{_WORKSPACES}{name}"
        for location in self._places.locations():
            # One that was adopted where it lay.
            if not (location.startswith(_TABLES) and location.count("/") == 2):
                yield location

    def _listed(self, root: str) -> Iterator[TableListing]:
        """The tables in a folder: one, or several below each other."""
        tables: dict[str, TableListing] = {}
        files: list[ObjectInfo] = []
        for info in self._store.list_objects(f"{root}/"):
            location, mark, rest = info.path.partition(f"{_LOG}/")
            if not mark:
                files.append(info)
                continue
            if location not in tables:
                tables[location] = TableListing(location, self._log_folder(location))
            match = _NUMBERED.fullmatch(info.path)
            if match is not None and "/" not in rest:
                tables[location].folder.entries[int(match["number"])] = info
            elif "/" not in rest:
                tables[location].others[rest] = info
        for info in files:
            for location, table in tables.items():
                if info.path.startswith(f"{location}/"):
                    table.files[info.path] = info
        yield from tables.values()

    def _table(self, table: TableListing) -> None:
        if self._places.is_copy(table.location):
            return  # nobody reads it there yet
        place = self._places.get(table.location)
        table.is_closed = self._places.is_closed(table.location) or self._places.is_left(
            table.location
        )
        is_ours = place is not None or table.location.startswith(_WORKSPACES)
        entries = table.folder.entries.values()
        # Of a replica that is being brought up to date, the dataset's document comes last.
        is_coming = all(self.versions.is_ahead(info.path) for info in entries)
        if not is_ours and not is_coming:
            self._report.problems.append(words.unregistered(table.location))
        self._tables.check(table, place)

    # -- what is sealed and has no folder any more ------------------------------------

    def _unlisted(self) -> None:
        for name in self._ledger.folders():
            if name in self._done:
                continue
            folder = self._folder(name)
            if name.endswith(_LOG):
                location = name.removesuffix(_LOG)
                is_gone = self._places.is_closed(location) or self._places.is_left(location)
                table = TableListing(location, folder, is_closed=is_gone)
                self._tables.check(table, self._places.get(location))
            else:
                paths = [told[0].path for told in folder.sealed.values()]
                self._report.problems += map(words.gone, paths)

    def _log_folder(self, location: str) -> Folder:
        """A table's log, with what is sealed of it where it was before it was moved."""
        folder = self._folder(f"{location}{_LOG}")
        place = self._places.get(location)
        first = 0
        for before, last in place.former if place is not None else ():
            for version in self._ledger.sealed(f"{before}{_LOG}"):
                match = _NUMBERED.fullmatch(version.path)
                if match is not None and first <= int(match["number"]) <= last:
                    folder.sealed.setdefault(int(match["number"]), []).append(version)
            first = last + 1
        return folder

    def _folder(self, name: str) -> Folder:
        self._done.add(name)
        folder = Folder(name)
        for version in self._ledger.sealed(name):
            match = _NUMBERED.fullmatch(version.path)
            if match is not None:
                folder.sealed.setdefault(int(match["number"]), []).append(version)
        return folder


def _body_sha256(data: bytes, path: str) -> str:
    """The SHA-256 of a document's body, as canonical JSON."""
    try:
        body = json.loads(data).get("body")
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()
    except (ValueError, AttributeError, RecursionError) as error:
        raise CorruptData("a document does not read", where=path, found=error) from error
