"""What ``/metrics`` says of a lake. Looked up at most every few seconds, however often asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import LakecoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakecore.app._components import Components
    from lakecore.app._serving import Serving
    from lakecore.gateway import Figure
    from lakecore.telemetry import LogLines

EVERY_S: Final = 5.0
"""Between two looks at the store."""

VERIFIED: Final = "verified.json"
_STATES: Final = ("green", "broken", "inconclusive")


class LakeFigures:
    """The figures of one lake. Threads may share it."""

    def __init__(
        self,
        parts: Components,
        *,
        lines: LogLines | None = None,
        serving: Serving | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = parts
        self._lines = lines
        self._serving = serving
        self._monotonic_s = monotonic_s
        self._looked_s = float("-inf")
        self._found: list[Figure] = []
        self._lock = threading.Lock()

    def __call__(self) -> Sequence[Figure]:
        """All of them; what does not answer now is left out, and said."""
        with self._lock:
            if self._monotonic_s() - self._looked_s >= EVERY_S:
                self._found = [*self._journal(), *self._verified(), *self._stores()]
                self._looked_s = self._monotonic_s()
            found = list(self._found)
        return [*found, *self._beside()]

    def _journal(self) -> list[Figure]:
        from lakecore.gateway import Figure

        try:
            stats = self._parts.journal.stats()
        except LakecoreError:
            return [Figure("journal_up", "Whether the journal answers.", 0)]
        pending = stats["pending"]
        last = stats["last_seal_error"] is not None or bool(pending["unreadable"])
        return [
            Figure("journal_up", "Whether the journal answers.", 1),
            Figure("journal_events", "Sealed events.", stats["tree_size"], "counter"),
            Figure(
                "journal_buffer_events", "Events that wait to be sealed.", stats["buffer_events"]
            ),
            Figure("journal_files", "Files of the sealed log.", stats["persisted_files"]),
            Figure("journal_pending_commits", "Commits not sealed yet.", pending["commits"]),
            Figure(
                "journal_pending_oldest_seconds",
                "Age of the oldest commit that is not sealed.",
                pending["oldest_age_s"],
            ),
            Figure("journal_undecided", "Staged files of no known fate.", pending["undecided"]),
            Figure(
                "journal_unreadable", "Staged files that are damaged.", len(pending["unreadable"])
            ),
            Figure("journal_seal_failing", "Whether the last sealing failed.", int(last)),
            Figure("journal_seal_errors", "Failures of sealing.", stats["seal_errors"], "counter"),
            Figure(
                "journal_compact_errors",
                "Failures of compaction.",
                stats["compact_errors"],
                "counter",
            ),
            Figure("journal_duplicate_ids", "Ids that two events have.", stats["duplicate_ids"]),
        ]

    def _stores(self) -> list[Figure]:
        """The lake's own store, its buckets and its replicas."""
        from lakecore.app._bucket_face import bucket_states
        from lakecore.gateway import Figure

        serving, parts = self._serving, self._parts
        if serving is None or not parts.settings.storage.bucket:
            return []
        found = [
            Figure("primary_up", "Whether the lake's own store answers.",
                   int(serving.breaker.error is None)),
            Figure("primary_trips", "Times that it did not.", serving.breaker.trips, "counter"),
            Figure("replica_answers", "Questions that a replica answered.", serving.answers,
                   "counter"),
        ]  # fmt: skip
        if serving.breaker.error is not None:
            last = serving.last
            if last is not None:
                labels = {"replica": last.replica}
                about = "Age of the state that answers."
                found.append(Figure("replica_age_seconds", about, last.age_s, "gauge", labels))
            return found
        try:
            states = bucket_states(parts)
        except LakecoreError:
            return found
        for state in states:
            named = {"bucket": state.name, "role": state.role}
            about = "Whether a bucket answers."
            found.append(Figure("bucket_up", about, int(state.ok), "gauge", named))
            if state.replica is not None and state.replica["lag_s"] is not None:
                labels, replica = {"replica": state.name}, state.replica
                about = "Age of the state that a replica has."
                found.append(
                    Figure("replica_age_seconds", about, replica["lag_s"], "gauge", labels)
                )
                about = "Events that a replica does not have yet."
                found.append(
                    Figure("replica_lag_events", about, replica["lag_events"], "gauge", labels)
                )
        return found

    def _verified(self) -> list[Figure]:
        """When the lake was last verified on this machine, and what that showed."""
        from lakecore.gateway import Figure

        found = read_verified(self._parts.state_dir)
        if found is None:
            return []
        age_s = max(0.0, (self._parts.clock.now_us() - found["at_us"]) / 1e6)
        about = "Whether the last verification ended so."
        return [
            Figure("verify_age_seconds", "Since the last verification on this machine.", age_s),
            *(
                Figure(
                    "verify_status", about, int(found["status"] == state), "gauge", {"is": state}
                )
                for state in _STATES
            ),
        ]

    def _beside(self) -> list[Figure]:
        from lakecore.gateway import Figure

        found = []
        if self._parts.deliverer is not None:
            stats = self._parts.deliverer.stats()
            found += [
                Figure("webhooks_active", "Webhooks that this process delivers.", stats["active"]),
                Figure("webhooks_failing", "Those whose last attempt failed.", stats["failing"]),
                *(
                    Figure(
                        "webhook_attempts",
                        "Messages of webhooks that were sent.",
                        stats[outcome],
                        "counter",
                        {"outcome": outcome},
                    )
                    for outcome in ("delivered", "failed")
                ),
            ]
        if self._parts.traces.is_on:
            about = "Spans, by whether the collector took them."
            found += [
                Figure("spans", about, count, "counter", {"outcome": outcome})
                for outcome, count in self._parts.traces.stats().items()
            ]
        if self._lines is not None:
            about = "Lines that the log does not have."
            found.append(Figure("log_lines_dropped", about, self._lines.dropped, "counter"))
        return found


def note_verified(state_dir: Path, at_us: int, status: str) -> None:
    """That the lake was verified: for figures alone, so it is not durable and may fail."""
    with suppress(OSError):
        state_dir.mkdir(exist_ok=True)
        temporary = state_dir / f".{VERIFIED}"
        temporary.write_text(json.dumps({"format": 1, "at_us": at_us, "status": status}))
        temporary.replace(state_dir / VERIFIED)


def read_verified(state_dir: Path) -> dict[str, Any] | None:
    """What `note_verified` kept; None where there is nothing that can be read."""
    try:
        found = json.loads((state_dir / VERIFIED).read_text())
    except (OSError, ValueError):
        return None
    is_right = isinstance(found, dict) and isinstance(found.get("at_us"), int)
    return found if is_right and found.get("status") in _STATES else None
