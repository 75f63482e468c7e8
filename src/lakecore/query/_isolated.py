"""Queries in processes of their own: they can be ended at any moment, and only they can crash.

A process takes most of a second to start, so ended queries leave theirs for the next one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from lakecore.base import Bug, InvalidInput, LakecoreError, Refused
from lakecore.query._child import BATCH, STOP
from lakecore.query._errors import cancelled, time_limit
from lakecore.query._source import TableSource, events_of, search_of
from lakecore.query._stream import Deadline
from lakecore.query._wire import Ask, Job, NotPortable, pack

_START: Final = (
    "import sys; sys.path[:] = {path!r}; from lakecore.query._child import main; main({fd}, {pid})"
)
_STOP_GRACE_S: Final = 0.25


class Process:
    """One query process and the connection to it."""

    def __init__(self) -> None:
        self.connection, below = Pipe()
        code = _START.format(path=sys.path, fd=below.fileno(), pid=os.getpid())
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - our own interpreter and code
                [sys.executable, "-c", code],
                pass_fds=[below.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the process above
            )
        finally:
            below.close()

    def alive(self) -> bool:
        return self._popen.poll() is None

    def kill(self) -> None:
        """End it now; safe from any thread. Who reads the connection sees its end."""
        self._popen.kill()

    def end(self) -> int:
        """End it, free the connection; the exit status, negative for a signal."""
        try:
            self._popen.wait(0.05)  # it may have ended by itself: that status says more
        except subprocess.TimeoutExpired:
            self._popen.kill()
        self.connection.close()
        return self._popen.wait()


class Processes:
    """The idle processes. Threads may share it."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._idle: list[Process] = []
        self._owner = os.getpid()

    def take(self) -> Process:
        with self._lock:
            if self._owner != os.getpid():  # forked: the processes belong to the parent
                self._idle, self._owner = [], os.getpid()
            while self._idle:
                process = self._idle.pop()
                if process.alive():
                    return process
                process.end()
        return Process()

    def give_back(self, process: Process) -> None:
        with self._lock:
            if len(self._idle) < self._keep:
                self._idle.append(process)
                return
        process.end()

    def close(self) -> None:
        with self._lock:
            idle, self._idle, self._keep = self._idle, [], 0
        for process in idle:
            process.kill()
            process.end()


class IsolatedStream:
    """A query in another process. Made when its plan is: `schema` is known.

    Raises:
        NotPortable: a table can only be read in this process.
    """

    def __init__(
        self, processes: Processes, source: TableSource, job: Job, deadline: Deadline
    ) -> None:
        self._source = source
        self._job = job
        self._deadline = deadline
        self._processes = processes
        self._lock = threading.Lock()
        self._ended = False
        self._stopped_by: LakecoreError | None = None
        self._timer: threading.Timer | None = None
        self._process = processes.take()
        if (remaining_s := deadline.remaining_s()) is not None:
            # Whether or not anybody reads: a result that lies about holds its process, too.
            self._timer = threading.Timer(remaining_s, self._expire)
            self._timer.daemon = True
            self._timer.start()
        self._planned = False
        try:
            self._connection.send(job)
            self.schema: pa.Schema = self._receive()
            self._planned = True
        except (OSError, EOFError):
            raise self._crashed() from None
        except BaseException:
            self._finish(reusable=False)
            raise

    @property
    def _connection(self) -> Connection[Any, Any]:
        return self._process.connection

    def next(self) -> pa.RecordBatch | None:
        if self._ended:
            if self._stopped_by is not None:
                raise self._stopped_by
            return None
        try:
            message = self._receive()
            if message != BATCH:
                self._finish(reusable=True)
                return None
            held = self._connection.recv_bytes()
        except (OSError, EOFError):
            raise self._crashed() from None
        except BaseException:  # an interrupt from the keyboard
            self._finish(reusable=False)
            raise
        return pa.ipc.open_stream(held).read_next_batch()

    def _receive(self) -> Any:
        """The next message that is no question; an error is raised."""
        while True:
            message = self._connection.recv()
            if isinstance(message, Ask):
                self._connection.send(self._answer(message))
            elif isinstance(message, LakecoreError):
                self._finish(reusable=True)
                raise message
            else:
                return message

    def _answer(self, ask: Ask) -> object:
        try:
            if ask.method in ("schemas", "tables"):
                return list(getattr(self._source, ask.method)(*ask.args))
            return pack(self._find(ask), Path(self._job.scratch))
        except NotPortable:
            if self._planned:
                return None
            raise
        except LakecoreError as error:
            return error
        except Exception as error:
            return Bug("a table cannot be opened", found=f"{type(error).__name__}: {error}")

    def _find(self, ask: Ask) -> object | None:
        if ask.method == "search":
            return search_of(self._source).search(*ask.args)
        if ask.method != "table":
            found: object | None = getattr(events_of(self._source), ask.method)(*ask.args)
            return found
        schema, name, version, at = ask.args
        return self._source.table(schema, name, version=version, time=at)

    def _expire(self) -> None:
        self._kill(time_limit(self._deadline.seconds or 0.0))

    def cancel(self) -> None:
        self._kill(cancelled())

    def _kill(self, reason: LakecoreError) -> None:
        with self._lock:
            if not self._ended and self._stopped_by is None:
                self._stopped_by = reason
                self._process.kill()

    def _crashed(self) -> LakecoreError:
        """Why the connection ended: stopped by us, or by the system."""
        status = self._finish(reusable=False)
        if self._stopped_by is not None:
            return self._stopped_by
        name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        if status == -signal.SIGKILL:
            return Refused("the system ended the query, most likely for want of memory", found=name)
        if status in (-signal.SIGSEGV, -signal.SIGABRT):
            return InvalidInput(
                "the query overflowed its process's stack",
                found=name,
                hint="the statement is nested too deeply: split it, or use IN for long ORs",
            )
        return Bug("the query's process ended", found=name)

    def close(self) -> None:
        with self._lock:
            ended = self._ended
        if not ended:
            self._finish(reusable=self._stop_early())

    def _stop_early(self) -> bool:
        """Ask the process to leave the query; whether it did."""
        give_up_at = time.monotonic() + _STOP_GRACE_S
        try:
            self._connection.send(STOP)
            while self._connection.poll(max(0.0, give_up_at - time.monotonic())):
                message = self._connection.recv()
                if message == BATCH:
                    self._connection.recv_bytes()
                elif message is None or isinstance(message, LakecoreError):
                    return True
                elif isinstance(message, Ask):
                    return False
        except (OSError, EOFError):
            pass
        return False

    def _finish(self, *, reusable: bool) -> int:
        """Leave the process to the next query, or end it; its exit status, 0 when it lives."""
        with self._lock:
            if self._ended:
                return 0
            self._ended = True
            reusable = reusable and self._stopped_by is None
        if self._timer is not None:
            self._timer.cancel()
        status = 0
        if reusable:
            self._processes.give_back(self._process)
        else:
            status = self._process.end()
        shutil.rmtree(self._job.scratch, ignore_errors=True)
        return status
