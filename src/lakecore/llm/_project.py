"""Settled attempts become rows of `system.usage`."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from lakecore.base import LakecoreError
from lakecore.llm._ledger import Ledger, Row
from lakecore.llm._money import usd_of
from lakecore.llm._records import DATASET

BATCH_ROWS: Final = 1_000
INTERVAL_S: Final = 2.0
_PRUNE_EVERY: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_log = logging.getLogger(__name__)


class RecordSink(Protocol):
    """Where rows of the lake's own datasets go.

    `append` returns when the rows are durable. It is called again with the same rows when a
    process was killed before that was put down: rows of one `id` are one row.
    """

    def append(self, dataset: str, rows: Sequence[Mapping[str, object]]) -> None: ...


def to_row(attempt: Row) -> dict[str, object]:
    """An attempt as a row of `system.usage`; `id` is the attempt's."""
    prompt, completion = attempt["prompt_tokens"], attempt["completion_tokens"]
    return {
        "id": attempt["id"],
        "call_id": attempt["call_id"],
        "attempt": attempt["ordinal"],
        "time": _EPOCH + timedelta(microseconds=attempt["at_us"]),
        "day": attempt["day"],
        "actor": attempt["actor"],
        "key_id": attempt["key_id"],
        "source": attempt["source"],
        "run": attempt["run"],
        "rung": attempt["rung"],
        "model": attempt["model"],
        "outcome": attempt["outcome"],
        "is_sent": bool(attempt["is_sent"]),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "tokens_from": attempt["tokens_from"],
        "cost_nano_usd": attempt["cost_nano"],
        "cost_usd": usd_of(attempt["cost_nano"]),
        "reserved_nano_usd": attempt["reserved_nano"],
        "duration_ms": attempt["duration_ms"],
        "status": attempt["status"],
        "left_rungs": attempt["left_rungs"],
        "detail": attempt["detail"],
        "reported": attempt["reported"],
        "redactions": attempt["redactions"],
    }


class Projection:
    """Hands settled attempts to a sink: by itself every few seconds, and when told.

    One process of a machine does it at a time. **Crash window**: the rows are in the sink, and
    not marked; they come again with the same ids.
    """

    def __init__(self, ledger: Ledger, sink: RecordSink, *, keep_days: int = 90) -> None:
        self._ledger = ledger
        self._sink = sink
        self._keep_days = keep_days
        self._lock_path: Path = ledger.path.with_name(ledger.path.name + ".projecting")
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._batches = 0

    def notify(self) -> None:
        """Something was settled."""
        if self._thread is None and not self._is_closed:
            with self._lock:
                if self._thread is None and not self._is_closed:
                    self._thread = threading.Thread(
                        target=self._work, name="lakecore-llm-usage", daemon=True
                    )
                    self._thread.start()
        self._wake.set()

    def run(self) -> int:
        """Hand on all that is settled; how many rows. Nothing where another process does it."""
        with self._lock:
            return self._run()

    def close(self) -> None:
        """Hand on what is settled, and stop. What the sink does not take is handed on later."""
        self._is_closed = True
        self._stop.set()
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
            self._try()

    def _work(self) -> None:
        while not self._is_closed:
            self._wake.wait()
            # So that many calls share a batch.
            self._stop.wait(INTERVAL_S)
            self._wake.clear()
            if not self._is_closed:
                self._try()

    def _try(self) -> None:
        try:
            self.run()
        except LakecoreError as error:
            _log.warning("usage of models waits in the ledger: %s", error)

    def _run(self) -> int:
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 0
            count = 0
            while attempts := self._ledger.unprojected(BATCH_ROWS):
                self._hand_on(attempts)
                count += len(attempts)
            return count
        finally:
            os.close(lock)

    def _hand_on(self, attempts: list[dict[str, Any]]) -> None:
        self._sink.append(DATASET, [to_row(attempt) for attempt in attempts])
        # Crash window: in the dataset, and not marked.
        self._ledger.mark_projected(attempt["number"] for attempt in attempts)
        self._batches += 1
        if self._batches % _PRUNE_EVERY == 1:
            self._ledger.prune(keep_days=self._keep_days)
