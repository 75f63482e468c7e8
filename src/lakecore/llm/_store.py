"""One SQLite file of the state directory, written by one thread for all of a process.

- Whatever threads and tasks submit at one time becomes one transaction, and so one fsync
  (WAL, synchronous=FULL). A result is set when its transaction is durable.
- The processes of a machine take turns by a file lock: SQLite's own waiting starves under load.
- Before a fork the connection is closed, on both sides it is opened again: SQLite keeps a table
  of its locks in memory, and a child would believe that it holds them.
"""

from __future__ import annotations

import fcntl
import os
import queue
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from lakecore.base import (
    Bug,
    CorruptData,
    LakecoreError,
    OutOfSpace,
    ReadOnly,
    Unavailable,
    UnsupportedFormat,
)

MAX_WAITING: Final = 10_000
"""Operations that may wait for the writer; the next one is `Unavailable`."""

MAX_BATCH: Final = 256
_LOCK_TIMEOUT_S: Final = 30.0
_LOCK_POLL_S: Final = 0.0005

_T = TypeVar("_T")
_open: weakref.WeakSet[LedgerFile] = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class _Operation:
    run: Callable[[sqlite3.Connection], Any]
    done: Future[Any]


class LedgerFile:
    """The file. Threads may share it, processes too.

    Args:
        schema: statements that make the tables of `version`, run once.
        on_open: called with the connection, within a transaction, when this process opens it.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        *,
        version: int,
        on_open: Callable[[sqlite3.Connection], None],
    ) -> None:
        self.path = path
        self._schema = schema
        self._version = version
        self._on_open = on_open
        self._operations: queue.Queue[_Operation | None] = queue.Queue()
        self._connection: sqlite3.Connection | None = None
        self._lock_file: int | None = None
        self._busy = threading.Lock()
        """Held by whoever uses the connection."""

        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        _open.add(self)

    def submit(self, run: Callable[[sqlite3.Connection], _T]) -> Future[_T]:
        """Have `run` called in the next transaction; the result comes when it is durable.

        What it raises fails it alone, so it must raise before it writes.
        """
        done: Future[_T] = Future()
        with self._starting:
            if self._is_closed:
                raise Unavailable("the ledger is closed", where=self.path)
            if self._operations.qsize() >= MAX_WAITING:
                raise Unavailable("too many calls of models wait for the ledger")
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="lakecore-llm-ledger", daemon=True
                )
                self._thread.start()
            self._operations.put(_Operation(run, done))
        return done

    def call(self, run: Callable[[sqlite3.Connection], _T]) -> _T:
        """As `submit`, waiting for the result."""
        return self.submit(run).result()

    def close(self) -> None:
        """Do what waits, and let go. Safe to call twice."""
        with self._starting:
            self._is_closed = True
            thread, self._thread = self._thread, None
            if thread is not None:
                self._operations.put(None)
        if thread is not None:
            thread.join()
        with self._busy:
            self._disconnect()

    # -- inside -----------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            batch = self._take()
            if batch:
                self._run(batch)
            if batch is None:
                return

    def _take(self) -> list[_Operation] | None:
        """What waits, at least one; None at the end."""
        first = self._operations.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                following = self._operations.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._operations.put(None)
                break
            batch.append(following)
        return batch

    def _run(self, batch: list[_Operation]) -> None:
        # Who gave up before it began has nothing written.
        batch = [one for one in batch if one.done.set_running_or_notify_cancel()]
        results: list[tuple[_Operation, Any, BaseException | None]] = []
        try:
            with self._busy:
                lock = self._take_lock()
                try:
                    connection = self._connection or self._connect()
                    connection.execute("BEGIN IMMEDIATE")
                    try:
                        results.extend(_outcome(one, connection) for one in batch)
                        # Commit point: with it every result of the batch is durable.
                        connection.execute("COMMIT")
                    except BaseException:
                        with suppress(sqlite3.Error):
                            connection.execute("ROLLBACK")
                        raise
                finally:
                    fcntl.flock(lock, fcntl.LOCK_UN)
        except Exception as error:
            told = _translated(error, self.path)
            for operation in batch:
                operation.done.set_exception(told)
            return
        for operation, result, problem in results:
            if problem is None:
                operation.done.set_result(result)
            else:
                operation.done.set_exception(problem)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=_LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                for statement in self._schema.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {self._version}")
            elif found > self._version:
                raise UnsupportedFormat(
                    "the ledger is of a newer Lakecore",
                    expected=f"version {self._version}",
                    found=found,
                    where=self.path,
                )
            self._on_open(connection)
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _take_lock(self) -> int:
        if self._lock_file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            name = self.path.with_name(self.path.name + ".lock")
            self._lock_file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline_s = time.monotonic() + _LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self._lock_file
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise Unavailable(
                        "another process keeps the ledger's lock", where=self.path
                    ) from None
                time.sleep(_LOCK_POLL_S)

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _forked(self) -> None:
        """In the child: nothing waits here, and nobody works."""
        self._operations = queue.Queue()
        self._busy = threading.Lock()
        self._starting = threading.Lock()
        self._thread = None


def _outcome(
    operation: _Operation, connection: sqlite3.Connection
) -> tuple[_Operation, Any, BaseException | None]:
    try:
        return operation, operation.run(connection), None
    except LakecoreError as error:
        return operation, None, error


def _translated(error: Exception, path: Path) -> LakecoreError:
    if isinstance(error, LakecoreError):
        return error
    text = str(error)
    if isinstance(error, OSError):
        if isinstance(error, PermissionError):
            return ReadOnly("the ledger cannot be written", where=path)
        return Unavailable("the state directory fails", found=error.strerror or error, where=path)
    if isinstance(error, sqlite3.Error):
        if "full" in text:
            return OutOfSpace("no room for the ledger of models", found=text, where=path)
        if "readonly" in text:
            return ReadOnly("the ledger cannot be written", found=text, where=path)
        if any(word in text for word in ("locked", "busy", "disk I/O", "unable to open")):
            return Unavailable("the ledger fails", found=text, where=path)
        if isinstance(error, sqlite3.DatabaseError) and "malformed" in text:
            return CorruptData("the ledger is damaged", found=text, where=path)
        if "not a database" in text:
            return CorruptData("the ledger is damaged", found=text, where=path)
    return Bug("the ledger of models fails", found=repr(error), where=path)


_forking: list[LedgerFile] = []


def _before_fork() -> None:
    for file in list(_open):
        file._starting.acquire()
        file._busy.acquire()
        file._disconnect()
        _forking.append(file)


def _after_fork_in_parent() -> None:
    while _forking:
        file = _forking.pop()
        file._busy.release()
        file._starting.release()


def _after_fork_in_child() -> None:
    while _forking:
        _forking.pop()._forked()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
