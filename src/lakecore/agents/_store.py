"""Runs and steps of this machine, durable before anything goes on.

One SQLite file in the state directory, ``agents.sqlite``. A step is written before it is begun
and when it has ended: what a killed process was doing is known. Who works on a run holds it: a
lock of the operating system, which goes with its process.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from lakecore.agents._run import ENDED, Run, RunState, Spent, Step
from lakecore.base import Conflict, CorruptData, NotFound, UnsupportedFormat
from lakecore.journal import Database

FILE: Final = "agents.sqlite"
LOCKS: Final = "agents.locks"
FORMAT: Final = 1
MAX_LISTED: Final = 1_000
_Kept = TypeVar("_Kept", Run, Step)
KEPT_ENDED: Final = 10_000
"""Runs that have ended and are kept here; in `system.runs` and `system.steps` all are."""
_SCHEMA: Final = f"""
CREATE TABLE meta (format INTEGER NOT NULL);
INSERT INTO meta VALUES ({FORMAT});
CREATE TABLE run (id TEXT PRIMARY KEY, created_us INTEGER NOT NULL, state TEXT NOT NULL,
    body BLOB NOT NULL);
CREATE INDEX run_by_time ON run (created_us);
CREATE TABLE step (run TEXT NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (run, number)) WITHOUT ROWID;
"""
_SPENT: Final = """
SELECT run, sum(json_extract(body, '$.kind') = 'model'
        AND json_extract(body, '$.result') IS NOT NULL),
    sum(json_extract(body, '$.prompt_tokens') + json_extract(body, '$.completion_tokens')),
    sum(json_extract(body, '$.cost_nano'))
FROM (SELECT run, CAST(body AS TEXT) AS body FROM step)
"""


class RunStore:
    """The runs of one lake on this machine. Threads and processes may share it."""

    def __init__(self, state_dir: Path) -> None:
        self._database = Database(state_dir / FILE, _SCHEMA, owner="the runs of agents")
        self._locks = state_dir / LOCKS

    def create(self, run: Run) -> None:
        """Keep a new run; those that ended longest ago make room."""
        with self._database.write() as writer:
            self._check_format(writer)
            writer.execute(
                "INSERT INTO run VALUES (?, ?, ?, ?)",
                (run.id, run.created_us, run.state.value, _encode(run)),
            )
            ended = tuple(state.value for state in ENDED)
            old = writer.execute(
                "SELECT id FROM run WHERE state IN (?, ?, ?) ORDER BY created_us DESC "
                "LIMIT 1000 OFFSET ?",
                (*ended, KEPT_ENDED),
            ).fetchall()
            for (id_,) in old:
                writer.execute("DELETE FROM step WHERE run = ?", (id_,))
                writer.execute("DELETE FROM run WHERE id = ?", (id_,))

    def put(self, run: Run) -> None:
        """A run has another state."""
        with self._database.write() as writer:
            writer.execute(
                "UPDATE run SET state = ?, body = ? WHERE id = ?",
                (run.state.value, _encode(run), run.id),
            )

    def put_step(self, run_id: str, step: Step) -> None:
        """A step was begun, or has ended."""
        with self._database.write() as writer:
            writer.execute(
                "INSERT OR REPLACE INTO step VALUES (?, ?, ?)",
                (run_id, step.number, _encode(step)),
            )

    def get(self, run_id: str) -> Run:
        """Raises `NotFound`."""
        with self._database.read() as reader:
            row = None
            if reader is not None:
                self._check_format(reader)
                row = reader.execute("SELECT body FROM run WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise NotFound("there is no such run on this machine", found=run_id[:200])
        return _decode(row[0], Run)

    def steps(self, run_id: str, *, after: int = 0) -> list[Step]:
        """The steps behind number `after`, in order."""
        with self._database.read() as reader:
            if reader is None:
                return []
            rows = reader.execute(
                "SELECT body FROM step WHERE run = ? AND number > ? ORDER BY number",
                (run_id, after),
            ).fetchall()
        return [_decode(row[0], Step) for row in rows]

    def spent(self, run_ids: Sequence[str]) -> dict[str, Spent]:
        """What the steps of some runs came to; a run without steps is not among them."""
        with self._database.read() as reader:
            if reader is None or not run_ids:
                return {}
            marks = ", ".join("?" * min(len(run_ids), MAX_LISTED))
            rows = reader.execute(
                f"{_SPENT} WHERE run IN ({marks}) GROUP BY run", run_ids[:MAX_LISTED]
            ).fetchall()
        return {row[0]: Spent(*row[1:]) for row in rows}

    def listed(self, *, states: frozenset[RunState] | None = None, limit: int = 100) -> list[Run]:
        """The newest runs first."""
        with self._database.read() as reader:
            if reader is None:
                return []
            wanted = sorted(state.value for state in states or RunState)
            marks = ", ".join("?" * len(wanted))
            rows = reader.execute(
                f"SELECT body FROM run WHERE state IN ({marks}) ORDER BY created_us DESC LIMIT ?",
                (*wanted, min(limit, MAX_LISTED)),
            ).fetchall()
        return [_decode(row[0], Run) for row in rows]

    @contextmanager
    def held(self, run_id: str) -> Iterator[None]:
        """Work on a run, alone among all processes.

        Raises:
            Conflict: another process, or thread, works on it.
        """
        self._locks.mkdir(parents=True, exist_ok=True)
        path = self._locks / hashlib.sha256(run_id.encode(errors="replace")).hexdigest()[:32]
        lock = _lock(path, run_id)
        try:
            yield
        finally:
            # Under the lock: whoever opened the file meanwhile sees that it is gone.
            with suppress(FileNotFoundError):
                path.unlink()
            os.close(lock)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _check_format(self, connection: sqlite3.Connection) -> None:
        (number,) = connection.execute("SELECT format FROM meta").fetchone()
        if number != FORMAT:
            raise UnsupportedFormat(
                "the runs of agents are of another format",
                expected=FORMAT,
                found=number,
                where=self._database.path,
                hint="open them with the release that wrote them",
            )


def _lock(path: Path, run_id: str) -> int:
    """The locked file at a path, open."""
    while True:
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.stat().st_ino == os.fstat(lock).st_ino:
                return lock
        except FileNotFoundError:
            pass
        except OSError as error:
            os.close(lock)
            raise Conflict("somebody works on this run", where=run_id) from error
        # It was removed between opening and locking: it locks nobody out.
        os.close(lock)


def reopened(run: Run, now_us: int, waited_since_us: int) -> Run:
    """A run that waited and goes on: the time that it waited is not its own."""
    waited_us = run.waited_us + max(0, now_us - waited_since_us)
    return replace(run, state=RunState.RUNNING, pending="", waited_us=waited_us, changed_us=now_us)


def _encode(value: Run | Step) -> bytes:
    return msgspec.json.encode(value)


def _decode(body: bytes, kind: type[_Kept]) -> _Kept:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise CorruptData("a run of an agent is damaged", found=str(error), where=FILE) from error
