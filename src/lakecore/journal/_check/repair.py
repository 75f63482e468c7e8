"""Repair: what is damaged and keeps the rest from working is moved away, and said.

1. **Look** at everything: the log by a full verification, staged files, the hot log, caches.
2. **Say** it: an event (entity type ``journal``, action ``repair``) is durable before
   anything is touched, so that no repair is unknown to the journal.
   (Only the hot log's name is put right before: without it, nothing can be recorded.)
3. **Do** it, step by step. Nothing that was trusted is deleted: its bytes are durable under
   ``quarantine`` before they leave their place.

==========================  =================================================================
damaged                     what is done
==========================  =================================================================
name of the hot log         restored, where footers leave no doubt which one it was
hot log of a lake that      what it still holds goes to a log of another name, and is sealed
is older than it            under that
one of two hot logs of      what only this one has goes to a log of another name, and is sealed
one name                    under that
batch of the hot log        kept as a file; events that say 'lost' take its events' place
staged file                 moved to ``journal/quarantine/``; its commit's events are missing
run that no stub names      moved to ``journal/quarantine/``; made again by compaction
index file, tile            removed, or written again
footers cache               removed; it is read again from the log
segment, stub, named run    nothing: it is named. A backup has it
checkpoint, the hot log's   nothing: it is named
file itself, its name else
==========================  =================================================================

Crash windows: after 2, the next repair finds the same, and says it once more. In 3 between
a copy and what it is a copy of leaving its place: both are there, and the next repair goes on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import (
    AlreadyExists,
    Clock,
    CorruptData,
    LakecoreError,
    NotFound,
    Unavailable,
    UnsupportedFormat,
    format_timestamp,
)
from lakecore.journal._check.hot_damage import DamagedBatch, HotDamage, keep
from lakecore.journal._check.report import IntegrityReport, Problem
from lakecore.journal._check.tiles import FOLDER as TILES
from lakecore.journal._check.verify import verify_log
from lakecore.journal._commits.commit import Fate, read_commit_record
from lakecore.journal._commits.staged import StagedReader
from lakecore.journal._events.event import Event
from lakecore.journal._hot.meta import SEAL_LOCK
from lakecore.journal._index.names import FOLDER as INDEX
from lakecore.journal._log.footer_cache import FILE as FOOTERS
from lakecore.journal._log.hot_copies import HotCopies
from lakecore.journal._log.runs import MERGED, sealed_ranges
from lakecore.journal._sqlite import alone

if TYPE_CHECKING:
    from lakecore.journal._hot.log import HotLog
    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.pending import Pending, PendingList
    from lakecore.storage import ObjectInfo, Store

QUARANTINE: Final = "journal/quarantine/"
_LOCAL: Final = "quarantine"
_LOCK_TIMEOUT_S: Final = 30.0
_MAX_IDS: Final = 100
_MAX_SAID: Final = 100
"""Repairs that the event lists; it says how many there were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Events that are lost.

    Attributes:
        count: how many; None when that is lost, too.
        event_ids: at most 100 of them, as far as they could still be read.
        first, last: the range of their times, as far as it is known.
        commit: the path of the object whose events they are; '' for direct ones.
    """

    count: int | None
    event_ids: tuple[str, ...] = ()
    first: str | None = None
    last: str | None = None
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One thing that was damaged, and what was done.

    Attributes:
        kind: hot log, hot batch, staged file, run, index file, tile, footers cache.
        where, reason: what it was.
        moved_to: where its bytes are now; '' for what can be made again.
        loss: the events that are lost by it; None when none are.
    """

    kind: str
    where: str
    reason: str
    moved_to: str = ""
    loss: Loss | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """What a repair did, or would do.

    Attributes:
        repairs: in the order in which they were done.
        beyond_repair: what is damaged and can only come back from a backup.
    """

    dry_run: bool
    repairs: list[Repair] = field(default_factory=list)
    beyond_repair: list[Problem] = field(default_factory=list)

    @property
    def lost(self) -> int | None:
        """How many events are lost; None when one loss has no number."""
        counts = [repair.loss.count for repair in self.repairs if repair.loss is not None]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready objects."""
        return {**asdict(self), "lost": self.lost}


@dataclass(frozen=True, slots=True)
class _Step:
    repair: Repair
    act: Callable[[], None]


class Repairer:
    """Repairs one journal.

    Args:
        record: makes an event durable.
    """

    def __init__(
        self,
        store: Store,
        state_dir: Path,
        footers: Footers,
        pending: Pending,
        hot: HotLog,
        clock: Clock,
        record: Callable[[Event], object],
    ) -> None:
        self._store = store
        self._state_dir = state_dir
        self._footers = footers
        self._pending = pending
        self._hot = hot
        self._clock = clock
        self._record = record

    def repair(self, *, dry_run: bool, actor: str, source: str) -> RepairReport:
        """Look, say, do; see the module.

        Raises:
            Unavailable, ReadOnly, ...: of the store or the state directory; what was done
                until then is done, and a second repair does the rest.
        """
        # 1. Look.
        report = verify_log(self._store, full=True, clock=self._clock)
        beyond: list[Problem] = []
        hot = HotDamage(self._state_dir)
        first = list(self._hot_log(beyond))
        if beyond and not dry_run:
            # Without the hot log nothing can be said, so nothing is done.
            return RepairReport(dry_run=dry_run, beyond_repair=beyond)
        if not dry_run:
            for step in first:
                step.act()
        try:
            steps = [
                *first,
                *self._cache(),
                *self._runs(report),
                *self._derived(report),
                *self._staged(),
                *self._batches(hot, beyond),
            ]
            moved = {step.repair.where for step in steps}
            beyond += [problem for problem in report.problems if problem.where not in moved]
            if report.anchors is not None:
                beyond += report.anchors.problems
            repairs = [step.repair for step in steps]
            if steps and not dry_run:
                # 2. Say.
                self._record(self._event(repairs, actor, source))
                # 3. Do.
                for step in steps[len(first) :]:
                    step.act()
        finally:
            hot.close()
        return RepairReport(dry_run=dry_run, repairs=repairs, beyond_repair=beyond)

    def _event(self, repairs: list[Repair], actor: str, source: str) -> Event:
        said = [asdict(repair) for repair in repairs[:_MAX_SAID]]
        for item in said:
            if item["loss"]:
                item["loss"]["event_ids"] = item["loss"]["event_ids"][:10]
        return Event(
            entity_type="journal",
            entity_id="journal",
            action="repair",
            actor=actor,
            source=source,
            new_value=json.dumps({"count": len(repairs), "repairs": said}),
        )

    # What each kind of file needs

    def _hot_log(self, beyond: list[Problem]) -> Iterator[_Step]:
        """The name of the hot log, and what a copy of it did."""
        path = str(self._hot.path)
        with suppress(CorruptData):  # what is damaged in the log is found by others
            self._footers.refresh()
        try:
            self._hot.end()
        except CorruptData as error:
            sealed = self._footers.hot
            try:
                name = self._hot.right_name(sealed)
            except CorruptData:
                return  # not the name is damaged, but the file
            if name is None:
                told = f"{error.found}: like none of the {len(sealed)} names in footers"
                beyond.append(Problem(path, None, "log_id", "a name that is certain", told))
                return
            yield _Step(
                Repair(kind="hot log", where=path, reason=str(error)),
                lambda: self._alone(lambda: self._hot.restore_name(name)),
            )
            return
        copies = HotCopies(self._store, self._footers, self._hot)
        if lost := copies.lost():
            reason = "the lake has lost events that were sealed, or came back from an older copy"
            yield _Step(
                Repair(kind="hot log", where=path, reason=reason, loss=Loss(count=lost)),
                lambda: self._alone(lambda: self._hot.part(0)),
            )
        elif (parted := copies.parted_at()) is not None:
            reason = f"a copy of it has sealed other events, from offset {parted} on"
            yield _Step(
                Repair(kind="hot log", where=path, reason=reason),
                lambda: self._alone(lambda: self._hot.part(parted)),
            )

    def _alone(self, act: Callable[[], object]) -> None:
        """While no process of this machine seals."""
        with alone(self._state_dir / SEAL_LOCK, _LOCK_TIMEOUT_S) as is_alone:
            if not is_alone:
                raise Unavailable("another process seals", where=self._state_dir / SEAL_LOCK)
            act()

    def _batches(self, hot: HotDamage, beyond: list[Problem]) -> Iterator[_Step]:
        try:
            log_id, _ = hot.bounds()
            if log_id is None or beyond:
                return
            sealed = self._sealed(log_id)
            for batch in hot.find(start=sealed):
                yield self._batch(hot, batch, log_id)
        except CorruptData as error:
            beyond.append(_unreadable(hot, error))

    def _sealed(self, log_id: str) -> int:
        """How far a hot log is sealed; 0 where a damaged log does not tell."""
        try:
            self._footers.refresh()
        except CorruptData:
            return 0
        return self._footers.hot.get(log_id, 0)

    def _batch(self, hot: HotDamage, batch: DamagedBatch, log_id: str) -> _Step:
        folder = self._state_dir / _LOCAL
        repair = Repair(
            kind="hot batch",
            where=_place(hot, batch),
            reason=batch.reason,
            moved_to=str(folder / f"hot-{log_id}-{batch.offset:020d}.bin"),
            loss=None
            if not batch.lost
            else Loss(
                count=batch.lost,
                event_ids=batch.event_ids,
                first=_time(batch.first_us),
                last=_time(batch.last_us),
            ),
        )

        def act() -> None:
            keep(batch, folder, log_id)
            hot.replace(batch, log_id, self._clock)

        return _Step(repair, act)

    def _staged(self) -> Iterator[_Step]:
        for info in self._pending.files():
            try:
                StagedReader(self._store, info.path, size_bytes=info.size_bytes).check()
            except (NotFound, UnsupportedFormat):
                continue
            except CorruptData as error:
                yield self._move("staged file", info.path, str(error), self._loss(info))

    def _loss(self, info: ObjectInfo) -> Loss:
        """What a damaged staged file held, from what still reads, and from its commit."""
        ids: list[str] = []
        times: list[int] = []
        reader = StagedReader(self._store, info.path, size_bytes=info.size_bytes)
        target = None
        try:
            target = reader.header().target
            for batch in reader.batches():
                ids += batch.column("event_id").slice(0, _MAX_IDS - len(ids)).to_pylist()
                moments = [moment.value for moment in batch.column("timestamp")]
                times += [min(moments), max(moments)] if moments else []
        except (LakecoreError, ValueError, UnicodeDecodeError):
            pass  # what was read until here is what is known
        count: int | None = None
        path = target.path if target is not None else ""
        if path:
            try:
                record = read_commit_record(self._store.get(path))
            except NotFound:
                count = 0  # never committed: nobody was told that these events are there
            except LakecoreError:
                record = None
            else:
                commit_id = info.path.rpartition("/")[2].removesuffix(".arrow")
                is_ours = record is not None and record.commit_id == commit_id
                count = record.event_count if record is not None and is_ours else 0
                times = times or ([record.timestamp_us] if record is not None else [])
        return Loss(
            count=count,
            event_ids=tuple(ids),
            first=_time(min(times, default=None)),
            last=_time(max(times, default=None)),
            commit=path,
        )

    def _runs(self, report: IntegrityReport) -> Iterator[_Step]:
        """Damaged runs that nothing leads to: compaction makes them again."""
        damaged = [p for p in report.problems if p.where.startswith(MERGED)]
        if not damaged:
            return
        named: set[str] = set()
        for sealed in sealed_ranges(self._store):
            named.add(sealed.rows_path)
            if sealed.footer is not None and sealed.footer.moved is not None:
                named.add(sealed.footer.moved.path)
        seen: set[str] = set()
        for problem in damaged:
            if problem.where not in named | seen:
                seen.add(problem.where)
                yield self._move("run", problem.where, problem.found)

    def _derived(self, report: IntegrityReport) -> Iterator[_Step]:
        for problem in report.derived:
            if problem.where.startswith(INDEX):
                yield self._delete("index file", problem)
            elif problem.where.startswith(TILES):
                yield self._delete("tile", problem)

    def _cache(self) -> Iterator[_Step]:
        path = self._state_dir / FOOTERS
        if not path.exists():
            return
        try:
            connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            try:
                (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            finally:
                connection.close()
        except sqlite3.Error as error:
            found = str(error)
        if found == "ok":
            return
        repair = Repair(kind="footers cache", where=str(path), reason=str(found))

        def act() -> None:
            for suffix in ("-wal", "-shm", ""):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

        yield _Step(repair, act)

    def _move(self, kind: str, path: str, reason: str, loss: Loss | None = None) -> _Step:
        to = QUARANTINE + path.rpartition("/")[2]

        def act() -> None:
            try:
                data = self._store.get(path)
            except NotFound:
                return
            target = to
            for number in range(1, 100):
                try:
                    self._store.create(target, data)
                    break
                except AlreadyExists:
                    # From a repair that was killed; or another file that had this name once.
                    if self._store.get(target) == data:
                        break
                    target = f"{to}.{number}"
            else:
                raise CorruptData("the quarantine has too many files of one name", where=to)
            self._store.delete(path)

        return _Step(Repair(kind=kind, where=path, reason=reason, moved_to=to, loss=loss), act)

    def _delete(self, kind: str, problem: Problem) -> _Step:
        repair = Repair(kind=kind, where=problem.where, reason=problem.found)
        return _Step(repair, lambda: self._store.delete(problem.where))


def check_hot(state_dir: Path, footers: Footers) -> list[Problem]:
    """What is damaged in the hot log and not sealed: acknowledged events that are lost."""
    hot = HotDamage(state_dir)
    try:
        log_id, first = hot.bounds()
    except CorruptData as error:
        hot.close()
        return [_unreadable(hot, error)]
    # In this order: what is forgotten by now is among what is sealed then.
    footers.refresh()
    sealed = footers.hot
    try:
        if log_id is None:
            return []
        if log_id not in sealed and first:
            # Only what is sealed is forgotten, and what is sealed names its hot log.
            expected = f"the name of a hot log that is sealed up to {first} or more"
            return [Problem(str(hot.path), None, "log_id", expected, log_id)]
        return [
            Problem(_place(hot, batch), None, None, f"{batch.count} events", batch.reason)
            for batch in hot.find(start=sealed.get(log_id, 0))
            if batch.lost
        ]
    except CorruptData as error:
        return [_unreadable(hot, error)]
    finally:
        hot.close()


def _unreadable(hot: HotDamage, error: CorruptData) -> Problem:
    return Problem(str(hot.path), None, None, "a SQLite file that reads", str(error))


def check_staged(store: Store, staged: PendingList) -> list[Problem]:
    """What is damaged in staged files that are committed, or may be: their events are read."""
    problems = []
    for commit in staged.commits:
        if commit.fate is Fate.DEAD:
            continue
        path = commit.info.path
        try:
            found = StagedReader(store, path, size_bytes=commit.info.size_bytes).check()
        except NotFound:
            continue  # sealed meanwhile
        except (CorruptData, UnsupportedFormat) as error:
            problems.append(Problem(path, None, None, "the staged events", str(error)))
            continue
        record = commit.record
        if record is not None and found != (record.event_count, record.digest):
            expected = f"{record.event_count} events, digest {record.digest}"
            told = f"{found[0]} events, digest {found[1]}"
            problems.append(Problem(path, None, None, expected, told))
    return problems


def _place(hot: HotDamage, batch: DamagedBatch) -> str:
    return f"{hot.path}, offset {batch.offset}"


def _time(moment_us: int | None) -> str | None:
    try:
        return None if moment_us is None else format_timestamp(moment_us)
    except (ValueError, OverflowError):
        return None
