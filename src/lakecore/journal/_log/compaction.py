"""When to compact: on demand, and by a thread when sealing has completed a range."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakecore.base import Clock
from lakecore.journal._log.background import BackgroundSealer
from lakecore.journal._log.compact import Compactor, CompactReport
from lakecore.journal._sqlite import alone

if TYPE_CHECKING:
    from lakecore.journal._log.footers import Footers
    from lakecore.storage import Store

_LOCK: Final = "compact.lock"
_LOCK_TIMEOUT_S: Final = 30.0
_BUSY_S: Final = 60.0
"""Until the next look, when another process of this machine compacts."""
_RETRY_S: Final = 5.0


class Compaction:
    """Compacts one journal, beside the work if it `is_automatic`.

    The thread is not the one that seals: a large run takes seconds to make. No lock that an
    append or a seal needs is held for longer than one footer takes. It starts `pause_s` after
    a range was completed: when many events come at once, they are sealed first.
    """

    def __init__(
        self,
        store: Store,
        footers: Footers,
        clock: Clock,
        state_dir: Path,
        *,
        is_automatic: bool,
        grace_s: float,
        pause_s: float = _RETRY_S,
    ) -> None:
        self._compactor = Compactor(store, footers, clock)
        self._lock_path = state_dir / _LOCK
        self._is_automatic = is_automatic
        self._grace_s = grace_s
        self._thread = BackgroundSealer(
            self._in_background, seal_events=1, interval_s=pause_s, name="lakecore-compactor"
        )

    @property
    def error_count(self) -> int:
        """How many runs of the thread failed."""
        return self._thread.error_count

    @property
    def last_error(self) -> Exception | None:
        """What its last run failed at."""
        return self._thread.last_error

    def compact(self, grace_s: float | None = None) -> CompactReport:
        """One run, here and now.

        Raises:
            CorruptData: a range is damaged; all others are compacted.
            Unavailable, OutOfSpace, ...: of the store; what is done stays done.
        """
        report = self._run(_LOCK_TIMEOUT_S, self._grace_s if grace_s is None else grace_s)
        if report is None:
            report = CompactReport()
        if report.problems:
            raise report.problems[0]
        return report

    def after_seal(self) -> None:
        """Something was sealed: start if a range is complete. Cheap."""
        if self._is_automatic and self._compactor.is_due():
            self._thread.notify(0)

    def stop(self) -> None:
        """End the thread, after the step that it is in."""
        self._thread.stop()

    def _in_background(self) -> None:
        report = self._run(0.0, self._grace_s, is_background=True)
        if report is None:
            self._thread.later(_BUSY_S)
        elif report.waiting_s is not None:
            self._thread.later(report.waiting_s)
        if report is not None and report.problems:
            raise report.problems[0]

    def _run(
        self, wait_s: float, grace_s: float, *, is_background: bool = False
    ) -> CompactReport | None:
        """One run; None when a process of this machine compacts, and there is no wait.

        The lock spares the machine double work. It is not what makes compaction safe.
        """
        with alone(self._lock_path, wait_s) as is_alone:
            if not is_alone and not wait_s:
                return None
            if is_background:
                # What is damaged stays so: it is looked at again when somebody asks.
                return self._compactor.compact(
                    grace_s=grace_s, should_stop=lambda: self._thread.is_stopped, again=False
                )
            return self._compactor.compact(grace_s=grace_s)
