"""How far each webhook was delivered by this machine: ``webhooks.sqlite`` in the state directory.

A row of `lines` is where a webhook stands:

    cursor   everything before it was delivered, or is not for it
    until    the end of the stretch that is being delivered; null between two
    part     how many of its messages were delivered

It is written before the first attempt of a stretch and after each message. So a process that is
killed sends at most one message again, under the same id. A lost file costs more of that: the
webhook begins anew at the cursor of its document.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lakecore.base import OutOfSpace, Unavailable, UnsupportedFormat
from lakecore.webhooks._retry import NO_TROUBLE, Trouble

FILE: Final = "webhooks.sqlite"
LOCK: Final = "webhooks.lock"
KEPT_ATTEMPTS: Final = 100
"""Of one webhook."""

_VERSION: Final = 1
_SCHEMA: Final = """
create table if not exists lines (
    id text primary key, base text not null, cursor text not null, until text,
    until_seq integer not null, part integer not null,
    attempts integer not null, since_us integer, next_us integer not null,
    messages integer not null, events integer not null, delivered_us integer, problem text not null
);
create table if not exists attempts (
    id text not null, at_us integer not null, message text not null, events integer not null,
    status integer, outcome text not null, duration_ms real not null
);
create index if not exists attempts_of on attempts (id, at_us);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where a webhook stands.

    Attributes:
        base: the cursor of the document that it began at: another one begins it anew.
        until_seq: how many events are before `until`.
        messages, events: delivered so far.
        problem: what the last attempt ended in, or why there is none; empty: all is well.
    """

    id: str
    base: str
    cursor: str
    until: str | None = None
    until_seq: int = 0
    part: int = 0
    trouble: Trouble = NO_TROUBLE
    messages: int = 0
    events: int = 0
    delivered_us: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request that was made, and what came of it."""

    at_us: int
    message: str
    events: int
    status: int | None
    outcome: str
    duration_ms: float


class DeliveryState:
    """The database. Threads may share it, and processes: one of them delivers, all may look."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir
        self._path = state_dir / FILE
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def line(self, webhook_id: str, base: str) -> Line:
        """Where a webhook stands; one that is new, or was told to begin anew, at `base`."""
        found = self.find(webhook_id)
        return found if found is not None and found.base == base else _new(webhook_id, base)

    def find(self, webhook_id: str) -> Line | None:
        """Where a webhook stands, if this machine ever delivered any of it."""
        if self._database is None and not self._path.exists():
            return None
        with self._open() as database:
            row = database.execute(
                "select id, base, cursor, until, until_seq, part, attempts, since_us, next_us, "
                "messages, events, delivered_us, problem from lines where id = ?",
                (webhook_id,),
            ).fetchone()
        if row is None:
            return None
        trouble = Trouble(attempts=row[6], since_us=row[7], next_us=row[8])
        return Line(
            id=row[0],
            base=row[1],
            cursor=row[2],
            until=row[3],
            until_seq=row[4],
            part=row[5],
            trouble=trouble,
            messages=row[9],
            events=row[10],
            delivered_us=row[11],
            problem=row[12],
        )

    def save(self, line: Line, attempt: Attempt | None = None) -> None:
        """Where it stands from now on, and what was just tried; durable on return."""
        trouble = line.trouble
        with self._open() as database, database:
            database.execute(
                "insert or replace into lines values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(line.id, line.base, line.cursor, line.until, line.until_seq, line.part),
                    *(trouble.attempts, trouble.since_us, trouble.next_us),
                    *(line.messages, line.events, line.delivered_us, line.problem),
                ),
            )
            if attempt is not None:
                self._note(database, line.id, attempt)

    def attempts(self, webhook_id: str) -> list[Attempt]:
        """The last ones, the newest first."""
        if self._database is None and not self._path.exists():
            return []
        with self._open() as database:
            rows = database.execute(
                "select at_us, message, events, status, outcome, duration_ms from attempts "
                "where id = ? order by rowid desc limit ?",
                (webhook_id, KEPT_ATTEMPTS),
            ).fetchall()
        names = ("at_us", "message", "events", "status", "outcome", "duration_ms")
        return [Attempt(**dict(zip(names, row, strict=True))) for row in rows]

    def forget(self, webhook_id: str) -> None:
        """A webhook that was removed."""
        if self._database is None and not self._path.exists():
            return
        with self._open() as database, database:
            database.execute("delete from lines where id = ?", (webhook_id,))
            database.execute("delete from attempts where id = ?", (webhook_id,))

    def take_turn(self) -> int | None:
        """The right to deliver on this machine, until `os.close`; None while another has it."""
        try:
            self._folder.mkdir(exist_ok=True)
            handle = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unavailable(self._folder / LOCK, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    @staticmethod
    def _note(database: sqlite3.Connection, webhook_id: str, attempt: Attempt) -> None:
        database.execute(
            "insert into attempts values (?, ?, ?, ?, ?, ?, ?)",
            (
                *(webhook_id, attempt.at_us, attempt.message, attempt.events),
                *(attempt.status, attempt.outcome, attempt.duration_ms),
            ),
        )
        database.execute(
            "delete from attempts where id = ? and rowid not in "
            "(select rowid from attempts where id = ? order by rowid desc limit ?)",
            (webhook_id, webhook_id, KEPT_ATTEMPTS),
        )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._database is None:
                    self._database = self._connect()
                yield self._database
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                    raise OutOfSpace("the disk is full", where=self._path) from error
                raise _unavailable(self._path, error) from error

    def _connect(self) -> sqlite3.Connection:
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise _unavailable(self._path, error) from error
        database = sqlite3.connect(self._path, timeout=10, check_same_thread=False)
        version = database.execute("pragma user_version").fetchone()[0]
        if version > _VERSION:
            database.close()
            raise UnsupportedFormat(
                "the state of webhooks is of a newer Lakecore",
                expected=_VERSION,
                found=version,
                where=self._path,
            )
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = full")
        with database:
            database.executescript(_SCHEMA)
            database.execute(f"pragma user_version = {_VERSION}")
        return database


def delivered(line: Line, events: int, now_us: int, *, is_last: bool) -> Line:
    """Where it stands behind a message that arrived; `is_last` of its stretch."""
    changed: dict[str, Any] = (
        {"cursor": line.until, "until": None, "part": 0} if is_last else {"part": line.part + 1}
    )
    return replace(
        line,
        **changed,
        trouble=NO_TROUBLE,
        problem="",
        messages=line.messages + 1,
        events=line.events + events,
        delivered_us=now_us,
    )


def _new(webhook_id: str, base: str) -> Line:
    return Line(id=webhook_id, base=base, cursor=base)


def _unavailable(path: Path, error: Exception) -> Unavailable:
    return Unavailable("the state of webhooks cannot be used", where=path, found=error)
