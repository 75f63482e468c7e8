"""What a review tells the observer while it goes on: fire and forget.

    on_file, end of the run -> queue: bounded; full: dropped -> thread -> `system.events`

Each file's outcome is an event of kind ``review.file``, each iteration one of ``review.iteration``,
source ``lakecore``. Nothing of a run rests on them: an observer that fails, refuses or hangs costs
events and, at the end, a moment.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakecore.review import FileOutcome, RunResult

MAX_WAITING: Final = 10_000
MAX_BATCH: Final = 500
CLOSE_S: Final = 2.0
SOURCE: Final = "lakecore"
FILE: Final = "review.file"
ITERATION: Final = "review.iteration"
_log = logging.getLogger(__name__)


class Accepts(Protocol):
    """Takes events; `lakecore.observer.Observer` does."""

    def accept(self, events: Sequence[object], *, principal: str, is_own: bool = False) -> object:
        """Keep them; may raise, and may take its time."""
        ...


class ReviewEvents:
    """The events of one run. `file` and `iteration` never wait and never raise.

    Args:
        observer: gives the observer; called in the thread that sends.
        facts: data of every event, such as the repository.
    """

    def __init__(
        self, observer: Callable[[], Accepts], principal: str, facts: Mapping[str, Any]
    ) -> None:
        self._observer = observer
        self._principal = principal
        self._facts = dict(facts)
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.lost = 0
        """Events that were not kept."""

    def file(self, outcome: FileOutcome, done: int, of: int) -> None:
        """One file is done, or was not reviewed whole."""
        open_ = sum(1 for state, _ in outcome.findings if state.value in _OPEN)
        said = outcome.why or f"{open_} open of {len(outcome.findings)} findings"
        self._put(
            FILE,
            f"{outcome.path}: {said}",
            outcome.path,
            is_well=outcome.is_whole,
            path=outcome.path,
            is_whole=outcome.is_whole,
            why=outcome.why,
            findings=len(outcome.findings),
            open=open_,
            done=done,
            of=of,
        )

    def iteration(self, result: RunResult) -> None:
        """The iteration is over, as far as it went."""
        self._put(
            ITERATION,
            f"iteration {result.iteration}: {result.gate.reason}",
            f"{len(result.missing)} missing",
            is_well=not result.missing,
            iteration=result.iteration,
            exit_code=result.gate.exit_code,
            files=len(result.outcomes),
            reviewed=result.reviewed,
            missing=len(result.missing),
            confirmed=result.confirmed,
            cost_usd=result.cost_microusd / 1_000_000,
        )

    def close(self) -> None:
        """Give what waits a moment to be sent."""
        with self._lock:
            thread = self._thread
        if thread is None:
            return
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            self.lost += self._waiting.qsize()
            return
        thread.join(CLOSE_S)
        if thread.is_alive():
            self.lost += self._waiting.qsize()
        if self.lost:
            _log.warning("%d events of a review were not kept", self.lost)

    def _put(self, kind: str, message: str, what: str, *, is_well: bool, **data: Any) -> None:
        event = {
            # The same outcome of the same run is told once, however often it is run again.
            "id": f"{kind}:{self._facts.get('run', '')}:{what}:{data.get('why', '')}"[:200],
            "source": SOURCE,
            "kind": kind,
            "level": "info" if is_well else "warning",
            "message": message,
            "data": self._facts | data,
        }
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self.lost += 1
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="lakecore-review-events", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        is_ended = False
        while not is_ended:
            batch = [self._waiting.get()]
            while len(batch) < MAX_BATCH and batch[-1] is not None:
                try:
                    batch.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            is_ended = batch[-1] is None
            events = [event for event in batch if event is not None]
            if events:
                self._send(events)

    def _send(self, events: list[dict[str, Any]]) -> None:
        try:
            self._observer().accept(events, principal=self._principal, is_own=True)
        except Exception as error:
            # Whatever it is: the run is worth more than what is told of it.
            self.lost += len(events)
            _log.debug("%d events of a review were lost: %s", len(events), error)


_OPEN: Final = frozenset(("new", "persistent", "not_reobserved", "claimed_fixed", "reopened"))
"""As `lakecore.review.OPEN`, whose import is dear."""
