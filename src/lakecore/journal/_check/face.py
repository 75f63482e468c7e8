"""The calls of a journal that check and repair it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lakecore.journal._check.completeness import CompletenessReport, match_commits
from lakecore.journal._check.report import IntegrityReport

if TYPE_CHECKING:
    from lakecore.base import Clock
    from lakecore.journal._check.ledger import Ledger
    from lakecore.journal._check.repair import RepairReport
    from lakecore.journal._events.event import Event
    from lakecore.journal._hot.log import HotLog
    from lakecore.journal._index import Index, Indexer
    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.pending import Pending
    from lakecore.storage import Store


class Checkable(ABC):
    """Verification and repair; what they need is imported when it is first used."""

    _store: Store
    _state_dir: Path
    _footers: Footers
    _pending: Pending
    _hot: HotLog
    _clock: Clock
    _index: Index
    _indexer: Indexer

    @abstractmethod
    def record(self, event: Event | Mapping[str, object]) -> str:
        """Record one event, durably."""

    def verify(self, *, full: bool = False, vkeys: Sequence[str] = ()) -> IntegrityReport:
        """Recompute leaves and tree from the files.

        What this machine verified before, and what looks as then, is not recomputed again.

        Args:
            full: recompute everything: it finds what no size or time of a file shows, a
                disk's decay say. What is derived is compared as well.
            vkeys: verifier keys whose signatures under checkpoints count, beside this
                machine's own.
        """
        from lakecore.journal._check.anchors import verifier_keys
        from lakecore.journal._check.incremental import Verified
        from lakecore.journal._check.verify import verify_log

        keys = verifier_keys(self._state_dir, vkeys)
        with closing(Verified(self._state_dir)) as verified:
            return verify_log(
                self._store, verified=verified, full=full, keys=keys, clock=self._clock
            )

    def forget_verified(self, *, actor: str = "", source: str = "api", reason: str = "") -> int:
        """Have the next `verify` take the log as it is, whatever this machine saw before.

        For a lake that came back from an older copy, which `verify` calls broken: events that
        were verified here are gone. An event tells of it (`verify.forget`), before it is done.

        Returns:
            How many events this machine had verified.
        """
        from lakecore.journal._check.incremental import Verified
        from lakecore.journal._events.event import Event

        with closing(Verified(self._state_dir)) as verified:
            size = verified.size()
            self.record(
                Event(
                    entity_type="journal",
                    entity_id="journal",
                    action="verify.forget",
                    actor=actor,
                    source=source,
                    old_value=str(size),
                    context=json.dumps({"reason": reason}) if reason else "{}",
                )
            )
            verified.forget()
        return size

    def completeness(self, commits: Iterable[tuple[str, bytes]]) -> CompletenessReport:
        """Match commits with events, both ways; and see whether what waits can be read.

        Args:
            commits: (path, bytes) of every commit object of the lake: of each table every
                log entry, of each document every version.
        """
        from lakecore.journal._check.repair import check_hot, check_staged

        _, staged = self._pending.look()
        report = match_commits(commits, self._footers, staged, self._clock.now_us())
        damaged = check_hot(self._state_dir, self._footers)
        damaged += check_staged(self._store, staged)
        if not damaged:
            return report
        return replace(report, ok=False, unreadable=[*report.unreadable, *damaged])

    def ledger(self) -> Ledger:
        """What the journal says of every commit object: a context manager.

        Raises:
            Unavailable, CorruptData: of the footers; staged files that are damaged are told.
        """
        from lakecore.journal._check.ledger import Ledger
        from lakecore.journal._check.repair import check_hot, check_staged
        from lakecore.journal._check.report import Problem

        _, staged = self._pending.look()
        damaged = [Problem(e.where or "", None, None, "", str(e)) for e in staged.problems]
        damaged += check_hot(self._state_dir, self._footers)
        damaged += check_staged(self._store, staged)
        return Ledger(self._footers, staged, self._clock.now_us(), tuple(damaged))

    def repair(
        self, *, dry_run: bool = False, actor: str = "", source: str = "api"
    ) -> RepairReport:
        """Move away what is damaged and keeps the rest from working; say what is lost.

        Nothing that was trusted is deleted: it is moved to a quarantine. What was sealed
        and is damaged cannot be repaired; the report names it.

        Args:
            dry_run: say what would be done, and do nothing.
            actor: who repairs, for the event that tells of it.

        Raises:
            Unavailable, ReadOnly, ...: what was done until then is done; repair again.
        """
        from lakecore.journal._check.repair import Repairer

        report = Repairer(
            self._store,
            self._state_dir,
            self._footers,
            self._pending,
            self._hot,
            self._clock,
            self.record,
        ).repair(dry_run=dry_run, actor=actor, source=source)
        if not dry_run and any(repair.kind == "index file" for repair in report.repairs):
            self._index.invalidate()
            self._indexer.catch_up(self._footers.next_seq)
        return report
