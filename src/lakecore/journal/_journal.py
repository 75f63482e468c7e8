"""The face of the journal: recording, staging, sealing, reading, verifying."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal

from lakecore.base import Clock, LakecoreError, SystemClock
from lakecore.base.limits import GIB, MIB, SEGMENT_EVENTS
from lakecore.journal._check.face import Checkable
from lakecore.journal._commits.commit import Target
from lakecore.journal._commits.staged import Staging
from lakecore.journal._hot.direct import DirectStage
from lakecore.journal._hot.group import Entry, GroupCommit
from lakecore.journal._hot.log import HotLog
from lakecore.journal._hot.meta import SEAL_LOCK
from lakecore.journal._index import CATCH_UP_EVENTS, Index, Indexer, roots_of
from lakecore.journal._log.archived import ArchivedStore, Archives, no_archives
from lakecore.journal._log.background import BackgroundSealer
from lakecore.journal._log.compact import CompactReport
from lakecore.journal._log.compaction import Compaction
from lakecore.journal._log.computed import ComputedLeaves
from lakecore.journal._log.footers import Footers
from lakecore.journal._log.hot_copies import HotCopies
from lakecore.journal._log.once import IsGiven, Once
from lakecore.journal._log.pending import Pending
from lakecore.journal._log.seal import Sealer, SealOutcome
from lakecore.journal._log.sealed_ids import SealedIds
from lakecore.journal._log.staged_ids import StagedIds
from lakecore.journal._prove.face import Provable
from lakecore.journal._read.face import Readable
from lakecore.journal._read.scan import Scanner
from lakecore.journal._record import Recorder
from lakecore.journal._sqlite import alone, watch_forks
from lakecore.journal._stats import journal_stats
from lakecore.journal._transfer.face import Transferable
from lakecore.telemetry import Traces

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.storage import Store
    from lakecore.tlog import Hashes

_SEAL_LOCK_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """How a journal works.

    Attributes:
        seal_events: seal at once when so many events wait.
        seal_interval_s: seal at the latest so long after the first event that waits.
        background: seal by a thread; otherwise only by `seal` and `close`.
        max_hot_bytes: the hot log's bound; appends wait for sealing when it is reached.
        max_queue_bytes: the most that may wait for one commit of direct events.
        append_timeout_s: how long an append waits for room, before `Unavailable`.
        direct: where direct events are acknowledged: the local hot log, staged objects on
            the store, or by the kind of store. A hot log for a remote store is faster, and
            what is not sealed yet is lost with this machine.
        linger_s: how long the first of a group of staged direct events waits for company.
        compact: merge small segments in the background once a range is complete.
        compact_grace_s: how old a merged file has to be before what it merges is replaced by
            stubs; who took paths by `parts` and reads longer than that has to look again.
        idempotency_days: for how long an event id that a caller supplied is known again.
        checkpoint: sign what is sealed, where this machine has the log's key.
        checkpoint_interval_s: sign so often at most, and on closing.
    """

    seal_events: int = SEGMENT_EVENTS
    seal_interval_s: float = 5.0
    background: bool = True
    max_hot_bytes: int = GIB
    max_queue_bytes: int = 64 * MIB
    append_timeout_s: float = 30.0
    direct: Literal["auto", "hot", "staged"] = "auto"
    linger_s: float = 0.1
    compact: bool = True
    compact_grace_s: float = 600.0
    idempotency_days: int = 7
    checkpoint: bool = True
    checkpoint_interval_s: float = 60.0


class Journal(Recorder, Readable, Provable, Checkable, Transferable):
    """One lake's journal. Threads share it; processes and machines may each have one."""

    def __init__(
        self,
        store: Store,
        state_dir: Path,
        *,
        clock: Clock,
        settings: JournalSettings,
        origin: str = "",
        archives: Archives = no_archives,
        traces: Traces | None = None,
    ) -> None:
        self._traces = traces or Traces()
        self._store: Store = ArchivedStore(store, archives)
        self._archives = archives
        self._state_dir = state_dir
        self._clock = clock
        self._settings = settings
        self._origin = origin
        self._is_closed = False
        self._is_forked = False
        self._build()
        watch_forks(self)

    @classmethod
    def open(
        cls,
        store: Store,
        state_dir: Path,
        *,
        clock: Clock | None = None,
        settings: JournalSettings | None = None,
        origin: str = "",
        archives: Archives = no_archives,
        traces: Traces | None = None,
    ) -> Journal:
        """The journal of the lake in `store`; nothing is read or written yet.

        Args:
            state_dir: this machine's directory for this lake: the hot log, caches. Never
                copied to another machine.
            origin: the name of the log in checkpoints; without one, nothing is signed.
            archives: from an archive's name to its store; asked when its events are read.
            traces: is told of every run that seals.
        """
        return cls(
            store,
            state_dir,
            clock=clock or SystemClock(),
            settings=settings or JournalSettings(),
            origin=origin,
            archives=archives,
            traces=traces,
        )

    def _build(self) -> None:
        settings = self._settings
        self._footers = Footers(self._store, self._state_dir)
        self._pending = Pending(self._store, self._footers)
        self._hot = HotLog(
            self._state_dir,
            max_bytes=settings.max_hot_bytes,
            max_queue_bytes=settings.max_queue_bytes,
            timeout_s=settings.append_timeout_s,
            on_stored=self._notify,
        )
        self._ids = SealedIds(
            self._store, self._footers, self._clock, days=settings.idempotency_days
        )
        is_local = self._store.local_path("journal/log") is not None
        is_hot = settings.direct == "hot" or (settings.direct == "auto" and is_local)
        self._direct: HotLog | DirectStage = (
            self._hot
            if is_hot
            else DirectStage(
                self._store,
                StagedIds(self._store, self._pending, self._footers, self._ids),
                max_queue_bytes=settings.max_queue_bytes,
                timeout_s=settings.append_timeout_s,
                linger_s=settings.linger_s,
                on_stored=self._notify,
            )
        )
        self._once = Once(self._footers, self._ids, self._direct)
        roots = roots_of(self._footers)
        self._index = Index(self._store, roots)
        self._scanner = Scanner(self._store, self._footers, self._pending, self._hot, self._index)
        self._indexer = Indexer(self._store, self._index, roots, self._scanner.sealed)
        self._sealer = Sealer(
            self._store,
            self._footers,
            self._pending,
            self._hot,
            self._clock,
            self._ids,
            self._segment_sealed,
        )
        self._compaction = Compaction(
            self._store,
            self._footers,
            self._clock,
            self._state_dir,
            is_automatic=settings.compact and settings.background,
            grace_s=settings.compact_grace_s,
            pause_s=settings.seal_interval_s,
        )
        self._background = BackgroundSealer(
            self._seal_in_background,
            seal_events=settings.seal_events,
            interval_s=settings.seal_interval_s,
        )
        self._computed = ComputedLeaves()
        self._made_prover = None
        self._is_log_checked = False
        self._has_sealed = False
        self._problems: tuple[LakecoreError, ...] = ()
        self._stagings: weakref.WeakValueDictionary[str, Staging] = weakref.WeakValueDictionary()

    def after_fork_in_child(self) -> None:
        """Begin anew: locks that other threads of the parent held are never released here.

        A child records, and leaves sealing to others unless it is asked to: the thread pools
        that sealing computes with do not survive a fork.
        """
        if not self._is_closed:
            # Kept, not used: collected, they would remove a temporary cache that is the parent's.
            self._inherited = (self._footers, self._hot)
            self._settings = replace(self._settings, background=False)
            self._is_forked = True
            self._build()

    # Commits

    def stage(self, target: Target, *, commit_id: str | None = None) -> Staging:
        """The staged file of one attempt to create `target`; see `Staging`."""
        staging = Staging(self._store, target, commit_id=commit_id)
        self._stagings[staging.commit_id] = staging
        return staging

    def committed(self, commit_id: str) -> None:
        """The target object is durable, or may be: see to its sealing soon."""
        staging = self._stagings.pop(commit_id, None)
        self._notify(staging.event_count if staging is not None else 1)

    # Sealing

    def seal(self) -> int:
        """Seal everything that is committed; returns the number of events that this run sealed.

        Raises:
            CorruptData: a staged file or the hot log is damaged; everything else is sealed.
            Conflict, Unavailable: try again later; nothing is lost.
        """
        outcome = self._run_sealer(_SEAL_LOCK_TIMEOUT_S)
        assert outcome is not None  # noqa: S101 - only a run without a wait is left out
        if outcome.problems:
            raise outcome.problems[0]
        self._background.sealed()
        self._sign()
        return outcome.events

    flush = seal

    def compact(self, *, grace_s: float | None = None) -> CompactReport:
        """Merge small segments into runs now, and replace those that are merged by stubs.

        Args:
            grace_s: how old a run has to be for that; the settings' by default.

        Raises:
            CorruptData: a range is damaged; it is left as it is, and the rest is compacted.
        """
        report = self._compaction.compact(grace_s)
        self._indexer.catch_up(self._footers.next_seq)
        return report

    def close(self) -> None:
        """Seal what this process recorded, and let go of everything.

        Raises:
            LakecoreError: as `seal`; the journal is closed all the same, and what could not
                be sealed is found by the next one that seals.
        """
        if self._is_closed:
            return
        self._background.stop()
        self._compaction.stop()
        try:
            if self._background.is_due and not self._is_forked:
                self.seal()
            if self._has_sealed:
                self._sign(min_interval_s=0.0)
        finally:
            self._is_closed = True
            self._direct.close()
            self._hot.close()
            self._footers.close()
            self._index.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def tree_size(self) -> int:
        """How many events are sealed, by any machine; a look at the log's newest files."""
        self._footers.refresh()
        return self._footers.next_seq

    def stats(self) -> dict[str, Any]:
        """Counters, the tree, what is pending and for how long, and what sealing fails at."""
        error, failed = self._background.last_error, self._compaction.last_error
        figures = journal_stats(
            self._scanner.snapshot(), self._store, self._problems, now_us=self._clock.now_us()
        )
        return figures | {
            "flush_threshold": self._settings.seal_events,
            "seal_errors": self._background.error_count,
            "last_seal_error": None if error is None else str(error),
            "compact_errors": self._compaction.error_count,
            "last_compact_error": None if failed is None else str(failed),
            "index": self._indexer.stats(),
            "last_checkpoint_error": self._last_checkpoint_error(),
        }

    def _append(self, entry: Entry, is_given: IsGiven) -> None:
        log = self._direct_log()
        if entry.keys:
            self._once.append(entry, is_given)
        else:
            log.append_once(entry)

    async def _append_async(self, entry: Entry, is_given: IsGiven) -> None:
        if entry.keys or not self._is_log_checked:
            # These may have to read what is sealed.
            await asyncio.to_thread(self._append, entry, is_given)
        else:
            await self._direct.append_async(entry)

    def _group(self, entry: Entry) -> GroupCommit | None:
        return self._direct.group if self._is_log_checked and not entry.keys else None

    def _direct_log(self) -> HotLog | DirectStage:
        """Where direct events go, once the hot log is known to be of this time."""
        if not self._is_log_checked:
            # Before the first append, not at sealing: a log that came back from a backup
            # would give offsets that are sealed.
            held = self._hot.bounds()
            if held.log_id is not None:
                self._footers.refresh()
                sealed = self._footers.hot.get(held.log_id, 0)
                if not held.first <= sealed <= held.end:
                    copies = HotCopies(self._store, self._footers, self._hot)
                    copies.check(held.log_id, held.first)
                self._hot.renew_if_behind(sealed, held.log_id)
            self._is_log_checked = True
        return self._direct

    def _last_checkpoint_error(self) -> str | None:
        prover = self._made_prover
        return None if prover is None or prover.last_error is None else str(prover.last_error)

    def _notify(self, events: int) -> None:
        self._background.notify(events, start=self._settings.background)

    def _seal_in_background(self) -> None:
        outcome = self._run_sealer(0.0, whole=self._background.was_full)
        if outcome is None:
            # Another process seals, but may have looked before our events were there.
            self._notify(1)
            return
        if outcome.left:
            self._notify(outcome.left)
        self._sign()
        self._compaction.after_seal()
        self._indexer.catch_up(self._footers.next_seq, max_events=CATCH_UP_EVENTS)
        if outcome.problems:
            raise outcome.problems[0]

    def _segment_sealed(
        self, events: pa.Table, lines: pa.ChunkedArray | None, hashes: Hashes, first_seq: int
    ) -> None:
        self._has_sealed = True
        self._computed.add(first_seq, hashes)
        self._indexer.submit(events, lines, first_seq)

    def _sign(self, *, min_interval_s: float | None = None) -> None:
        """A checkpoint of what was sealed, if this machine signs and it is time."""
        if self._settings.checkpoint:
            interval_s = self._settings.checkpoint_interval_s
            self.after_seal(min_interval_s=interval_s if min_interval_s is None else min_interval_s)

    def _run_sealer(self, wait_s: float, *, whole: bool = False) -> SealOutcome | None:
        """One run; None when a process of this machine seals and does not end within `wait_s`.

        The lock spares the machine double work. It is not what makes sealing safe.
        """
        with alone(self._state_dir / SEAL_LOCK, wait_s) as is_alone:
            if not is_alone and not wait_s:
                return None
            with self._traces.span("journal.seal") as span:
                try:
                    outcome = self._sealer.seal(whole=whole)
                    span.set("events", outcome.events)
                finally:
                    self._indexer.wait()
        self._problems = outcome.problems
        return outcome
