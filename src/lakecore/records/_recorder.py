"""The face: records are appended, and get into the lake by themselves."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa

from lakecore.base import (
    Clock,
    InvalidInput,
    NotFound,
    OutOfSpace,
    ReadOnly,
    SystemClock,
    TooManyRequests,
    Unavailable,
)
from lakecore.base.limits import MIB
from lakecore.journal import watch_forks
from lakecore.records._flusher import Flusher
from lakecore.records._kind import SCHEMA, RecordKind
from lakecore.records._rows import Rows, encode, to_batch
from lakecore.records._seen import hash_ids, split
from lakecore.records._spool import Entry, Spool, SpoolFull

if TYPE_CHECKING:
    from lakecore.catalog import Catalog
    from lakecore.tables import Tables

_log = logging.getLogger(__name__)

OnFull = Literal["refuse", "drop"]

_MAX_WAIT_S: Final = 60.0
_FLUSH_WAIT_S: Final = 60.0
_PUT_ASIDE: Final = 8
"""A dataset whose table refuses more than this part of the room gets no more records."""
_HURRY: Final = 4
"""Beyond this part of the room the next flush does not wait for its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSettings:
    """How records wait.

    Attributes:
        interval_s: seconds between two flushes of many rows; see `TRICKLE`.
        max_bytes: of all that waits on this machine.
    """

    interval_s: float = 5.0
    max_bytes: int = 256 * MIB


TRICKLE: Final = 12
"""A trickle is gathered for so many intervals: every flush is a version of a table's log."""
FEW_ROWS: Final = 1_000


def next_wait_s(interval_s: float, last_s: float, rows: int) -> float:
    """Seconds before the next flush: twice the last ones while few rows come.

    >>> next_wait_s(5.0, 5.0, rows=3), next_wait_s(5.0, 40.0, rows=3), next_wait_s(5.0, 60.0, 9_999)
    (10.0, 60.0, 5.0)
    """
    if rows >= FEW_ROWS:
        return interval_s
    return min(max(last_s, interval_s) * 2, interval_s * TRICKLE)


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of the rows of one append.

    Attributes:
        rows: durable from now on.
        duplicates: left out, because their ids were appended before.
        dropped: not kept, because there was no room and the caller said to drop them.
    """

    rows: int
    duplicates: int = 0
    dropped: int = 0


class Recorder:
    """The records of one lake, on this machine. Threads share it; processes share its spool.

    A record is durable when `append` returns: on this machine's disk at once, in the lake when
    it is flushed: `interval_s` later where many come, and while the store answers at most
    `TRICKLE` times as long where few do.

    Args:
        state_dir: of this machine and this lake.
        kinds: what may be appended.
        on_flushed: called after each flush that put rows into the lake.
    """

    def __init__(
        self,
        state_dir: Path,
        catalog: Catalog,
        tables: Tables,
        *,
        kinds: Iterable[RecordKind] = (),
        settings: RecordSettings | None = None,
        clock: Clock | None = None,
        on_flushed: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings or RecordSettings()
        self._clock = clock or SystemClock()
        self._kinds = {kind.name: kind for kind in kinds}
        self._spool = Spool(state_dir, self._clock)
        self._flusher = Flusher(self._spool, catalog, tables, self.find)
        self._on_flushed = on_flushed
        self._ended = False
        self._last_error = ""
        self._has_retried = False
        self.dropped: dict[str, int] = {}
        """Rows that were dropped by this process, by kind."""
        self.after_fork_in_child()
        watch_forks(self)

    def after_fork_in_child(self) -> None:
        """The thread stays with the parent; the child starts its own when it appends."""
        self._spool.after_fork_in_child()
        self._guard = threading.Lock()
        self._changed = threading.Event()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None

    # -- kinds ------------------------------------------------------------------------

    @property
    def kinds(self) -> list[RecordKind]:
        """What may be appended, by name."""
        return [self._kinds[name] for name in sorted(self._kinds)]

    def find(self, name: str) -> RecordKind | None:
        """The kind of that name, with or without its schema."""
        return self._kinds.get(name.removeprefix(f"{SCHEMA}."))

    # -- in ---------------------------------------------------------------------------

    def append(
        self,
        name: str,
        rows: Rows,
        *,
        ids: Sequence[str] | None = None,
        on_full: OnFull = "refuse",
    ) -> Appended:
        """Make records durable.

        Args:
            name: of the kind: ``usage`` or ``system.usage``.
            rows: mappings, or an Arrow batch or table, in the columns of the kind. A column
                that is not given is null; a time that is not given is now.
            ids: an id a row, so that it is kept once, however often it is sent. The newest
                262,144 of all records of this machine are remembered.
            on_full: where there is no room, ``refuse`` raises, and ``drop`` counts and goes on:
                for who cannot wait, and can do without.

        Raises:
            InvalidInput: a value does not fit, or a member is unknown. Nothing is kept.
            TooManyRequests: there is no room: the lake takes records in more slowly than they
                come, or not at all. Nothing is kept.
            NotFound: there is no such kind.
            OutOfSpace, ReadOnly, Unavailable: the disk. It is not acknowledged.
        """
        kind = self.find(name)
        if kind is None:
            raise NotFound(
                "there are no records of that name",
                expected=", ".join(sorted(self._kinds)) or "a kind that was declared",
                found=repr(name)[:200],
            )
        batch = to_batch(kind, rows, now_us=self._clock.now_us())
        if ids is not None and len(ids) != batch.num_rows:
            raise InvalidInput(
                "ids are as many as rows", expected=batch.num_rows, found=len(ids), where=name
            )
        try:
            self._check_taken(kind)
            return self._append(kind, batch, b"" if ids is None else hash_ids(kind.dataset, ids))
        except (SpoolFull, OutOfSpace, ReadOnly, Unavailable) as error:
            if on_full == "drop":
                return self._drop(kind, batch.num_rows, error)
            if isinstance(error, SpoolFull):
                raise self._full(kind) from None
            raise

    def _check_taken(self, kind: RecordKind) -> None:
        refused = self._flusher.refused_bytes.get(kind.dataset, 0)
        if refused * _PUT_ASIDE > self._settings.max_bytes:
            raise Unavailable(
                "the table does not take these records",
                where=kind.dataset,
                found=f"{refused >> 20} MiB are put aside",
                hint="see the log for the reason; with its cause gone, the next start tries again",
            )

    def _append(self, kind: RecordKind, batch: pa.RecordBatch, hashes: bytes) -> Appended:
        duplicates = 0
        limit_bytes = int(self._settings.max_bytes * kind.share)
        while batch.num_rows:
            entry = Entry(
                kind.dataset,
                batch.num_rows,
                encode(batch),
                hashes=hashes,
                limit_bytes=limit_bytes,
            )
            self._spool.append(entry)
            if not entry.repeated:
                self._notify()
                break
            repeated = set(entry.repeated)
            kept = [row for row in range(batch.num_rows) if row not in repeated]
            every = list(split(hashes))
            hashes = b"".join(every[row] for row in kept)
            batch = batch.take(pa.array(kept, pa.int64()))
            duplicates += len(repeated)
        return Appended(batch.num_rows, duplicates)

    def _drop(self, kind: RecordKind, rows: int, error: Exception) -> Appended:
        with self._guard:
            before = self.dropped.get(kind.name, 0)
            self.dropped[kind.name] = before + rows
        if not before:
            why = str(error) or "there is no room"
            _log.warning("records of %s are dropped: %s", kind.dataset, why)
        return Appended(0, 0, rows)

    def _full(self, kind: RecordKind) -> TooManyRequests:
        self._hurry.set()
        why = f"; the last flush failed: {self._last_error}" if self._last_error else ""
        return TooManyRequests(
            f"there is no room for more records of {kind.dataset}: more than "
            f"{int(self._settings.max_bytes * kind.share) >> 20} MiB wait to get into the lake"
            f"{why}",
            retry_after_s=max(1, round(self._settings.interval_s)),
        )

    # -- through ----------------------------------------------------------------------

    def flush(self, name: str | None = None) -> None:
        """Return when all that was acknowledged, of one kind or of all, is in the lake.

        Raises:
            Unavailable: the store; what is acknowledged stays durable here.
        """
        kind = None if name is None else self.find(name)
        if name is not None and kind is None:
            return
        self._flush(None if kind is None else kind.dataset)

    def _flush(self, dataset: str | None) -> int:
        rows = self._flusher.flush(dataset, _FLUSH_WAIT_S)
        if rows:
            self._on_flushed()
        return rows

    def start(self) -> None:
        """Flush in the background, also what a process before this one has left."""
        self._changed.set()
        self._run()

    def stats(self) -> dict[str, Any]:
        """What waits on this machine: JSON-ready."""
        parts = self._spool.stats()
        waiting = [part for part in parts if not part["is_refused"]]
        refused = [part for part in parts if part["is_refused"]]
        oldest = min((part["oldest_us"] for part in waiting), default=None)
        return {
            "waiting_rows": sum(part["rows"] for part in waiting),
            "waiting_bytes": sum(part["bytes"] for part in waiting),
            "oldest_us": oldest,
            "refused_rows": sum(part["rows"] for part in refused),
            "stored_bytes": self._spool.stored_bytes,
            "max_bytes": self._settings.max_bytes,
            "dropped": dict(self.dropped),
            "last_error": self._last_error,
        }

    def close(self) -> None:
        """Flush, and let go. What cannot be flushed stays durable for the next process."""
        with self._guard:
            if self._ended:
                return
            self._ended = True
            thread = self._thread
        self._changed.set()
        self._hurry.set()
        if thread is not None:
            thread.join()
        try:
            self.flush()
        except Exception as error:  # they are durable
            _log.warning("records wait for the next process: %s", error)
        finally:
            self._spool.close()

    # -- inside -----------------------------------------------------------------------

    def _notify(self) -> None:
        self._changed.set()
        if self._spool.stored_bytes * _HURRY > self._settings.max_bytes and not self._last_error:
            self._hurry.set()
        if self._thread is None:
            self._run()

    def _run(self) -> None:
        with self._guard:
            if self._thread is None and not self._ended:
                self._thread = threading.Thread(
                    target=self._loop, name="lakecore-records", daemon=True
                )
                self._thread.start()

    def _loop(self) -> None:
        wait_s = self._settings.interval_s
        while True:
            self._changed.wait()
            self._hurry.wait(wait_s)
            if self._ended:
                return
            self._changed.clear()
            self._hurry.clear()
            try:
                if not self._has_retried:
                    self._has_retried = True
                    self._spool.retry_refused()
                rows = self._flush(None)
                self._last_error, wait_s = "", next_wait_s(self._settings.interval_s, wait_s, rows)
            except Exception as error:  # it is tried again; what is acknowledged stays
                if str(error) != self._last_error:
                    _log.warning("records are not in the lake yet: %s", error)
                self._last_error = str(error) or type(error).__name__
                wait_s = min(max(wait_s, 0.1) * 2, _MAX_WAIT_S)
                self._changed.set()
